"""kill -9 of the monitor at random moments, through the real broker: the same alarms and states as without."""

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from contract.alarm import Alarm
from contract.rejection import Reason
from monitor.alarms.database import AlarmDatabase
from monitor.alarms.history import AlarmHistory
from monitor.alarms.intake_store import IntakeStore
from monitor.clock import HeldClock
from monitor.diagnosis.core import Diagnosis
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import DEFAULT_PLANT, Plant
from monitor.intake import IntakeLog
from monitor.resumption import resume
from testbed.mosquitto import Mosquitto
from testbed.site import Site
from testbed.waiting import wait_until
from tests.monitor.made_verdicts import BROKEN, RUNNING, rejection, verdict
from tests.monitor.monitor_process import MonitorProcess
from tests.monitor.still_clock import StillClock

SEED = 20261125
KILLS = 6
READINGS = 300
RECEIVE_MAXIMUM = "100"
# Delays that count from now on would be over at other messages in each run; what is compared is what the messages say.
RULES = json.dumps(
    {
        kind: {"on_delay_s": 0, "off_delay_s": 0}
        for kind in ("machine_fault", "flat_line", "out_of_range", "spikes", "wear")
    }
)
PLANT = "\n[quality]\nbehind_s = 1e9\nsilent_after_s = 3600\n"


def story() -> list[tuple[str, bytes | str]]:
    """Ten minutes of twelve fans, two hours ago: some break and are mended, some are refused, some stick."""
    chance = random.Random(SEED)
    begin = time.time() - 7200
    messages: list[tuple[str, bytes | str]] = []
    for number in range(READINGS):
        at = begin + 2 * number
        for fan in range(12):
            name = f"fan-{fan}"
            broken = fan % 3 == 0 and any(low <= number < low + 25 for low in (40 + 3 * fan, 160 + 3 * fan))
            usual = BROKEN if broken else RUNNING
            values = {signal: value + round(chance.uniform(-3, 3), 3) for signal, value in usual.items()}
            if fan % 3 == 1 and number > 120 + 5 * fan:
                values["sound"] = 48.0
            if fan % 3 == 2 and 100 <= number < 110 + fan:
                refused = rejection(name, Reason.OUT_OF_RANGE, f"reading {number}", b"{%d}" % number)
                messages.append(("fan/rejected", refused.to_json()))
                continue
            told = verdict(
                name,
                at=at,
                seq=None if fan >= 10 else number,  # two of the first generation
                fault=1 if broken and chance.random() > 0.09 else 0,
                signals=values,
            )
            messages.append((f"fan/anomaly/{name}", told.to_json()))
    messages += [
        ("fan/anomaly/end", verdict("end", at=begin + seq, seq=seq, fault=1).to_json()) for seq in range(30)
    ]
    return messages


@dataclass
class Outcome:
    """What a run amounts to, without its times."""

    journal: dict[str, list[tuple[str, str, str, str]]] = field(default_factory=dict)
    occurrences: list[tuple[str, str]] = field(default_factory=list)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    retained: dict[str, tuple[str, str | None, int]] = field(default_factory=dict)
    resumed: list[int] = field(default_factory=list)
    cut_short: int = 0
    """Kills that found messages that were not committed yet."""


def committed(path: Path) -> int:
    """How many messages are on the disk."""
    with AlarmDatabase(path, read_only=True) as database:
        (newest,) = database.run("SELECT max(number) FROM intake").fetchone()
        return newest or 0


def told_again(monitor: MonitorProcess) -> int | None:
    """How many messages of its log the last start was told again, plus one."""
    lines = [line for line in monitor.log(last=10**6).splitlines() if '"diagnosis_resumed"' in line]
    return 1 + int(json.loads(lines[-1])["messages"]) if lines else None


