"""From a fan to an alarm and its history, through every real server: what breaks, stops, wears, and is mended.

The delays of the alarms and the time of a silence are short here, so that a life of a fan passes in seconds; everything
else is as it ships.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import requests

from contract.alarm import Alarm, AlarmState
from contract.command import Condition, FanCommand
from contract.reading import Reading
from contract.timestamp import format_timestamp, parse_timestamp
from monitor.alarms.database import AlarmDatabase
from monitor.alarms.history import AlarmHistory
from monitor.diagnosis.plant import DEFAULT_PLANT
from monitor.findings import FindingKind
from testbed.alert_rules import evaluate, rule
from testbed.influxdb import InfluxDB, nanoseconds
from testbed.mosquitto import Connection, Mosquitto
from testbed.services import Inference, Predictor, Simulator
from testbed.site import Site
from testbed.telegraf import Telegraf
from testbed.waiting import wait_until
from tests.monitor.monitor_process import MonitorProcess

RULES = json.dumps({kind.value: {"on_delay_s": 0.2, "off_delay_s": 0.2} for kind in FindingKind})
QUALITY = "\n[quality]\nsilent_after_s = 5\n"
RATE = 12.0
WELL, BROKEN, SILENT, WORN = "1", "2", "3", "4"
SWITCHED_OFF, STUCK, MISREAD = "switched-off", "stuck", "misread"
RUNNING = {"rotation": 600.0, "temperature": 40.0, "vibration": 150.0, "sound": 48.0}
AT_REST = {"rotation": 0.0, "temperature": 21.0, "vibration": 0.0, "sound": 30.0}
SEIZED = {"rotation": 0.0, "temperature": 55.0, "vibration": 0.0, "sound": 60.0}
IMPOSSIBLE = RUNNING | {"vibration": 5000.0}
WEARS_OUT_IN_S = 30.0

pytestmark = pytest.mark.timeout(120)


@dataclass
class Speaker:
    """A fan of this test's own, several readings a second; told what to measure."""

    device: str
    connection: Connection
    signals: dict[str, float]
    _seq: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(1 / RATE):
            # The last digit moves, as a sensor's does, where anything moves at all.
            trembling = 0.1 * (self._seq % 7) if self.signals["rotation"] else 0.0
            measured = {name: round(value + trembling, 1) for name, value in self.signals.items()}
            body = Reading(
                deviceID=self.device,
                timeStamp=format_timestamp(datetime.now(UTC)),
                seq=self._seq,
                bootID="boot",
                **measured,
            )
            self.connection.client.publish(f"fan/messages/{self.device}", body.to_json(), qos=1)
            self._seq += 1

    def close(self) -> None:
        """Say no more."""
        self._stopping.set()
        self._thread.join()


