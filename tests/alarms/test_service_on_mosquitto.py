"""The running alarms on a real broker: retained, in order, through an outage of the broker and a kill."""

import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.alarm import Alarm, AlarmState
from contract.topics import Topics
from monitor.alarms.database import AlarmDatabase
from monitor.alarms.outbox import PUBLISH, Outbox
from monitor.alarms.service import AlarmService
from monitor.alarms.settings import AlarmSettings
from monitor.clock import SystemClock
from monitor.findings import Finding, FindingKind
from mqtt_session.background import BackgroundSession
from testbed.mosquitto import Connection, Mosquitto
from testbed.site import Site
from testbed.waiting import wait_until
from tests.alarms.own_session import own_session

AT_ONCE = '{"machine_fault": {"on_delay_s": 0, "off_delay_s": 0}, "silence": {"on_delay_s": 0.2}}'


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AlarmSettings:
    monkeypatch.setenv("FANWATCH_ALARM_FILE", str(tmp_path / "alarms.sqlite3"))
    monkeypatch.setenv("FANWATCH_ALARM_RULES", AT_ONCE)
    monkeypatch.setenv("FANWATCH_SECRETS_DIR", str(tmp_path / "none"))
    return AlarmSettings.read()


def find(device: str, kind: FindingKind = FindingKind.MACHINE_FAULT, present: bool = True) -> Finding:
    return Finding(device, kind, present, datetime.now(UTC), "it is so", "look")


def next_alarm(watcher: Connection) -> tuple[Alarm, bool]:
    message = watcher.next()
    assert message.qos == 1
    return Alarm.from_json(bytes(message.payload)), message.retain


def served(settings: AlarmSettings, session: BackgroundSession) -> AlarmService:
    return AlarmService(settings, Topics(), session, SystemClock())


def test_each_change_is_published_and_the_last_one_is_retained(
    mosquitto: Mosquitto, settings: AlarmSettings
) -> None:
    with own_session(mosquitto) as own, mosquitto.connect("telegraf") as watcher:
        watcher.subscribe("fan/alarms/retained")
        service = served(settings, own)
        service.start()
        service.desk.on_findings([find("retained")])
        first, _ = next_alarm(watcher)
        assert (first.state, first.device_id, first.active) == (AlarmState.UNACKNOWLEDGED, "retained", 1)
        assert first.alarm_id
        service.desk.acknowledge(first.alarm_id, "Anna")
        assert next_alarm(watcher)[0].acknowledged_by == "Anna"
        service.desk.on_findings([find("retained", present=False)])
        assert next_alarm(watcher)[0].state is AlarmState.NORMAL
        assert service.complaint() is None
        service.stop()
        assert service.complaint() is not None
        with mosquitto.connect("telegraf") as later:
            later.subscribe("fan/alarms/retained")
            last, retained = next_alarm(later)
            assert (last.state, retained) == (AlarmState.NORMAL, True)


def test_a_delay_that_is_over_is_published_though_nobody_says_anything(
    mosquitto: Mosquitto, settings: AlarmSettings
) -> None:
    with own_session(mosquitto) as own, mosquitto.connect("telegraf") as watcher:
        watcher.subscribe("fan/alarms/delayed")
        service = served(settings, own)
        service.start()
        began = find("delayed", FindingKind.SILENCE)
        service.desk.on_findings([began])
        alarm, _ = next_alarm(watcher)
        assert datetime.fromisoformat(alarm.since) - began.at == pytest.approx(
            timedelta(seconds=0.2), abs=timedelta(milliseconds=1)
        )
        service.stop()


def test_what_happens_while_the_broker_is_away_comes_in_order_when_it_is_back(
    settings: AlarmSettings, new_site: Callable[[], Site]
) -> None:
    with (
        Mosquitto(new_site()) as broker,
        own_session(broker) as own,
    ):
        service = served(settings, own)
        service.start()
        broker.kill()
        wait_until(lambda: own.trouble is not None, within_s=20, what="the loss of the connection")
        for number in range(300):
            service.desk.on_findings([find("away", present=number % 2 == 0)])
            for alarm in service.desk.active():
                assert alarm.alarm_id
                service.desk.acknowledge(alarm.alarm_id, "Anna")
        broker.start()
        with broker.connect("telegraf") as watcher:
            watcher.subscribe("fan/alarms/away")
            got: list[Alarm] = []
            while not got or got[-1].state is not AlarmState.NORMAL or got[-1].seq < 450:
                got.append(next_alarm(watcher)[0])
        numbers = [alarm.seq for alarm in got]
        assert numbers == sorted(numbers), "an older alarm came after a newer one"
        wait_until(lambda: waiting(settings) == 0, within_s=20, what="an empty outbox")
        service.stop()


def test_what_was_committed_and_not_published_goes_out_after_a_kill(
    mosquitto: Mosquitto, settings: AlarmSettings
) -> None:
    # A process that stores an alarm and is killed before anything can be published.
    code = (
        "import os, signal\n"
        "from monitor.alarms.database import AlarmDatabase\n"
        "from monitor.alarms.desk import AlarmDesk\n"
        "from monitor.alarms.settings import AlarmSettings\n"
        "from monitor.clock import SystemClock\n"
        "from datetime import UTC, datetime\n"
        "from monitor.findings import Finding, FindingKind\n"
        "settings = AlarmSettings.read()\n"
        "desk = AlarmDesk(AlarmDatabase(settings.alarm_file), settings.policy(), SystemClock())\n"
        "now = datetime.now(UTC)\n"
        "desk.on_findings([Finding('killed', FindingKind.MACHINE_FAULT, True, now, 'it is so', 'look')])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], timeout=60, check=False, env=os.environ)
    assert ended.returncode == -signal.SIGKILL
    with own_session(mosquitto) as own, mosquitto.connect("telegraf") as watcher:
        watcher.subscribe("fan/alarms/killed")
        service = served(settings, own)
        service.start()
        assert next_alarm(watcher)[0].state is AlarmState.UNACKNOWLEDGED
        service.stop()
        assert waiting(settings) == 0
        service = served(settings, own)
        service.start()
        service.stop()
        with pytest.raises(queue.Empty):
            watcher.next(within_s=0.3)


def waiting(settings: AlarmSettings) -> int:
    with AlarmDatabase(settings.alarm_file, read_only=True) as database:
        return Outbox(database).waiting(PUBLISH)
