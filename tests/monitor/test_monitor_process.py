"""The monitor as a process, at a real broker with the configuration that ships."""

import json
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from contract.command import FanCommand
from contract.status import ServiceStatus
from testbed.mosquitto import Mosquitto
from testbed.site import Site
from testbed.waiting import wait_until
from tests.monitor.made_verdicts import lively, rejection, verdict
from tests.monitor.monitor_process import MonitorProcess

pytestmark = pytest.mark.usefixtures("mosquitto")


@pytest.fixture(scope="module")
def monitor(mosquitto: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MonitorProcess]:
    folder = tmp_path_factory.mktemp("monitor")
    with MonitorProcess(
        folder, mosquitto, FANWATCH_DEMO="true", FANWATCH_CLIENT_ID="monitor-test"
    ) as process:
        yield process


def fan(monitor: MonitorProcess, device_id: str) -> dict[str, Any] | None:
    body = requests.get(f"{monitor.url}/api/fans/{device_id}", timeout=5).json()
    return body["fans"][0] if body["fans"] else None


def all_acknowledged(monitor: MonitorProcess, verdicts: int) -> bool:
    """Whether so many verdicts came and every message is safe."""
    text = requests.get(f"{monitor.url}/metrics", timeout=5).text
    samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
    taken = {
        each.labels["kind"]: each.value for each in samples if each.name == "fanwatch_monitor_messages_total"
    }
    [safe] = [each.value for each in samples if each.name == "fanwatch_monitor_messages_acknowledged_total"]
    return taken.get("anomaly") == verdicts and safe == sum(taken.values())


def wait_fan(
    monitor: MonitorProcess, device_id: str, wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    def probe() -> dict[str, Any] | None:
        found = fan(monitor, device_id)
        return found if found is not None and wanted(found) else None

    return wait_until(probe, within_s=10, what=f"{device_id}\n{monitor.log()}")


def test_verdicts_of_both_generations_reach_the_page(monitor: MonitorProcess, mosquitto: Mosquitto) -> None:
    at = time.time() - 20
    with mosquitto.connect("predictor") as predictor:
        for number in range(10):
            for said in (
                verdict("page-1", at=at + number, seq=number, fault=1, signals=lively(1, number)),
                verdict("page-2", at=at + number, signals=lively(0, number)),
            ):
                predictor.publish(
                    f"fan/anomaly/{said.device_id}" if said.seq else "fan/anomaly", said.to_json()
                )
        predictor.publish("fan/rejected", rejection("page-3").to_json())
    wait_fan(monitor, "page-1", lambda found: bool(found["state"] == "fault"))
    wait_fan(monitor, "page-2", lambda found: bool(found["state"] == "healthy"))
    wait_fan(monitor, "page-3", lambda found: bool(found["state"] == "unknown" and found["refused"]))


def test_a_killed_monitor_shows_the_state_of_every_fan_again_before_one_of_them_speaks(
    new_site: Callable[[], Site], tmp_path: Path
) -> None:
    with Mosquitto(new_site()) as broker, MonitorProcess(tmp_path / "monitor", broker) as monitor:
        at = time.time() - 20
        with broker.connect("predictor") as predictor:
            for number in range(10):
                broken = verdict("5", at=at + number, seq=number, fault=1, signals=lively(1, number))
                well = verdict("6", at=at + number, seq=number, signals=lively(0, number))
                predictor.publish("fan/anomaly/5", broken.to_json())
                predictor.publish("fan/anomaly/6", well.to_json())
        wait_fan(monitor, "5", lambda found: bool(found["state"] == "fault"))
        wait_fan(monitor, "6", lambda found: bool(found["state"] == "healthy"))
        # A state is shown before it is committed; what was not would come again.
        wait_until(lambda: all_acknowledged(monitor, 20), within_s=10, what="20 verdicts acknowledged")
        # The alarm leaves by the same connection and after the acknowledgements: once it is seen, the broker has them.
        with broker.connect("telegraf") as watching:
            watching.subscribe("fan/alarms/5")
            watching.next(within_s=30)
        monitor.kill()
        monitor.start()
        five = wait_fan(monitor, "5", lambda found: bool(found["state"] == "fault"))
        assert (five["since"], five["contact_age_s"], five["points"]) == (None, None, [])
        assert wait_fan(monitor, "6", lambda _: True)["state"] == "healthy"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00\xff",
        b"[]",
        b"null",
        b'{"deviceID": "<b>"}',
        verdict("bad", at=0).to_json().replace(b"1970-01-01", b"2026-02-31"),
        b"[" * 100_000,
        b"x" * 1_000_000,
    ],
    ids=["empty", "binary", "list", "null", "no verdict", "no such day", "deep", "1 MB"],
)
def test_a_bad_message_is_left_out_and_the_next_good_one_is_shown(
    monitor: MonitorProcess, mosquitto: Mosquitto, payload: bytes
) -> None:
    before = fan(monitor, "after-bad")
    with mosquitto.connect("predictor") as predictor:
        for topic in ("fan/anomaly/x", "fan/rejected", "fan/status/predictor"):
            predictor.publish(topic, payload)
        seq = 0 if before is None else len(before["points"])
        predictor.publish("fan/anomaly/after-bad", verdict("after-bad", at=1000.0 + seq, seq=seq).to_json())
    wait_fan(monitor, "after-bad", lambda found: len(found["points"]) == seq + 1)
    assert "message_failed" not in monitor.log()


