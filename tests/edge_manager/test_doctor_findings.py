"""Facts into findings, without a server: each kind of finding, its neighbour that is none, and its command."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from edge_manager.device.compose import COMPOSE_FILE, Compose
from edge_manager.device_health.device import ComposeDevice, certificate_at
from edge_manager.device_health.disks import disk_of, disks_of
from edge_manager.device_health.facts import Broker, Certificate, Disk, Facts, Port, Service
from edge_manager.device_health.figures import Figures
from edge_manager.device_health.findings import Finding, Severity, find
from edge_manager.device_health.told import as_json, findings_text, status_text

NAMES = ("drift", "history", "inference", "influxdb", "monitor", "mosquitto", "predictor", "telegraf")
WELL_FIGURES = Figures(
    newest_verdict_age_s=1.5,
    newest_figure_age_s=2.0,
    fans={"1": 1.0, "2": 2.5},
    services=dict.fromkeys(("drift", "history", "inference", "monitor", "predictor"), 3.0),
    queue_messages=12,
    queue_bytes=4000,
    queue_messages_before=10,
    predictor_waiting=3,
    broker_volume_used=0.41,
    models=("fan:1",),
    inference_ready=True,
    write_refused="",
)
WELL = Facts(
    at="2026-11-27T12:00:00.000Z",
    host="nuc",
    services=(
        Service("setup", "exited", exit_code=0),
        *(Service(name, "running", "healthy") for name in NAMES),
    ),
    figures=WELL_FIGURES,
    broker=Broker(12, 0, 0),
    disks=(Disk("the disk of /var/lib/docker", 0.41, 100_000_000_000),),
    clock_synchronised=True,
    certificate=Certificate("127.0.0.1:8883", 400),
)


def with_figures(**changes: object) -> Facts:
    return replace(WELL, figures=replace(WELL_FIGURES, **changes))  # type: ignore[arg-type]


def with_service(name: str, **changes: object) -> Facts:
    assert WELL.services is not None
    services = tuple(
        replace(each, **changes) if each.name == name else each  # type: ignore[arg-type]
        for each in WELL.services
    )
    return replace(WELL, services=services)


def the_one(facts: Facts) -> Finding:
    [finding] = find(facts)
    return finding


def test_a_device_that_is_well_has_no_finding() -> None:
    assert find(WELL) == []
    assert "nothing is wrong" in findings_text(WELL, [])


CASES = {
    "port_taken": (
        replace(WELL, ports_taken=(Port("monitor", "127.0.0.1", 8080, "address already in use"),)),
        "port 8080 on 127.0.0.1, which monitor publishes",
        "ss -ltnp 'sport = :8080'",
    ),
    "not_started": (
        Facts(at=WELL.at, host="nuc", services=(), figures_unknown="x", broker_unknown="x"),
        "no service of Fanwatch was started here",
        "docker compose up --detach",
    ),
    "service_down": (
        with_service("drift", state="exited", exit_code=1),
        "drift ended with exit code 1",
        "docker compose up --detach drift",
    ),
    "service_unhealthy": (
        with_service("monitor", health="unhealthy"),
        "monitor runs, and its health check says",
        "docker compose logs --tail 50 monitor",
    ),
    "service_starting": (
        with_service("monitor", health="starting"),
        "monitor is still starting",
        "docker compose logs --tail 50 monitor",
    ),
    "influxdb_away": (
        replace(WELL, figures=None, figures_unknown="InfluxDB cannot be reached at http://influxdb:8086"),
        "InfluxDB could not be asked",
        "docker compose up --detach influxdb history",
    ),
    "writes_refused": (
        with_figures(write_refused="engine: write: no space left on device", newest_figure_age_s=600),
        "no space left on device",
        "df -h",
    ),
    "nothing_stored": (
        with_figures(newest_figure_age_s=600),
        "the newest figure that Telegraf stored is 10 minutes old",
        "docker compose restart telegraf",
    ),
    "service_silent": (
        with_figures(services=WELL_FIGURES.services | {"drift": None}),
        "drift does not tell its figures: nothing within an hour",
        "docker compose restart drift",
    ),
    "broker_lost": (
        with_figures(offline=("monitor", "simulator")),
        "monitor is not at the broker",
        "docker compose logs --tail 50 monitor",
    ),
    "no_verdict_yet": (
        with_figures(newest_verdict_age_s=None),
        "no verdict was stored within a week",
        "docker compose logs --tail 50 predictor",
    ),
    "no_fresh_verdict": (
        with_figures(newest_verdict_age_s=61),
        "the newest verdict is 61 s old",
        "docker compose logs --tail 50 inference",
    ),
    "broker_away": (
        replace(WELL, broker=None, broker_unknown="Connection refused"),
        "the broker does not answer: Connection refused",
        "docker compose logs --tail 50 mosquitto",
    ),
    "queue_grows": (
        replace(WELL, broker=Broker(1010, 0, 0)),
        "1,010 messages wait at the broker, 1,000 more than ten minutes ago",
        "docker compose ps",
    ),
    "queue_fills": (
        replace(WELL, broker=Broker(100_000, 0, 0)),
        "a queue may be 50% full",
        "docker compose ps",
    ),
    "messages_dropped": (
        with_figures(dropped_last_hour=7),
        "threw 7 messages away within an hour",
        "docker compose ps",
    ),
    "disk_fills": (
        replace(WELL, disks=(Disk("the disk of /var/lib/docker", 0.80, 20_000_000_000),)),
        "the disk of /var/lib/docker is 80% full, 20.0 GB are free",
        "docker system df",
    ),
    "disk_full": (
        with_figures(broker_volume_used=0.93),
        "the broker's volume is 93% full",
        "docker system df",
    ),
    "clock_back": (
        with_figures(newest_figure_age_s=-3600),
        "60 minutes ahead of this machine's clock",
        "date --utc",
    ),
    "clock_unsynchronised": (
        replace(WELL, clock_synchronised=False),
        "its clock is not synchronised",
        "timedatectl set-ntp true",
    ),
    "readings_refused_for_time": (
        with_figures(refused_for_time=1200),
        "1,200 readings were refused within an hour for their time",
        "date --utc",
    ),
    "certificate_expires": (
        replace(WELL, certificate=Certificate("127.0.0.1:8883", 12.4)),
        "the certificate at 127.0.0.1:8883 expires in 12 days",
        "fanwatch rotate certificate",
    ),
    "certificate_expired": (
        replace(WELL, certificate=Certificate("127.0.0.1:8883", -3)),
        "expired 3 days ago",
        "fanwatch rotate certificate",
    ),
    "model_missing": (
        with_figures(inference_ready=False),
        "has no model that scores",
        "docker compose run --rm model list fan",
    ),
    "model_refused": (
        with_figures(model_refused=1),
        "refused a version of the model within a day, and goes on with fan:1",
        "docker compose logs --tail 50 inference",
    ),
    "fan_silent": (
        with_figures(fans={"1": 1.0, "2": 7200.0}),
        "nothing was heard of fan 2 for 2 hours",
        "docker compose logs --since 1h mosquitto | grep -w 2",
    ),
}
ERRORS = {
    *("port_taken", "not_started", "service_down", "service_unhealthy", "influxdb_away", "writes_refused"),
    *("nothing_stored", "service_silent", "broker_lost", "no_fresh_verdict", "broker_away", "queue_fills"),
    *("messages_dropped", "disk_full", "clock_back", "certificate_expired", "model_missing"),
}


@pytest.mark.parametrize("code", CASES)
def test_what_is_wrong_is_found_alone_with_its_figures_and_a_command(code: str) -> None:
    facts, sentence, command = CASES[code]
    finding = the_one(facts)
    assert finding.code == code
    assert sentence in finding.what
    assert command in finding.do
    assert (finding.severity is Severity.ERROR) == (code in ERRORS)


JUST_WELL = {
    "a volume under the limit": replace(WELL, disks=(Disk("x", 0.79, 1),)),
    "a queue that is long and does not grow": replace(
        with_figures(queue_messages_before=5000), broker=Broker(5999, 0, 0)
    ),
    "alarms of new fans, each retained": replace(
        with_figures(retained_grown=2000), broker=Broker(2012, 0, 2000)
    ),
    "nothing but retained messages": replace(
        with_figures(queue_messages_before=150_000), broker=Broker(150_000, 0, 150_000)
    ),
    "a certificate with a month left": replace(WELL, certificate=Certificate("x", 31)),
    "a verdict of a minute ago": with_figures(newest_verdict_age_s=60),
    "a clock that is seconds behind": with_figures(newest_figure_age_s=-4),
    "no simulator on a real site": with_figures(offline=("simulator",)),
    "a kernel that does not say": replace(WELL, clock_synchronised=None),
    "a fan that paused": with_figures(fans={"1": 1.0, "2": 299.0}),
}


def test_a_site_is_told_by_the_name_that_its_people_gave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / COMPOSE_FILE).touch()
    device = ComposeDevice(Compose(tmp_path))
    assert device.site() == ""
    (tmp_path / ".env").write_text("FANWATCH_SITE='hall 2'\n")
    named = replace(WELL, site=device.site())
    assert status_text(named, []).startswith("Fanwatch at hall 2 on nuc, ")
    assert findings_text(named, []).startswith("Fanwatch at hall 2 on nuc, ")
    assert as_json(named, [])["site"] == "hall 2"
    assert status_text(WELL, []).startswith("Fanwatch on nuc, ")
    (tmp_path / ".env").write_bytes(b"FANWATCH_SITE='H\xe4lle 2'\n")
    assert device.site() == "H\N{REPLACEMENT CHARACTER}lle 2"


@pytest.mark.parametrize("what", JUST_WELL)
def test_what_is_just_well_is_no_finding(what: str) -> None:
    assert find(JUST_WELL[what]) == []


def test_what_merely_follows_is_left_out() -> None:
    """A service that is down tells no figures, and one finding says it."""
    down = replace(
        with_service("drift", state="exited", exit_code=1),
        figures=replace(WELL_FIGURES, services=WELL_FIGURES.services | {"drift": 500.0}, offline=("drift",)),
    )
    assert [each.code for each in find(down)] == ["service_down"]
    silent = with_figures(fans={"1": 900.0, "2": 900.0}, newest_verdict_age_s=900)
    assert [each.code for each in find(silent)] == ["no_fresh_verdict"]


def test_errors_come_before_warnings() -> None:
    facts = replace(with_figures(newest_verdict_age_s=900), clock_synchronised=False)
    assert [each.severity for each in find(facts)] == [Severity.ERROR, Severity.WARNING]


def test_the_documents_table_names_every_finding() -> None:
    text = (Path(__file__).parents[2] / "docs" / "keeping.md").read_text()
    section = text.split("## What doctor finds")[1].split("\n## ")[0]
    named = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    assert named == set(CASES)


def test_the_table_for_people_names_services_queue_disk_model_heartbeat_and_fans() -> None:
    text = status_text(WELL, [])
    for part in (
        "all is well",
        "mosquitto   running     healthy",
        "12 messages wait",
        "400 days left",
        "41% used",
        "fan:1",
        "1.5 s old",
    ):
        assert part in text
    assert text.index("  2  ") < text.index("  1  "), "longest unheard first"


def test_without_influxdb_the_table_says_so_and_what_else_is_known() -> None:
    facts = replace(WELL, figures=None, figures_unknown="InfluxDB cannot be reached")
    text = status_text(facts, find(facts))
    assert "InfluxDB    not known: InfluxDB cannot be reached" in text
    assert "12 messages wait" in text
    assert "mosquitto   running     healthy" in text


def test_programs_get_the_facts_and_whether_all_is_well() -> None:
    assert as_json(WELL, [])["well"] is True
    facts = replace(WELL, clock_synchronised=False)
    body = as_json(facts, find(facts))
    assert body["well"] is False
    assert body["findings"][0]["code"] == "clock_unsynchronised"
    assert body["figures"]["fans"] == {"1": 1.0, "2": 2.5}


def test_a_server_that_shows_no_certificate_and_a_folder_that_is_not_there_are_no_mistake() -> None:
    assert certificate_at("127.0.0.1", 1, datetime.now(UTC)) is None
    assert disk_of(Path("/no/such/folder"), "x") is None


# --- which disks ------------------------------------------------------------------------------------

MEMORY = Path("/dev/shm")


def bound(*folders: Path | None) -> dict[str, object]:
    """Volumes as `docker compose config` tells them; None for one that Docker keeps itself."""
    options = [
        {"driver_opts": {"type": "none", "o": "bind", "device": str(each)}} if each else {}
        for each in folders
    ]
    return {f"v{number}": volume for number, volume in enumerate(options)}


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder for data on another disk than the tests' folder."""
    with TemporaryDirectory(dir=MEMORY) as folder:
        for name in ("models", "influxdb-data"):
            Path(folder, name).mkdir()
        yield Path(folder)


