"""Predictor or scoring service away: one alarm of the way, and none of each fan, through the real servers."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import requests

from contract.alarm import Alarm, AlarmPriority
from contract.command import Condition, FanCommand
from monitor.diagnosis.plant import DEFAULT_PLANT
from monitor.findings import FindingKind
from monitor.silences import WAY
from testbed.mosquitto import Connection, Mosquitto
from testbed.services import Inference, Predictor, Simulator
from testbed.site import Site
from testbed.waiting import wait_until
from tests.monitor.monitor_process import MonitorProcess

FANS = 6
RULES = json.dumps({kind.value: {"on_delay_s": 0, "off_delay_s": 0.2} for kind in FindingKind})
QUALITY = "\n[quality]\nsilent_after_s = 4\n"
DOWN, SILENT = FindingKind.NO_VERDICTS, FindingKind.SILENCE

pytestmark = pytest.mark.timeout(120)


@dataclass
class Stack:
    """The parts that a test kills, and what it hears of alarms."""

    inference: Inference
    predictor: Predictor
    monitor: MonitorProcess
    people: Connection
    watcher: Connection

    def next(self, device: str, kind: FindingKind, *, active: bool) -> Alarm:
        """Wait until an alarm is there, or its cause is gone; no other alarm may come before."""
        while True:
            alarm = Alarm.from_json(bytes(self.watcher.next(within_s=40).payload))
            assert (alarm.device_id, alarm.kind) == (device, kind.value), alarm
            if bool(alarm.active) is active:
                return alarm

    def fans_heard(self) -> int:
        """Fans whose verdicts the monitor has taken."""
        return int(requests.get(f"{self.monitor.url}/api/fans", timeout=5).json()["total"])


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    site = Site(tmp_path_factory.mktemp("way"))
    knowledge = site.folder / "plant.toml"
    knowledge.write_text(DEFAULT_PLANT.read_text() + QUALITY)
    settings = {"FANWATCH_ALARM_RULES": RULES, "FANWATCH_PLANT_FILE": str(knowledge)}
    with ExitStack() as entered:
        broker = entered.enter_context(Mosquitto(site))
        inference = entered.enter_context(Inference(site))
        predictor = entered.enter_context(Predictor(broker, inference.url))
        monitor = entered.enter_context(MonitorProcess(site.folder / "monitor", broker, **settings))
        people, watcher = (entered.enter_context(broker.connect(user)) for user in ("monitor", "telegraf"))
        watcher.subscribe("fan/alarms/+")
        entered.enter_context(Simulator(broker, fans=FANS, rate=5, seed=3))
        made = Stack(inference, predictor, monitor, people, watcher)
        wait_until(lambda: made.fans_heard() == FANS, within_s=30, what="six fans")
        yield made


def test_six_fans_without_a_predictor_or_a_scoring_service_are_one_alarm_that_survives_a_kill(
    stack: Stack,
) -> None:
    stack.predictor.kill()
    raised = stack.next(WAY, DOWN, active=True)
    assert raised.why.endswith(f"of {FANS} machines that were heard before: predictor offline.")
    assert (raised.priority, raised.inspect) == (AlarmPriority.HIGH, "predictor")

    # One of the fans stops meanwhile: that is found when the way is back, and of no other fan.
    silent = FanCommand(condition=Condition.SILENT).model_dump_json(exclude_none=True)
    stack.people.publish("fan/commands/3", silent)
    stack.predictor.start()
    assert stack.next(WAY, DOWN, active=False).alarm_id == raised.alarm_id
    stack.next("3", SILENT, active=True)

    stack.inference.kill()
    again = stack.next(WAY, DOWN, active=True)
    assert again.why.endswith(f"of {FANS - 1} machines that were heard before: the predictor is online.")

    stack.monitor.kill()
    stack.inference.start()
    stack.monitor.start()
    assert stack.next(WAY, DOWN, active=False).alarm_id == again.alarm_id