@dataclass
class Plant:
    """What the tests do with the plant, and what they have heard of its alarms."""

    broker: Mosquitto
    influxdb: InfluxDB
    monitor: MonitorProcess
    people: Connection
    misread: Speaker
    watcher: Connection
    heard: dict[tuple[str, int], Alarm] = field(default_factory=dict)
    """Every alarm that was published, by its device and number: one that is said twice is one."""

    def command(self, fan: str, condition: Condition, seconds: float | None = None) -> None:
        """Break or mend a simulated fan."""
        body = FanCommand(condition=condition, duration_s=seconds).model_dump_json(exclude_none=True)
        self.people.publish(f"fan/commands/{fan}", body)

    def listen(self) -> None:
        """Take what was published since."""
        while not self.watcher.messages.empty():
            alarm = Alarm.from_json(bytes(self.watcher.next().payload))
            self.heard.setdefault((alarm.device_id, alarm.seq), alarm)

    def of(self, device: str) -> list[Alarm]:
        """What was said of one device, in its order."""
        self.listen()
        return [alarm for (name, _), alarm in sorted(self.heard.items()) if name == device]

    def kinds(self, device: str) -> set[str]:
        """Which alarms a device has had."""
        return {alarm.kind for alarm in self.of(device) if alarm.kind}

    def wait(self, device: str, wanted: Callable[[Alarm], bool], what: str) -> Alarm:
        """Wait for an alarm of a device."""

        def probe() -> Alarm | None:
            return next((alarm for alarm in self.of(device) if wanted(alarm)), None)

        try:
            return wait_until(probe, within_s=40, what=f"{what} of {device}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}; heard: {self.of(device)}\n{self.monitor.log()}") from None

    def wait_raised(self, device: str, kind: FindingKind) -> Alarm:
        """Wait for an alarm of that kind that calls people."""
        alarm = self.wait(
            device, lambda alarm: alarm.kind == kind.value and alarm.active == 1, f"alarm {kind.value}"
        )
        assert alarm.state is AlarmState.UNACKNOWLEDGED
        return alarm

    def wait_returned(self, raised: Alarm) -> None:
        """Wait until the cause of an alarm is gone."""
        device = raised.device_id
        self.wait(device, lambda alarm: alarm.alarm_id == raised.alarm_id and not alarm.active, "return")

    def wait_grafana(self, *, fires: bool) -> None:
        """Wait until Grafana's alert of the broken fan fires, or does no longer."""
        alert = rule("fanwatch-alarm-high")
        wait_until(
            lambda: (
                evaluate(alert, self.influxdb).of(deviceID=BROKEN, kind=FindingKind.MACHINE_FAULT) is fires
            ),
            within_s=30,
            what=f"an alert that {'fires' if fires else 'has ended'}",
        )

    def acknowledge(self, alarm: Alarm) -> None:
        """Answer an alarm as an operator does: signed in, on the page."""
        with requests.Session() as browser:
            url, ours = self.monitor.url, {"Origin": self.monitor.url}
            form = {
                "name": "operator",
                "password": self.monitor.first_password,
                "csrf_token": token(browser.get(f"{url}/login", timeout=5)),
            }
            browser.post(f"{url}/login", data=form, headers=ours, timeout=5).raise_for_status()
            headers = ours | {"X-CSRFToken": token(browser.get(f"{url}/alarms", timeout=5))}
            order = f"{url}/api/alarms/{alarm.alarm_id}/acknowledge"
            browser.post(order, json={}, headers=headers, timeout=5).raise_for_status()


def token(page: requests.Response) -> str:
    found = re.search(r'name="csrf(?:_token|-token)" (?:value|content)="([^"]+)"', page.text)
    assert found, page.text[:500]
    return found[1]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory, inference: Inference) -> Iterator[Plant]:
    """Everything goes wrong at once, each on a fan of its own, once all fans were seen to be well."""
    site = Site(tmp_path_factory.mktemp("alarms"))
    knowledge = site.folder / "plant.toml"
    knowledge.write_text(DEFAULT_PLANT.read_text() + QUALITY)
    settings = {
        "FANWATCH_ALARM_RULES": RULES,
        "FANWATCH_PLANT_FILE": str(knowledge),
        "FANWATCH_INFERENCE_URL": inference.url,
    }
    with ExitStack() as stack:
        broker, influxdb = stack.enter_context(Mosquitto(site)), stack.enter_context(InfluxDB(site))
        influxdb.prepare()
        monitor = MonitorProcess(site.folder / "monitor", broker, **settings)
        figures = {"monitor": f"{monitor.url}/metrics"}
        stack.enter_context(Telegraf(broker, influxdb, metrics_urls=figures))
        stack.enter_context(Predictor(broker, inference.url))
        stack.enter_context(monitor)
        fans, people, watcher = (
            stack.enter_context(broker.connect(user)) for user in ("simulator", "monitor", "telegraf")
        )
        watcher.subscribe("fan/alarms/+")
        speakers = [Speaker(name, fans, dict(RUNNING)) for name in (SWITCHED_OFF, STUCK, MISREAD)]
        for speaker in speakers:
            stack.callback(speaker.close)
        stack.enter_context(Simulator(broker, fans=4, rate=RATE, seed=7))
        wait_until(lambda: judged(monitor) >= {WELL, BROKEN, SILENT, WORN}, within_s=30, what="healthy fans")
        made = Plant(broker, influxdb, monitor, people, speakers[2], watcher)
        made.command(BROKEN, Condition.FAULTY)
        made.command(SILENT, Condition.SILENT)
        made.command(WORN, Condition.WEARING, WEARS_OUT_IN_S)
        for speaker, signals in zip(speakers, (AT_REST, SEIZED, IMPOSSIBLE), strict=True):
            speaker.signals = dict(signals)
        yield made