def test_without_a_folder_for_data_dockers_disk_holds_everything(tmp_path: Path) -> None:
    [disk] = disks_of(tmp_path, bound(None, None))
    assert disk.what == f"the disk of {tmp_path} (all of Docker's volumes)"
    assert (disk.holds_data, disk.holds_images, Path(disk.folder).is_mount()) == (True, True, True)


def test_a_folder_for_data_on_a_disk_of_its_own_is_looked_at_too(tmp_path: Path, data: Path) -> None:
    images, volumes = disks_of(tmp_path, bound(data / "models", data / "influxdb-data"))
    assert (images.what, images.holds_data) == (f"the disk of {tmp_path} (images)", False)
    assert (volumes.what, volumes.holds_images) == (f"the disk of {data} (the site's data)", False)
    assert volumes.folder == str(MEMORY)
    state = os.statvfs(MEMORY)
    assert volumes.free_bytes == pytest.approx(state.f_bavail * state.f_frsize, rel=0.05)


def test_a_folder_for_data_on_dockers_own_disk_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    [disk] = disks_of(tmp_path, bound(tmp_path / "data"))
    assert disk.what == f"the disk of {tmp_path} and {tmp_path / 'data'} (images and the site's data)"
    assert (disk.holds_data, disk.holds_images) == (True, True)


