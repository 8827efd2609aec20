"""What an upgrade decides, without an engine; tests/compose/engine runs one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import Result

from edge_manager.backup.upgrade import STATE_FILE, Noted, UpgradeError, Used, is_fresh, objections
from edge_manager.device_health.findings import Finding, Severity
from tests.edge_manager import played_engine
from tests.edge_manager.played_site import PlayedSite

ERROR = Finding("service_down", Severity.ERROR, "drift ended with exit code 1.", "docker compose up")
WARNING = Finding(
    "fan_silent", Severity.WARNING, "nothing was heard of fan 2 for 2 hours.", "fanwatch status"
)
GIGABYTE = 1_000_000_000
NOTED = Noted(
    at="2026-11-27T12:00:00.000Z",
    images={
        "monitor": Used(name="fanwatch-monitor", image_id="sha256:" + "a" * 64),
        "predictor": Used(name="fanwatch-predictor", image_id="sha256:" + "b" * 64),
        "history": Used(name="fanwatch-history", image_id="sha256:" + "c" * 64),
        "setup": Used(name="fanwatch-setup", image_id="sha256:" + "c" * 64),
    },
    backup="/mnt/nas/before.backup",
)


def test_a_device_that_is_well_and_has_room_may_be_upgraded_and_a_warning_is_no_objection() -> None:
    assert objections([WARNING], GIGABYTE, 3 * GIGABYTE, despite_findings=False) == []


def test_an_error_is_an_objection_until_somebody_who_has_seen_it_says_otherwise() -> None:
    assert objections([ERROR], GIGABYTE, 9 * GIGABYTE, despite_findings=False) == [ERROR.what]
    assert objections([ERROR], GIGABYTE, 9 * GIGABYTE, despite_findings=True) == []


def test_no_room_is_an_objection_whatever_anybody_says() -> None:
    [objection] = objections([ERROR], GIGABYTE, 3 * GIGABYTE - 1, despite_findings=True)
    assert "3.0 GB beside the old ones" in objection


def test_the_way_back_gives_every_name_its_image_again_and_each_image_a_tag_of_its_own() -> None:
    assert NOTED.retags() == [
        ("sha256:" + "a" * 64, "fanwatch-monitor"),
        ("sha256:" + "b" * 64, "fanwatch-predictor"),
        ("sha256:" + "c" * 64, "fanwatch-history"),
        ("sha256:" + "c" * 64, "fanwatch-setup"),
    ]
    tags = {used.kept_as(service) for service, used in NOTED.images.items()}
    assert len(tags) == len(NOTED.images), "one that shares its image is kept as well"
    assert "fanwatch-before/monitor:aaaaaaaaaaaa" in tags


def test_what_was_upgraded_is_whatever_runs_another_image() -> None:
    now = NOTED.images | {"monitor": Used(name="fanwatch-monitor", image_id="sha256:" + "d" * 64)}
    assert NOTED.differing(now) == ["monitor"]
    assert NOTED.differing(NOTED.images) == []


def test_what_was_noted_is_read_again_and_a_damaged_note_says_so() -> None:
    assert Noted.read(NOTED.model_dump_json()) == NOTED
    with pytest.raises(UpgradeError, match="does not say what ran before"):
        Noted.read("{}")


def test_a_verdict_from_before_the_start_proves_nothing() -> None:
    started = datetime(2026, 11, 27, 12, tzinfo=UTC)
    now = started + timedelta(seconds=30)
    assert is_fresh(29.0, started, now)
    assert not is_fresh(31.0, started, now)
    assert not is_fresh(None, started, now)


# -- an upgrade, on an engine that is played -----------------------------------------------------------


def service(name: str, version: str = "1", **more: object) -> dict[str, object]:
    """One of docker-compose.yml, as the engine that is played builds it."""
    return {
        "image": f"fanwatch-{name}",
        "build": {"args": {"version": version}},
        "restart": "unless-stopped",
        **more,
    }


def release(version: str, *names: str, **others: dict[str, object]) -> dict[str, object]:
    """A release's services: setup, the archive of a backup, and those named."""
    tools = {"archive": service("archive", version, restart="no", profiles=["tools"])}
    return {
        "setup": service("setup", version, restart="no"),
        **tools,
        **{name: service(name, version) for name in names},
        **others,
    }


