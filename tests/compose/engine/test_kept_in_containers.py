"""`fanwatch status`, `doctor`, `backup` and `restore` on the running stack, as a person calls them on the host."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_manager.backup.encryption import new_key
from testbed.containers import BIND, PROJECT, ROOT, Stack, fanwatch
from testbed.waiting import wait_until

NOT_OURS = {"clock_unsynchronised", "disk_fills", "fan_silent"}
"""What the machine of the tests may be guilty of, and what tests before these on the same stack may leave: fans
that are gone."""


def told(*arguments: str) -> dict[str, Any]:
    answer = fanwatch(*arguments, "--json")
    assert answer.returncode in {0, 1}, answer.stderr
    body: dict[str, Any] = json.loads(answer.stdout)
    assert answer.returncode == (0 if body["well"] else 1)
    return body


def codes(*arguments: str) -> set[str]:
    return {each["code"] for each in told(*arguments)["findings"]} - NOT_OURS


def whole_status() -> dict[str, Any] | None:
    """On a busy machine a reader in a container may not be there in time, and `status` says so: it is asked again."""
    body = told("status")
    return body if body["figures"] is not None and body["broker"] is not None else None


@pytest.fixture
def well(stack: Stack) -> Stack:
    wait_until(lambda: codes("status") == set(), within_s=120, what="a stack that is well")
    return stack


def test_status_knows_services_broker_disk_model_heartbeat_and_fans(well: Stack) -> None:
    body = wait_until(whole_status, within_s=120, what="a status in which everybody has answered")
    services = {each["name"]: each for each in body["services"]}
    assert services["mosquitto"]["health"] == "healthy"
    assert set(well.services) - {"setup"} <= set(services)
    assert body["broker"]["dropped"] == 0
    assert body["disks"][0]["free_bytes"] > 0
    assert body["figures"]["models"] == ["fan:1"]
    assert body["figures"]["newest_verdict_age_s"] < 60
    assert set(body["figures"]["fans"]) >= {str(fan) for fan in range(1, 7)}
    text = fanwatch("status").stdout
    assert "heartbeat   the newest verdict in InfluxDB is" in text


def test_doctor_finds_a_stopped_service_and_its_command_mends_it(well: Stack) -> None:
    assert codes("doctor") == set()
    well.compose("stop", "influxdb")
    try:
        findings = {each["code"]: each for each in told("doctor")["findings"]}
        assert {"influxdb_away"} <= findings.keys()
        assert "service_down" in findings or "influxdb" in findings["influxdb_away"]["what"].lower()
        assert "docker compose up --detach influxdb" in findings["influxdb_away"]["do"]
    finally:
        well.compose("up", "--detach", "--wait", "influxdb")
    wait_until(lambda: codes("doctor") == set(), within_s=120, what="a stack that is well again")


@pytest.fixture(scope="module")
def kept(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A backup under load, the volumes thrown away, and a restore; what was known before."""
    folder = tmp_path_factory.mktemp("kept")
    secret, public = new_key()
    (folder / "key").write_text(secret)
    (folder / "key.pub").write_text(public)
    before: dict[str, Any] = {
        "passwords": stack.passwords("page", "mqtt-legacy", "influxdb-admin"),
        "verdicts": verdicts(stack),
        "folder": folder,
    }
    added = stack.execute(
        "monitor", "sh", "-c", "echo 'a long enough password' | python -m monitor.login add keeper"
    )
    assert "keeper may sign in" in added.stdout
    made = fanwatch(
        "backup", "--out", str(folder / "site.backup"), "--key", str(folder / "key.pub"), "--json"
    )
    assert made.returncode == 0, made.stderr
    before["told"] = json.loads(made.stdout)
    stack.down("--volumes")
    before["restored"] = fanwatch("restore", str(folder / "site.backup"), "--key", str(folder / "key"))
    stack.up()
    return before


def verdicts(stack: Stack) -> dict[str, int]:
    rows = stack.query('SELECT count("fault") FROM "fan"."raw"."anomaly" GROUP BY "deviceID"')
    return {row["deviceID"]: row["count"] for row in rows}


def test_a_restore_on_emptied_volumes_brings_back_history_passwords_and_people(
    stack: Stack, kept: dict[str, Any]
) -> None:
    assert kept["restored"].returncode == 0, kept["restored"].stderr
    assert stack.passwords("page", "mqtt-legacy", "influxdb-admin") == kept["passwords"]
    after = verdicts(stack)
    assert all(after[fan] >= count for fan, count in kept["verdicts"].items())
    assert "keeper" in stack.execute("monitor", "python", "-m", "monitor.login", "list").stdout.split()
    assert kept["told"]["parts"] == ["influxdb", "kept"]


