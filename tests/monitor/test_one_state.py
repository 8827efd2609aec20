"""The diagnosis alone decides what a fan's state is, and the page and the alarms say the same."""

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.alarm import AlarmState
from contract.rejection import Rejection
from contract.verdict import Verdict
from monitor.alarms.database import AlarmDatabase
from monitor.alarms.desk import AlarmDesk
from monitor.alarms.policy import AlarmPolicy
from monitor.condition import Condition, State, condition_of
from monitor.condition_watch import ConditionWatch
from monitor.diagnosis.core import Diagnosis
from monitor.diagnosis.device import Status
from monitor.diagnosis.evidence import Health
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.mode import Mode
from monitor.diagnosis.plant import Maintenance, Plant
from monitor.findings import FindingKind
from monitor.fleet import Fleet, FleetLimits
from monitor.subscriber import Arrived
from tests.monitor.made_verdicts import lively, rejection, verdict
from tests.monitor.still_clock import StillClock

SEIZED = {"rotation": 0.0, "temperature": 66.0, "vibration": 3.0, "sound": 63.0}
SWITCHED_OFF = {"rotation": 0.0, "temperature": 36.0, "vibration": 1.0, "sound": 30.0}
FAULT, WEAR, SILENCE = FindingKind.MACHINE_FAULT, FindingKind.WEAR, FindingKind.SILENCE
FLAT, SKEW = FindingKind.FLAT_LINE, FindingKind.CLOCK_SKEW


@pytest.mark.parametrize(
    ("standing", "mode", "maintenance", "state"),
    [
        (set(), Mode.RUNNING, False, State.HEALTHY),
        (set(), None, False, State.HEALTHY),
        (set(), Mode.STARTING, False, State.HEALTHY),
        ({FAULT}, Mode.RUNNING, False, State.FAULT),
        ({FAULT, SILENCE, WEAR, FLAT}, Mode.RUNNING, False, State.FAULT),
        ({SILENCE, WEAR, FLAT}, Mode.RUNNING, False, State.SILENT),
        ({WEAR, FLAT}, Mode.RUNNING, False, State.WEARING),
        ({FLAT}, Mode.RUNNING, False, State.SENSOR_FAULT),
        ({SKEW}, Mode.RUNNING, False, State.SENSOR_FAULT),
        ({FLAT}, Mode.STOPPED, False, State.STOPPED),
        ({FAULT}, Mode.STOPPED, False, State.FAULT),
        ({FAULT}, Mode.STOPPED, True, State.MAINTENANCE),
    ],
)
def test_a_state_names_what_is_planned_and_else_the_most_urgent_finding(
    standing: set[FindingKind], mode: Mode | None, maintenance: bool, state: State
) -> None:
    status = Status(Health.HEALTHY, mode, frozenset(standing), maintenance)
    assert condition_of(status) == Condition(state, frozenset(standing))


def test_a_machine_whose_first_readings_decide_nothing_is_unknown() -> None:
    assert condition_of(Status(Health.UNKNOWN, Mode.RUNNING, frozenset(), False)).state is State.UNKNOWN


class _Broker:
    """The subscription as the watch sees it: it stands, and everything was acknowledged."""

    listening_since: int | None = 1
    offline: frozenset[str] = frozenset()

    def take(self, most: int, timeout_s: float) -> list[Arrived]:
        raise NotImplementedError("these tests hand the messages in themselves")

    def acknowledge(self, arrived: Sequence[Arrived]) -> None:
        pass


class Run:
    """One run of the monitor's diagnosis, alarms and fleet; the next run of the same folder takes up its state."""

    def __init__(self, folder: Path, clock: StillClock, plant: Plant) -> None:
        knowledge = Knowledge(plant)
        self.clock = clock
        self.fleet = Fleet(clock, FleetLimits())
        self.database = AlarmDatabase(folder / "alarms.sqlite3")
        self.desk = AlarmDesk(self.database, AlarmPolicy(), clock)
        self.watch = ConditionWatch(
            _Broker(),
            knowledge,
            self.desk,
            clock,
            make_diagnosis=lambda held: Diagnosis(held, knowledge),
            remembered=1000,
            board=self.fleet,
        )
        self.watch._resume()
        self._number = itertools.count()

    def hear(self, content: Verdict | Rejection) -> None:
        if isinstance(content, Verdict):
            self.fleet.take_verdict(content)
        else:
            self.fleet.take_rejection(content)
        body = content.to_json()
        self.watch._work([Arrived(1, 1, body, content)])
        self.desk.tick()

    def run(self, readings: int, fault: int = 0, signals: dict[str, float] | None = None) -> None:
        for number in itertools.islice(self._number, readings):
            self.clock.advance(1)
            scatter = {name: value - lively(0, 0)[name] for name, value in lively(0, number).items()}
            values = {name: value + abs(scatter[name]) for name, value in (signals or {}).items()}
            said = verdict(
                "5",
                at=self.clock.now(),
                seq=number,
                boot=f"{id(self)}",
                fault=1 if fault else 0,
                signals=values or lively(fault, number),
            )
            self.hear(said)

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.watch._work([])
        self.desk.tick()

    def state(self) -> State:
        [device] = self.fleet.view().devices
        return device.condition.state

    @property
    def alarms(self) -> dict[FindingKind, AlarmState]:
        return {each.kind: each.state for each in self.desk.active()}


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def plant() -> Plant:
    return Plant.read()


@pytest.fixture
def run(tmp_path: Path, clock: StillClock, plant: Plant) -> Iterator[Run]:
    made = Run(tmp_path, clock, plant)
    yield made
    made.database.close()