def upgrade(site: PlayedSite, *arguments: str) -> Result:
    """Upgrades; nobody answers for the history or the broker here, which doctor minds."""
    out = str(site.folder / "before.backup")
    return site.fanwatch("upgrade", "--backup-out", out, "--despite-findings", *arguments)


@pytest.fixture
def site(tmp_path: Path) -> PlayedSite:
    return PlayedSite(tmp_path)


@pytest.fixture
def running(site: PlayedSite) -> PlayedSite:
    """The first release runs: setup has ended, monitor, relay and drift are there."""
    site.lies_here(release("1", "monitor", "relay", "drift"))
    site.docker("compose", "up", "setup", "monitor", "relay", "drift")
    return site


def images_of(services: dict[str, object], *names: str) -> dict[str, str]:
    return {name: played_engine.image_id(services[name]) for name in names}  # type: ignore[arg-type]


def test_a_release_that_adds_a_service_starts_it_too_and_the_way_back_takes_it_away(
    running: PlayedSite,
) -> None:
    before = running.containers()
    new = release("2", "monitor", "relay", "drift", "forecast")
    running.is_released("second", new)
    done = upgrade(running, "--to", "second")
    assert done.exit_code == 0, done.stderr
    assert running.containers() == images_of(new, "setup", "monitor", "relay", "drift", "forecast")
    assert "new in this version: forecast" in done.stderr
    assert "forecast" in done.stdout
    back = running.fanwatch("upgrade", "--back")
    assert back.exit_code == 0, back.stderr
    assert running.containers() == before


def test_a_release_that_removes_a_service_ends_it_and_the_way_back_brings_it_again(
    running: PlayedSite,
) -> None:
    before = running.containers()
    new = release("2", "monitor", "drift")
    running.is_released("second", new)
    done = upgrade(running, "--to", "second")
    assert done.exit_code == 0, done.stderr
    assert running.containers() == images_of(new, "setup", "monitor", "drift")
    assert "no longer in this version: relay" in done.stderr
    assert "relay" not in done.stdout, "it runs no other image"
    back = running.fanwatch("upgrade", "--back")
    assert back.exit_code == 0, back.stderr
    assert running.containers() == before


def test_without_a_revision_what_the_files_in_the_folder_say_is_started_and_what_they_drop_is_ended(
    running: PlayedSite,
) -> None:
    before = running.containers()
    new = release("2", "monitor", "drift", "forecast")
    running.lies_here(new)
    done = upgrade(running)
    assert done.exit_code == 0, done.stderr
    assert running.containers() == images_of(new, "setup", "monitor", "drift", "forecast")
    back = running.fanwatch("upgrade", "--back")
    assert back.exit_code == 0, back.stderr
    del before["relay"]
    assert running.containers() == before, "its image is there, and no file says how to start it"
    assert "relay ran before, and docker-compose.yml does not name it any more" in back.stderr


def test_an_added_service_that_does_not_get_well_is_taken_away_again_with_all_else(
    running: PlayedSite,
) -> None:
    before = running.containers()
    running.lies_here(
        release("2", "monitor", "relay", "drift", forecast=service("forecast") | {"x-broken": True})
    )
    done = upgrade(running)
    assert done.exit_code == 1
    assert "the upgrade failed and was taken back: container fanwatch-forecast-1 is unhealthy" in done.stderr
    assert running.containers() == before