def judged(monitor: MonitorProcess) -> set[str]:
    """Devices whose health is known."""
    answers = {
        name: requests.get(f"{monitor.url}/api/fans/{name}/diagnosis", timeout=5).json()
        for name in (WELL, BROKEN, SILENT, WORN)
    }
    return {name for name, body in answers.items() if body.get("health") == "healthy"}


def test_a_fan_that_breaks_is_a_machine_fault_with_its_reasons(plant: Plant) -> None:
    first = plant.wait_raised(BROKEN, FindingKind.MACHINE_FAULT)
    assert "look at" in first.why
    # The first words are made of the numbers alone; the model's own reasons follow.
    explained = plant.wait(BROKEN, lambda alarm: len(alarm.contributions) == 4, "reasons of the model")
    assert explained.alarm_id == first.alarm_id
    assert sum(part.share for part in explained.contributions) == pytest.approx(1, abs=0.01)
    assert explained.inspect
    assert explained.priority == 1


def test_a_sensor_out_of_range_is_a_sensor_fault_and_no_machine_fault(plant: Plant) -> None:
    raised = plant.wait_raised(MISREAD, FindingKind.OUT_OF_RANGE)
    assert "vibration" in raised.why
    plant.misread.signals = dict(RUNNING)
    plant.wait_returned(raised)
    assert plant.kinds(MISREAD) == {FindingKind.OUT_OF_RANGE}


def test_a_silent_fan_is_a_silence_and_no_machine_fault(plant: Plant) -> None:
    raised = plant.wait_raised(SILENT, FindingKind.SILENCE)
    assert "Nothing was heard" in raised.why
    plant.command(SILENT, Condition.HEALTHY)
    plant.wait_returned(raised)
    assert plant.kinds(SILENT) == {FindingKind.SILENCE}


def test_a_fan_that_stands_still_while_it_is_hot_and_hums_is_stuck(plant: Plant) -> None:
    raised = plant.wait_raised(STUCK, FindingKind.MACHINE_FAULT)
    assert "otation 0 r/min" in raised.why
    assert plant.kinds(STUCK) == {FindingKind.MACHINE_FAULT}, "nothing moves, and that is no sensor's fault"


def test_a_fan_that_wears_out_is_told_ahead_with_the_time_left(plant: Plant) -> None:
    warning = plant.wait_raised(WORN, FindingKind.WEAR)
    assert re.search(r"worn out, in \d+ to \d+ seconds", warning.why), warning.why
    assert warning.priority == 2


def test_grafana_alerts_until_somebody_has_acknowledged_and_sees_that_the_alarms_work(plant: Plant) -> None:
    raised = plant.wait_raised(BROKEN, FindingKind.MACHINE_FAULT)
    plant.wait_grafana(fires=True)
    plant.acknowledge(raised)
    plant.wait_grafana(fires=False)
    works = rule("fanwatch-alarms-down")
    wait_until(
        lambda: evaluate(works, plant.influxdb).of() is False, within_s=30, what="the figures of the alarms"
    )