def test_a_machine_that_somebody_works_on_is_in_maintenance_until_that_ends_and_then_what_it_was(
    run: Run, clock: StillClock
) -> None:
    run.run(20)
    assert run.state() is State.HEALTHY
    now = datetime.fromtimestamp(clock.now(), UTC)
    run.desk.plan_maintenance("5", "Anna", now, now + timedelta(seconds=60), "bearing")
    run.run(20, fault=1)
    assert run.state() is State.MAINTENANCE
    prognosis = run.watch.prognosis("5")
    assert prognosis.status is not None
    assert prognosis.status.in_maintenance
    assert run.alarms == {FindingKind.MACHINE_FAULT: AlarmState.SUPPRESSED}
    run.run(41, fault=1)
    assert run.state() is State.FAULT
    assert run.alarms == {FindingKind.MACHINE_FAULT: AlarmState.UNACKNOWLEDGED}


def test_a_maintenance_that_is_cancelled_or_begins_is_seen_without_a_message(
    run: Run, clock: StillClock
) -> None:
    run.run(20)
    now = datetime.fromtimestamp(clock.now(), UTC)
    run.desk.plan_maintenance("5", "Anna", now + timedelta(seconds=3), now + timedelta(hours=1), "bearing")
    run.wait(2)
    assert run.state() is State.HEALTHY
    run.wait(1)
    assert run.state() is State.MAINTENANCE
    [planned] = run.desk.maintenance()
    run.desk.cancel_maintenance(planned.window.number, "Anna")
    run.wait(1)
    assert run.state() is State.HEALTHY


def test_a_restart_knows_who_is_worked_on(run: Run, tmp_path: Path, clock: StillClock, plant: Plant) -> None:
    run.run(20)
    now = datetime.fromtimestamp(clock.now(), UTC)
    run.desk.plan_maintenance("5", "Anna", now, now + timedelta(hours=1), "bearing")
    run.database.close()
    again = Run(tmp_path, clock, plant)
    assert again.state() is State.MAINTENANCE
    again.database.close()


def test_a_fan_is_unknown_then_healthy_then_at_fault_then_healthy_again(run: Run) -> None:
    run.run(1)
    assert run.state() is State.UNKNOWN
    run.run(9)
    assert run.state() is State.HEALTHY
    run.run(1, fault=1)
    assert run.state() is State.HEALTHY
    run.run(12, fault=1)
    assert run.state() is State.FAULT
    assert run.alarms == {FAULT: AlarmState.UNACKNOWLEDGED}
    run.run(9)
    assert run.state() is State.HEALTHY


def test_a_fan_that_falls_silent_is_so_when_its_alarm_is_raised_and_not_before(run: Run) -> None:
    run.run(10)
    run.wait(29)
    assert (run.state(), run.alarms) == (State.HEALTHY, {})
    run.wait(2)
    assert (run.state(), set(run.alarms)) == (State.SILENT, {SILENCE})
    run.run(1)
    assert run.state() is State.HEALTHY


def test_a_fan_that_was_switched_off_is_stopped_and_calls_nobody(run: Run) -> None:
    run.run(10)
    run.run(20, signals=SWITCHED_OFF)
    assert (run.state(), run.alarms) == (State.STOPPED, {})
    run.wait(3600)
    assert (run.state(), run.alarms) == (State.STOPPED, {})
    run.run(20)
    assert run.state() is State.HEALTHY


def test_a_fan_that_is_stuck_is_at_fault_and_its_alarm_is_in_view(run: Run) -> None:
    run.run(10)
    run.run(20, fault=1, signals=SEIZED)
    assert run.state() is State.FAULT
    assert run.alarms == {FAULT: AlarmState.UNACKNOWLEDGED}


def test_a_fault_that_was_switched_off_is_still_a_fault(run: Run) -> None:
    run.run(10)
    run.run(20, fault=1)
    run.run(20, signals=SWITCHED_OFF)
    assert run.state() is State.FAULT
    assert run.alarms == {FAULT: AlarmState.UNACKNOWLEDGED}


def test_readings_that_are_refused_for_their_values_are_a_sensor_fault(run: Run) -> None:
    run.run(10)
    for number in range(3):
        run.clock.advance(1)
        run.hear(rejection("5", detail=f"vibration: got {9000 + number}"))
    assert run.state() is State.SENSOR_FAULT


def test_maintenance_begins_and_ends_without_a_message(tmp_path: Path, clock: StillClock) -> None:
    start = datetime.fromtimestamp(clock.now(), UTC) + timedelta(minutes=1)
    window = Maintenance.model_validate({"device": "5", "from": start, "to": start + timedelta(hours=1)})
    run = Run(tmp_path, clock, Plant.read().model_copy(update={"maintenance": (window,)}))
    run.run(10)
    told = []
    for seconds in (25, 20, 10):
        run.wait(seconds)
        told.append(run.state())
    assert told == [State.HEALTHY, State.SILENT, State.MAINTENANCE]
    run.wait(3600)
    assert run.state() is State.SILENT
    run.database.close()


def test_a_restart_takes_every_state_up_again(
    run: Run, tmp_path: Path, clock: StillClock, plant: Plant
) -> None:
    run.run(10)
    run.run(8, fault=1)
    again = Run(tmp_path, clock, plant)
    assert again.state() is State.FAULT
    again.run(6, fault=1)
    assert (again.state(), set(again.alarms)) == (State.FAULT, {FAULT})
    again.database.close()