def test_one_volume_in_a_folder_of_its_own_leaves_the_others_with_docker(tmp_path: Path, data: Path) -> None:
    docker, volume = disks_of(tmp_path, bound(None, data / "models"))
    assert (docker.holds_data, volume.what) == (True, f"the disk of {data / 'models'} (the site's data)")


def test_a_disk_that_cannot_be_looked_at_is_left_out(data: Path) -> None:
    assert disks_of(None, {}) == ()
    [disk] = disks_of(Path("/no/such/folder"), bound(data / "models", data / "not there"))
    assert disk.what == f"the disk of {data / 'models'} (the site's data)"


def test_the_disks_are_those_that_docker_and_compose_name(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / COMPOSE_FILE).touch()
    said = {"info": str(tmp_path), "compose": json.dumps({"volumes": bound(data / "models")})}

    def played(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, said[command[1]], "")

    found = ComposeDevice(Compose(tmp_path, played)).disks()
    assert [each.holds_images for each in found] == [True, False]
    assert str(data / "models") in found[1].what
    assert ComposeDevice(Compose(tmp_path, lambda command, **_: refused(command))).disks() == ()


def refused(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess(command, 1, "", "Cannot connect to the Docker daemon")


def test_a_full_data_disk_is_told_with_where_to_look_and_what_the_broker_does_then() -> None:
    full = Disk("the disk of /srv/data (the site's data)", 0.92, 10**9, "/srv/data", holds_images=False)
    finding = the_one(replace(WELL, disks=(*WELL.disks, full)))
    assert (finding.code, "/srv/data" in finding.what) == ("disk_full", True)
    assert "At 95 % the broker ends itself" in finding.what
    assert "du -xh --max-depth=2 /srv/data" in finding.do


def test_a_full_disk_of_images_alone_does_not_end_the_broker() -> None:
    full = Disk("the disk of /var/lib/docker (images)", 0.92, 10**9, "/var/lib/docker", holds_data=False)
    finding = the_one(replace(WELL, disks=(full,), figures=replace(WELL_FIGURES, broker_volume_used=None)))
    assert finding.code == "disk_full"
    assert "the broker ends itself" not in finding.what