def test_a_mended_fan_that_was_acknowledged_returns_to_normal(plant: Plant) -> None:
    raised = plant.wait_raised(BROKEN, FindingKind.MACHINE_FAULT)
    if plant.of(BROKEN)[-1].state is AlarmState.UNACKNOWLEDGED:  # unless the test above has been run
        plant.acknowledge(raised)
    answered = plant.wait(BROKEN, lambda alarm: alarm.state is AlarmState.ACKNOWLEDGED, "answer")
    assert (answered.acknowledged_by, answered.active) == ("operator", 1)
    plant.command(BROKEN, Condition.HEALTHY)
    normal = plant.wait(BROKEN, lambda alarm: alarm.state is AlarmState.NORMAL, "normal")
    assert (normal.alarm_id, normal.active) == (None, 0)


def test_a_mended_fan_that_nobody_has_acknowledged_waits_for_that(plant: Plant) -> None:
    raised = plant.wait_raised(SILENT, FindingKind.SILENCE)
    plant.command(SILENT, Condition.HEALTHY)
    plant.wait_returned(raised)
    assert plant.of(SILENT)[-1].state is AlarmState.RETURNED
    plant.acknowledge(raised)
    plant.wait(SILENT, lambda alarm: alarm.state is AlarmState.NORMAL, "normal")


def test_a_fan_that_is_well_and_one_that_was_switched_off_raise_nothing(plant: Plant) -> None:
    plant.wait_raised(WORN, FindingKind.WEAR)  # the last that happens
    assert plant.of(WELL) == []
    assert plant.of(SWITCHED_OFF) == []


def test_what_is_retained_of_each_fan_is_the_newest_that_was_said(plant: Plant) -> None:
    plant.wait_raised(WORN, FindingKind.WEAR)
    with plant.broker.connect("telegraf") as later:
        later.subscribe("fan/alarms/+")
        later.settle()
        retained = {}
        while not later.messages.empty():
            message = later.next()
            if message.retain:
                alarm = Alarm.from_json(bytes(message.payload))
                retained[alarm.device_id] = alarm
    plant.listen()
    assert retained.keys() == {BROKEN, SILENT, WORN, STUCK, MISREAD}
    for device, alarm in retained.items():
        assert alarm in plant.of(device)[-2:], "one may have been said in between"


def test_every_alarm_that_was_published_is_in_influxdb_once(plant: Plant) -> None:
    plant.wait_raised(WORN, FindingKind.WEAR)
    for device in (BROKEN, SILENT, WORN, STUCK, MISREAD):
        said = plant.of(device)
        points = plant.influxdb.wait_points("alarm", device, len(said))
        stored = {(point["time"], point["state"], point.get("kind"), point["active"]) for point in points}
        assert len(stored) == len(points)
        assert stored >= {
            (
                nanoseconds(parse_timestamp(alarm.time_stamp, UTC)) + alarm.seq,
                alarm.state.value,
                alarm.kind,
                float(alarm.active),
            )
            for alarm in said
        }
        assert {point["why"] for point in points if point["why"]} == {
            alarm.why for alarm in said if alarm.why
        }


def test_the_whole_journal_is_in_influxdb_with_what_a_more_urgent_alarm_hides(plant: Plant) -> None:
    plant.wait_raised(WORN, FindingKind.WEAR)
    plant.wait(WORN, lambda alarm: alarm.kind == FindingKind.MACHINE_FAULT, "fault above its wear")

    def kept() -> list[tuple[str, ...]]:
        with AlarmDatabase(plant.monitor.folder / "alarms.sqlite3", read_only=True) as database:
            return sorted(
                (line.device_id, line.kind.value, line.before.value, line.after.value, line.cause.value)
                for line in AlarmHistory(database).journal()
            )

    def stored() -> list[tuple[str, ...]]:
        names = ("deviceID", "kind", "before", "state", "cause")
        return sorted(
            tuple(point[name] for name in names)
            for point in plant.influxdb.query('SELECT * FROM "alarm_journal" GROUP BY "deviceID", "kind"')
        )

    wait_until(lambda: kept() == stored(), within_s=30, what="the journal in InfluxDB")
    assert (WORN, "wear", "normal", "unacknowledged", "raised") in kept()