def test_what_a_person_stopped_stays_so_with_its_new_image_ready_and_what_crashed_is_started(
    running: PlayedSite,
) -> None:
    running.stop("drift")
    running.stop("relay", exit_code=1)
    before = running.containers()
    new = release("2", "monitor", "relay", "drift")
    running.lies_here(new)
    done = upgrade(running)
    assert done.exit_code == 0, done.stderr
    assert running.states() == {
        "setup": "exited",
        "monitor": "running",
        "relay": "running",
        "drift": "exited",
    }
    assert running.containers()["drift"] == before["drift"]
    running.docker("compose", "up", "drift")
    assert running.containers() == images_of(new, "setup", "monitor", "relay", "drift"), "not the old one"
    running.stop("drift")
    assert running.fanwatch("upgrade", "--back").exit_code == 0
    assert running.states()["drift"] == "exited"


def test_what_was_left_out_before_and_what_has_a_profile_that_is_not_used_stay_away(site: PlayedSite) -> None:
    gateway = service("gateway", profiles=["machines"])
    simulator = service("simulator", scale=1)
    site.lies_here(release("1", "monitor", "grafana", gateway=gateway, simulator=simulator))
    site.docker("compose", "up", "setup", "monitor")
    new = release("2", "monitor", "grafana", gateway=gateway, simulator=simulator)
    site.is_released("second", new)
    done = upgrade(site, "--to", "second")
    assert done.exit_code == 0, done.stderr
    assert sorted(site.containers()) == ["monitor", "setup"]
    site.git("checkout", "--quiet", "second")
    (site.folder / "before.backup").unlink()
    done = upgrade(site)
    assert done.exit_code == 0, done.stderr
    assert sorted(site.containers()) == ["grafana", "monitor", "setup"], "no simulated fans on a real site"


def test_a_profile_that_is_used_stays_used_and_a_command_that_runs_meanwhile_is_no_service(
    running: PlayedSite,
) -> None:
    files = release("1", "monitor", "relay", "drift", gateway=service("gateway", profiles=["machines"]))
    running.lies_here(files)
    running.docker("compose", "up", "gateway")
    engine = played_engine.Engine(running.folder)
    engine.containers["archive-run-1"] = engine.containers["monitor"] | {"restart": "no"}
    engine.keep()
    new = release("2", "monitor", "relay", "drift", gateway=service("gateway", "2", profiles=["machines"]))
    running.lies_here(new)
    done = upgrade(running)
    assert done.exit_code == 0, done.stderr
    assert running.containers()["gateway"] == played_engine.image_id(new["gateway"])  # type: ignore[arg-type]
    assert "archive" not in running.containers()


def test_going_back_retags_what_was_noted_and_starts_it_without_building_or_pulling(site: PlayedSite) -> None:
    site.lies_here(release("1", "monitor", "predictor", "history"))
    (site.folder / STATE_FILE).write_text(NOTED.model_dump_json())
    done = site.fanwatch("upgrade", "--back")
    assert done.exit_code == 0, done.stderr
    tags = [line for line in site.asked() if line.startswith("tag")]
    assert tags == [f"tag {image} {name}" for image, name in NOTED.retags()]
    assert not [line for line in site.asked() if "compose build" in line or "compose pull" in line]
    assert site.containers() == {name: used.image_id for name, used in NOTED.images.items()}


def test_without_an_upgrade_there_is_nothing_to_go_back_to(site: PlayedSite) -> None:
    done = site.fanwatch("upgrade", "--back")
    assert (done.exit_code, site.asked()) == (1, [])
    assert "no upgrade was made here" in done.stderr


def test_an_upgrade_without_a_place_for_its_backup_is_not_begun(site: PlayedSite) -> None:
    done = site.fanwatch("upgrade")
    assert (done.exit_code, site.asked()) == (1, [])
    assert "expected --backup-out FILE" in done.stderr


def test_an_upgrade_of_a_stack_that_was_never_started_is_not_begun(site: PlayedSite) -> None:
    done = site.fanwatch("upgrade", "--backup-out", str(site.folder / "x"))
    assert done.exit_code == 1
    assert "no service of Fanwatch was started here" in done.stderr
    assert not [line for line in site.asked() if "build" in line or " up " in line or line.startswith("tag")]