def read(path: Path, outcome: Outcome) -> None:
    """Alarms and states, as the next start would find them."""
    with AlarmDatabase(path) as database:
        assert database.run("PRAGMA integrity_check").fetchone() == ("ok",)
        history = AlarmHistory(database)
        for line in history.journal():
            told = (line.kind.value, line.before.value, line.after.value, line.cause.value)
            outcome.journal.setdefault(line.device_id, []).append(told)
        outcome.occurrences = sorted(
            (each.occurrence.device_id, each.occurrence.kind.value) for each in history.occurrences()
        )
        clock = HeldClock(StillClock())
        diagnosis = Diagnosis(clock, Knowledge(Plant.read(path.parent / "plant.toml")))
        resume(diagnosis, clock, IntakeLog(int(RECEIVE_MAXIMUM)), IntakeStore(database).kept())
        for device in diagnosis:
            state = device.snapshot()
            del state["advanced"], state["sensors"]["clock"]  # moments of arrival
            outcome.states[device.device_id] = state


def run(
    site: Site, messages: list[tuple[str, bytes | str]], kill_after: Iterator[float] | None, folder: Path
) -> Outcome:
    outcome = Outcome()
    folder.mkdir()
    plant, alarms = folder / "plant.toml", folder / "alarms.sqlite3"
    plant.write_text(DEFAULT_PLANT.read_text() + PLANT)
    with (
        Mosquitto(site) as broker,
        MonitorProcess(
            folder,
            broker,
            FANWATCH_PLANT_FILE=str(plant),
            FANWATCH_ALARM_RULES=RULES,
            FANWATCH_RECEIVE_MAXIMUM=RECEIVE_MAXIMUM,
        ) as monitor,
        broker.connect("predictor") as predictor,
    ):
        size = -(-len(messages) // (KILLS + 1))
        for part in range(KILLS + 1):
            sent = [
                predictor.client.publish(*message, qos=1)
                for message in messages[part * size : (part + 1) * size]
            ]
            if kill_after is not None and part < KILLS:
                time.sleep(next(kill_after))  # the moment of the kill is what this test draws by lot
                monitor.kill()
                outcome.cut_short += committed(alarms) < min(len(messages), (part + 1) * size)
                monitor.start()
                outcome.resumed.append(
                    wait_until(
                        lambda: told_again(monitor), within_s=20, what=f"a resumption\n{monitor.log()}"
                    )
                )
            for info in sent:
                info.wait_for_publish(20)
        with broker.connect("telegraf") as telegraf:
            telegraf.subscribe("fan/alarms/+")

            def said() -> bool:
                while not telegraf.messages.empty():
                    body = Alarm.model_validate_json(telegraf.next().payload)
                    outcome.retained[body.device_id] = (body.state.value, body.kind, body.active)
                with AlarmDatabase(alarms, read_only=True) as database:
                    (waiting,) = database.run("SELECT count(*) FROM outbox").fetchone()
                return "end" in outcome.retained and waiting == 0

            wait_until(said, within_s=60, what=f"the last alarm\n{monitor.log()}")
    # A new subscriber gets what is retained and nothing else.
    with Mosquitto(site) as broker, broker.connect("telegraf") as telegraf:
        telegraf.subscribe("fan/alarms/+")
        telegraf.settle()
        retained = {}
        while not telegraf.messages.empty():
            message = telegraf.next()
            body = Alarm.model_validate_json(message.payload)
            assert message.retain
            retained[body.device_id] = (body.state.value, body.kind, body.active)
    assert retained == outcome.retained
    read(alarms, outcome)
    return outcome


@pytest.mark.timeout(240)
def test_a_monitor_that_is_killed_again_and_again_raises_the_same_alarms_as_one_that_is_not(
    new_site: Callable[[], Site], tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    messages = story()
    unkilled = run(new_site(), messages, None, tmp_path / "unkilled")
    delays = iter([chance.uniform(0, 0.15) for _ in range(KILLS)])
    killed = run(new_site(), messages, delays, tmp_path / "killed")

    assert killed.cut_short > 0, "no kill came in the middle of anything"
    assert max(killed.resumed) > 1, "no restart had anything to be told again"
    kinds = {kind for _, kind in unkilled.occurrences}
    assert kinds == {"machine_fault", "flat_line", "out_of_range"}
    assert len(unkilled.occurrences) >= 12
    assert killed.journal == unkilled.journal
    assert killed.occurrences == unkilled.occurrences
    assert killed.retained == unkilled.retained
    assert killed.states.keys() == unkilled.states.keys()
    for device_id, state in unkilled.states.items():
        assert killed.states[device_id] == state, device_id