def test_a_button_reaches_the_fan_as_a_command(monitor: MonitorProcess, mosquitto: Mosquitto) -> None:
    with mosquitto.connect("simulator") as simulator:
        simulator.subscribe("fan/commands/+")
        answer = requests.post(
            f"{monitor.url}/api/fans/5/command",
            json={"condition": "faulty"},
            headers={"Origin": monitor.url},
            timeout=5,
        )
        assert answer.status_code == 202
        message = simulator.next()
    assert message.topic == "fan/commands/5"
    assert message.qos == 1
    assert FanCommand.model_validate_json(message.payload).condition == "faulty"


def test_its_status_is_retained_while_it_lives_and_when_it_is_killed(
    new_site: Callable[[], Site], tmp_path: Path
) -> None:
    def status(broker: Mosquitto) -> str:
        with broker.connect("telegraf") as telegraf:
            telegraf.subscribe("fan/status/monitor")
            return ServiceStatus.model_validate_json(telegraf.next().payload).status

    with Mosquitto(new_site()) as broker, MonitorProcess(tmp_path / "monitor", broker) as monitor:
        assert status(broker) == "online"
        monitor.stop()
        assert status(broker) == "offline"
        monitor.start()
        assert status(broker) == "online"


def test_a_broker_that_is_away_makes_it_ill_and_a_broker_that_is_back_makes_it_well(
    new_site: Callable[[], Site], tmp_path: Path
) -> None:
    with Mosquitto(new_site()) as broker, MonitorProcess(tmp_path / "monitor", broker) as monitor:
        broker.kill()

        def ill() -> str | None:
            answer = requests.get(f"{monitor.url}/health", timeout=10)
            return answer.text if answer.status_code == 503 else None

        assert "broker" in json.loads(wait_until(ill, within_s=20, what="503"))["complaint"]
        assert requests.get(monitor.url, timeout=5).status_code == 200
        assert requests.get(f"{monitor.url}/api/fans", timeout=5).json()["broker_trouble"]
        broker.start()
        wait_until(lambda: requests.get(f"{monitor.url}/health", timeout=10).ok, within_s=20, what="health")
        with broker.connect("predictor") as predictor:
            predictor.publish("fan/anomaly/back", verdict("back", at=1000.0).to_json())
        wait_fan(monitor, "back", lambda _: True)


def test_neither_a_restart_nor_a_session_that_the_broker_lost_invents_missing_readings(
    new_site: Callable[[], Site], tmp_path: Path
) -> None:
    def say(broker: Mosquitto, *seqs: int) -> None:
        with broker.connect("predictor") as predictor:
            for seq in seqs:
                predictor.publish("fan/anomaly/5", verdict("5", at=1000.0 + seq, seq=seq).to_json())

    def wait_losses(monitor: MonitorProcess, received: int) -> dict[str, int]:
        losses: dict[str, int] = wait_fan(
            monitor, "5", lambda found: bool(found["losses"]["received"] == received)
        )["losses"]
        return losses

    with Mosquitto(new_site()) as broker, MonitorProcess(tmp_path / "monitor", broker) as monitor:
        say(broker, 1, 3)
        assert wait_losses(monitor, 2)["missing"] == 1
        # A verdict is shown before it is committed; what was not would come again, and count in the next run.
        wait_until(lambda: all_acknowledged(monitor, 2), within_s=10, what="2 verdicts acknowledged")
        monitor.stop()
        say(broker, 4, 5)
        monitor.start()
        say(broker, 6)
        assert wait_losses(monitor, 3)["missing"] == 0  # the broker has kept what came meanwhile
        broker.kill()
        shutil.rmtree(broker.folder / "data")
        (broker.folder / "data").mkdir()
        broker.start()
        wait_until(
            lambda: monitor.log().count('"broker_subscribed"') >= 2, within_s=20, what="a new subscription"
        )
        say(broker, 90, 92)
        assert wait_losses(monitor, 5)["missing"] == 1


def test_a_frozen_broker_makes_it_ill_although_the_connection_stands(
    new_site: Callable[[], Site], tmp_path: Path
) -> None:
    with Mosquitto(new_site()) as broker, MonitorProcess(tmp_path / "monitor", broker) as monitor:
        broker.send(signal.SIGSTOP)
        try:
            complaint = wait_until(
                lambda: requests.get(f"{monitor.url}/health", timeout=10).json()["complaint"],
                within_s=20,
                what="a complaint",
            )
            assert "no answer from the broker" in complaint
        finally:
            broker.send(signal.SIGCONT)