def test_new_readings_flow_after_a_restore_and_no_volume_belongs_to_the_wrong_user(
    stack: Stack, kept: dict[str, Any]
) -> None:
    before = verdicts(stack)
    wait_until(lambda: sum(verdicts(stack).values()) > sum(before.values()), within_s=60, what="new verdicts")
    wait_until(lambda: codes("status") == set(), within_s=120, what="a stack that is well")


def test_a_restore_over_a_running_site_is_refused_in_one_sentence(stack: Stack, kept: dict[str, Any]) -> None:
    folder: Path = kept["folder"]
    answer = fanwatch("restore", str(folder / "site.backup"), "--key", str(folder / "key"))
    assert answer.returncode == 1
    assert "has data already" in answer.stderr
    assert "--overwrite-existing-data" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert stack.containers()["monitor"]["State"]["Running"]


@pytest.fixture(scope="module")
def clone(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The stack runs out of a clone of its own, with a good and a bad version to come.

    The good one has another service, `lookout`, and no drift watch.
    """
    folder = tmp_path_factory.mktemp("clone") / "fanwatch"
    git(ROOT, "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder))
    git(folder, "config", "user.email", "test@fanwatch.example")
    git(folder, "config", "user.name", "test")
    git(folder, "tag", "first")
    for tag, line in (
        ("good", "# A newer version.\n"),
        ("bad", "raise SystemExit('this version is broken')\n"),
    ):
        git(folder, "checkout", "--quiet", "first")
        main = folder / "monitor" / "__main__.py"
        main.write_text(line + main.read_text() if tag == "bad" else main.read_text() + line)
        if tag == "good":
            file = folder / "docker-compose.yml"
            content = yaml.safe_load(file.read_text())
            del content["services"]["drift"]
            content["services"]["lookout"] = {
                "image": content["services"]["telegraf"]["image"],
                "entrypoint": ["sleep", "infinity"],
                "stop_grace_period": "1s",
                "network_mode": "none",
                "restart": "unless-stopped",
            }
            file.write_text(yaml.safe_dump(content))
        git(folder, "commit", "--quiet", "--all", "--message", tag)
        git(folder, "tag", tag)
    git(folder, "checkout", "--quiet", "first")
    compose(folder, "up", "--detach", "--build", "--wait", "--wait-timeout", "300", *stack.services)
    yield folder
    stack.up()


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=120
    ).stdout.strip()


def compose(folder: Path, *arguments: str) -> None:
    environment = os.environ | {
        "COMPOSE_PROJECT_NAME": PROJECT,
        "FANWATCH_BIND": BIND,
        "FANWATCH_UNENCRYPTED_MQTT_BIND": BIND,
    }
    subprocess.run(
        ["docker", "compose", *arguments],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        timeout=1200,
    )


def wait_upgradable(folder: Path) -> None:
    def well() -> bool:
        body = json.loads(fanwatch("doctor", "--json", folder=folder).stdout)
        return not any(each["severity"] == "error" for each in body["findings"])

    wait_until(well, within_s=120, what="a stack without an error")


@pytest.mark.timeout(1800)
def test_a_version_that_does_not_start_is_taken_back_by_itself_with_its_files(
    stack: Stack, clone: Path
) -> None:
    wait_upgradable(clone)
    before, first = stack.containers()["monitor"]["Image"], git(clone, "rev-parse", "HEAD")
    out = clone.parent / "before-bad.backup"
    answer = fanwatch("upgrade", "--to", "bad", "--backup-out", str(out), folder=clone)
    assert answer.returncode == 1
    assert "the upgrade failed and was taken back" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert out.exists()
    assert git(clone, "rev-parse", "HEAD") == first
    assert stack.containers()["monitor"]["Image"] == before
    wait_upgradable(clone)


@pytest.mark.timeout(1800)
def test_a_good_version_is_taken_up_with_its_own_services_and_can_be_gone_back_from(
    stack: Stack, clone: Path
) -> None:
    wait_upgradable(clone)
    before = {name: each["Image"] for name, each in stack.containers().items()}
    assert "drift" in before
    out = clone.parent / "before-good.backup"
    answer = fanwatch("upgrade", "--to", "good", "--backup-out", str(out), folder=clone)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == "Upgraded: lookout, monitor"
    after = stack.containers()
    assert after["monitor"]["Image"] != before["monitor"]
    assert after["lookout"]["State"]["Running"]
    assert after.keys() - {"lookout"} == before.keys() - {"drift"}
    answer = fanwatch("upgrade", "--back", folder=clone)
    assert answer.returncode == 0, answer.stderr
    assert {name: each["Image"] for name, each in stack.containers().items()} == before
    assert git(clone, "describe", "--tags", "--exact-match") == "first"