def test_sigterm_ends_it_in_good_order(mosquitto: Mosquitto, tmp_path: Path) -> None:
    with MonitorProcess(tmp_path, mosquitto, FANWATCH_CLIENT_ID="monitor-term") as monitor:
        monitor.send(signal.SIGTERM)
        assert monitor.wait_ended(15) == 0
        lines = [json.loads(line) for line in monitor.log().splitlines()]
        assert "monitor stopped" in [line["event"] for line in lines]


def test_a_port_that_is_taken_is_said_clearly(
    monitor: MonitorProcess, tmp_path: Path, mosquitto: Mosquitto
) -> None:
    second = MonitorProcess(
        tmp_path, mosquitto, FANWATCH_LISTEN_PORT=str(monitor.port), FANWATCH_CLIENT_ID="monitor-second"
    )
    second.start(wait=False)
    assert second.wait_ended(30) != 0
    assert "in use" in second.log()


def test_a_wrong_setting_is_named_and_nothing_starts(tmp_path: Path, mosquitto: Mosquitto) -> None:
    process = MonitorProcess(tmp_path, mosquitto, FANWATCH_FORGET_AFTER_S="soon")
    process.start(wait=False)
    assert process.wait_ended(30) == 2
    assert json.loads(process.log())["wrong"][0]["setting"] == "forget_after_s"


def not_started(process: MonitorProcess) -> str:
    """The one line that a monitor says which does not start."""
    process.start(wait=False)
    assert process.wait_ended(30) == 2
    [line] = process.log().splitlines()
    said = json.loads(line)
    assert said["event"] == "not_started"
    return str(said["why"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[mode\n", "cannot be read"),
        (
            '[mode]\nsignal = "speed"\nstopped_below = 1\nrunning_above = 2\n',
            "'speed' is not one of the signals",
        ),
        ("[evidence]\nfalse_fault_rat = 0.1\n", "evidence.false_fault_rat: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_plant_file_stops_the_start_with_one_sentence(
    tmp_path: Path, mosquitto: Mosquitto, text: str, why: str
) -> None:
    file = tmp_path / "plant.toml"
    file.write_text(text)
    said = not_started(MonitorProcess(tmp_path, mosquitto, FANWATCH_PLANT_FILE=str(file)))
    assert str(file) in said
    assert why in said


@pytest.mark.parametrize("which", ["ALARM", "ACCOUNT"])
@pytest.mark.parametrize("what", ["a folder", "another file", "of a newer version", "in no folder"])
def test_a_file_of_its_own_that_cannot_be_used_stops_the_start_with_one_sentence(
    tmp_path: Path, mosquitto: Mosquitto, which: str, what: str
) -> None:
    file = tmp_path / "kept.sqlite3"
    if what == "a folder":
        file.mkdir()
    elif what == "another file":
        file.write_text("this is no database, and it is longer than the header of one " * 20)
    elif what == "of a newer version":
        with closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA user_version = 99")
    else:
        (tmp_path / "file").write_text("")
        file = tmp_path / "file" / "kept.sqlite3"
    said = not_started(MonitorProcess(tmp_path, mosquitto, **{f"FANWATCH_{which}_FILE": str(file)}))
    assert said.startswith(f"the {which.lower()}s' file {file} ")
    assert what != "of a newer version" or "newer Fanwatch" in said


def test_a_notification_url_that_nobody_understands_is_named_by_its_place_and_never_by_its_text(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    process = MonitorProcess(
        tmp_path, mosquitto, FANWATCH_NOTIFY_URLS="json://127.0.0.1/one carrier-pigeon://user:hunter2222@roof"
    )
    said = not_started(process)
    assert said.startswith("notification URL number 2: not understood. Expected one of apprise's")
    assert "hunter2222" not in process.log()


def test_an_error_of_our_own_is_logged_without_what_the_variables_held(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with MonitorProcess(tmp_path, mosquitto, FANWATCH_CLIENT_ID="monitor-error") as monitor:
        session = requests.Session()
        form = session.get(f"{monitor.url}/login", timeout=5).text
        token = form.split('name="csrf_token" value="')[1].split('"')[0]
        with closing(sqlite3.connect(tmp_path / "accounts.sqlite3")) as database:
            database.execute("DROP TABLE session")
            database.execute("DROP TABLE account")
        answer = session.post(
            f"{monitor.url}/login",
            data={"csrf_token": token, "name": "operator", "password": "a secret that nobody may read"},
            headers={"Origin": monitor.url},
            timeout=10,
        )
        assert answer.status_code == 500
        wait_until(lambda: "no such table" in monitor.log(), within_s=5, what="the error in the log")
        assert "a secret that nobody may read" not in monitor.log()
        assert "frames" in monitor.log()
