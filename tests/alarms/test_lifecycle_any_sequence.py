"""No sequence of events makes a state that is none, or loses an alarm: ISA-18.2's diagram, held by hypothesis."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contract.alarm import AlarmPriority, AlarmState
from monitor.alarms.board import AlarmBoard, DeviceState, NoSuchAlarm
from monitor.alarms.lifecycle import (
    HIDDEN,
    Cause,
    DeviceAlarms,
    NotPossible,
    Occurrence,
    Record,
    Transition,
    Window,
)
from monitor.alarms.policy import AlarmPolicy, Rule
from monitor.alarms.stored_record import record_from_json, record_to_json
from monitor.findings import Finding, FindingKind
from tests.alarms.stepwise_model import ModelAlarm, ModelDevice

START = datetime(2026, 11, 25, tzinfo=UTC)
DEVICE = "5"
LETTERS = dict(
    zip(
        "ABCDEFGHI",
        (
            AlarmState.NORMAL,
            AlarmState.UNACKNOWLEDGED,
            AlarmState.ACKNOWLEDGED,
            AlarmState.RETURNED,
            AlarmState.LATCHED_UNACKNOWLEDGED,
            AlarmState.LATCHED_ACKNOWLEDGED,
            AlarmState.SHELVED,
            AlarmState.SUPPRESSED,
            AlarmState.OUT_OF_SERVICE,
        ),
        strict=True,
    )
)
# The arrows of the diagram; to and from the hidden states any is one, but normal alarms are not shelved.
ARROWS = {
    tuple(LETTERS[letter] for letter in arrow)
    for arrow in (  # noqa: SIM905 - one string reads better than sixty
        "AB BC BD BE CA CC CF DB DA EF EA EB FA FB "  # nobody hides it; CC: closed while active
        "BG CG DG EG FG AH BH CH DH EH FH AI BI CI DI EI FI "
        "GA GB GC GD GE GF HA HB HC HD HE HF IA IB IC ID IE IF GG GH GI HG HH HI IG IH II"
    ).split()
}

FAULT, WEAR, FLAT, SILENCE = (
    FindingKind.MACHINE_FAULT,
    FindingKind.WEAR,
    FindingKind.FLAT_LINE,
    FindingKind.SILENCE,
)
KINDS = (FLAT, SILENCE, FAULT, WEAR)
kinds = st.sampled_from([*KINDS, FAULT, FAULT, FLAT])


def seconds(count: int) -> timedelta:
    return timedelta(seconds=count)


class AnySequence(RuleBasedStateMachine):
    @initialize(on=st.integers(0, 4), off=st.integers(0, 4), latching=st.booleans())
    def begin(self, on: int, off: int, latching: bool) -> None:
        shapes = {
            FAULT: (on, off, latching, (FLAT,), True),
            WEAR: (3, 5, True, (FLAT,), False),
            FLAT: (2, 3, False, (), True),
            SILENCE: (0, 0, False, (), False),
        }
        self.policy = AlarmPolicy(
            rules={
                **dict.fromkeys(FindingKind, Rule(AlarmPriority.LOW)),
                **{
                    kind: Rule(
                        AlarmPriority.HIGH,
                        seconds(on),
                        seconds(off),
                        latching,
                        frozenset(deceivers),
                        suppressed_when_stopped=minds,
                    )
                    for kind, (on, off, latching, deceivers, minds) in shapes.items()
                },
            },
            longest_shelf=seconds(30),
        )
        self.model = ModelDevice(
            {
                kind: ModelAlarm(on, off, latching, tuple(deceivers), minds)
                for kind, (on, off, latching, deceivers, minds) in shapes.items()
            }
        )
        self.board = AlarmBoard(self.policy)
        self.stored: dict[FindingKind, bytes] = {}
        self.state = DeviceState(DEVICE, stopped=False, windows=())
        self.journal: list[Transition] = []
        self.occurrences: dict[int, Occurrence] = {}
        self.window_number = 0

    # -- what the plant does ----------------------------------------------------------------------------

    @rule(kind=kinds, present=st.booleans(), wait=st.integers(0, 6), late=st.integers(0, 3))
    def find_more(self, kind: FindingKind, present: bool, wait: int, late: int) -> None:
        self.find(kind, present, wait, late)  # twice as often as anything else

    @rule(kind=kinds, present=st.booleans(), wait=st.integers(0, 6), late=st.integers(0, 3))
    def find(self, kind: FindingKind, present: bool, wait: int, late: int) -> None:
        self.model.tick_to(self.model.now + wait)
        self.board.on_device(DEVICE, lambda device: device.advance(self.now))
        at = self.now - seconds(late)  # told late: it counts from the device's newest event on
        self.board.observe(Finding(DEVICE, kind, present, at, f"{kind} {present}", "look"))
        alarm = self.model.alarms[kind]
        if alarm.condition != present:
            alarm.condition, alarm.changed = present, self.model.now
            self.model.due()

    @rule(wait=st.integers(1, 40))
    def wait(self, wait: int) -> None:
        self.model.tick_to(self.model.now + wait)
        self.board.advance(self.now)

    @rule()
    def sleep_until_just_before_the_deadline(self) -> None:
        due = self.board.next_deadline()
        if due is None:
            before = self.shown_states()
            self.model.tick_to(self.model.now + 100)
            assert before == self.shown_states(), "something happened, and no deadline told of it"
        else:
            assert due > self.now, "what is due has happened"
            before = self.shown_states()
            self.model.tick_to(int((due - START).total_seconds()) - 1)
            assert before == self.shown_states(), "something happened before the deadline"
        self.board.advance(self.now)

    @rule(stopped=st.booleans())
    def stop(self, stopped: bool) -> None:
        self.board.on_device(DEVICE, lambda device: device.set_stopped(stopped, self.now))
        self.model.stopped = stopped
        self.model.due()

    @rule(begins=st.integers(0, 10), lasts=st.integers(1, 20))
    def plan_maintenance(self, begins: int, lasts: int) -> None:
        self.window_number += 1
        window = Window(self.window_number, self.now + seconds(begins), self.now + seconds(begins + lasts))
        self.board.on_device(DEVICE, lambda device: device.add_window(window, self.now))
        self.model.windows.append((self.model.now + begins, self.model.now + begins + lasts))
        self.model.due()

    @rule()
    def process_is_killed_and_starts_again(self) -> None:
        self.take()
        board = AlarmBoard(self.policy, next_id=max(self.occurrences, default=0) + 1)
        board.restore([record_from_json(each) for each in self.stored.values()], [self.state])
        board.advance(self.now)
        self.board = board

    # -- what people do ---------------------------------------------------------------------------------

    @rule(
        kind=kinds,
        deed=st.sampled_from(["ack", "ack", "reset", "close", "unshelve", "take_out", "give_back"]),
    )
    def answer(self, kind: FindingKind, deed: str) -> None:
        alarm, letter = self.model.alarms[kind], self.letter(kind)
        possible, step = {
            "ack": (letter in "BDE", DeviceAlarms.acknowledge),
            "reset": (letter == "F", DeviceAlarms.reset),
            "close": (alarm.letter != "A", DeviceAlarms.close),
            "unshelve": (alarm.shelf is not None, DeviceAlarms.unshelve),
            "take_out": (not alarm.out, DeviceAlarms.take_out_of_service),
            "give_back": (alarm.out, DeviceAlarms.return_to_service),
        }[deed]
        if not self.attempt(lambda device: step(device, kind, "Anna", self.now), possible):
            return
        if deed in {"ack", "reset", "close"}:
            alarm.event(deed)
        alarm.closed = alarm.closed or deed == "close"
        alarm.shelf = None if deed == "unshelve" else alarm.shelf
        alarm.out = deed == "take_out" or (alarm.out and deed != "give_back")

    @rule(kind=kinds, until=st.integers(-1, 31))
    def shelve(self, kind: FindingKind, until: int) -> None:
        possible = 0 < until <= 30 and self.letter(kind) in "BCDEFG"
        end = self.now + seconds(until)
        if self.attempt(lambda device: device.shelve(kind, "Bo", end, self.now), possible):
            self.model.alarms[kind].shelf = self.model.now + until

    # -- what holds at all times ------------------------------------------------------------------------

    @precondition(lambda self: hasattr(self, "model"))
    @invariant()
    def the_state_is_the_models(self) -> None:
        self.take()
        assert self.shown_states() == {
            kind: LETTERS[self.letter(kind)] for kind in KINDS if self.letter(kind) != "A"
        }, self.journal

    @precondition(lambda self: hasattr(self, "model"))
    @invariant()
    def what_is_stored_is_what_is_so(self) -> None:
        self.take()
        device = self.board._devices.get(DEVICE)
        live = {} if device is None else device.records
        assert {kind: record_from_json(text) for kind, text in self.stored.items()} == live
        restored = AlarmBoard(self.policy)
        restored.restore([record_from_json(text) for text in reversed(self.stored.values())], [])
        assert restored.most_urgent(DEVICE) == self.board.most_urgent(DEVICE)

    @precondition(lambda self: hasattr(self, "model"))
    @invariant()
    def the_journal_follows_the_arrows_and_has_no_gap(self) -> None:
        self.take()
        for kind in KINDS:
            lines = [line for line in self.journal if line.kind is kind]
            states = [AlarmState.NORMAL, *(line.after for line in lines)]
            assert [line.before for line in lines] == states[:-1]
            for line in lines:
                assert (line.before, line.after) in ARROWS, line
            assert all(first.at <= second.at for first, second in pairwise(lines))

    @precondition(lambda self: hasattr(self, "model"))
    @invariant()
    def no_alarm_is_lost(self) -> None:
        self.take()
        assert len(self.occurrences) == sum(alarm.raised for alarm in self.model.alarms.values())
        states = self.shown_states()
        for occurrence in self.occurrences.values():
            if occurrence.ended_at is None:
                assert occurrence.kind in states, "it goes on, and nobody can find it"
                assert self.board.record_of(occurrence.alarm_id) is not None
            else:
                assert occurrence.cleared_at is not None
                assert occurrence.acknowledged_by or not occurrence.shown, "nobody ever answered"
        for kind, alarm in self.model.alarms.items():
            if alarm.active and states.get(FindingKind(kind)) not in HIDDEN:
                assert states[FindingKind(kind)] in {AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED}

    # -- how --------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return START + seconds(self.model.now)

    def letter(self, kind: FindingKind) -> str:
        return self.model.display(self.model.alarms[kind])

    def shown_states(self) -> dict[FindingKind, AlarmState]:
        return {record.kind: record.state for record in self.board.records()}

    def attempt(self, step: Callable[[DeviceAlarms], None], possible: bool) -> bool:
        if possible:
            self.board.on_device(DEVICE, step)
            return True
        with pytest.raises((NotPossible, NoSuchAlarm)):
            self.board.on_device(DEVICE, step)
        return False

    def take(self) -> None:
        changes = self.board.take_changes()
        self.journal.extend(changes.transitions)
        self.occurrences.update({each.alarm_id: each for each in changes.occurrences})
        for _, kind in changes.gone:
            self.stored.pop(kind, None)
        self.stored.update({record.kind: record_to_json(record) for record in changes.records})
        for device in changes.devices:
            self.state = DeviceState(DEVICE, device.stopped, tuple(device.windows))


AnySequence.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAnySequence = AnySequence.TestCase


def test_every_state_and_every_cause_can_be_reached() -> None:
    """So that the machine above does not prove something about a corner only."""
    ids = iter(range(1, 100))
    rules = {
        kind: Rule(AlarmPriority.LOW, latching=kind is FAULT, suppressed_when_stopped=True)
        for kind in FindingKind
    }
    device = DeviceAlarms(DEVICE, AlarmPolicy(rules=rules), lambda: next(ids))

    def find(present: bool) -> None:
        device.observe(Finding(DEVICE, FAULT, present, device.now, "", ""))

    device.advance(START)
    find(True)
    device.acknowledge(FAULT, "Anna", START)
    find(False)
    device.reset(FAULT, "Anna", START)
    find(True)
    find(False)
    device.shelve(FAULT, "Anna", START + seconds(5), START)
    device.unshelve(FAULT, "Anna", START)
    device.shelve(FAULT, "Anna", START + seconds(5), START)
    device.advance(START + seconds(6))
    device.take_out_of_service(FAULT, "Anna", device.now)
    device.return_to_service(FAULT, "Anna", device.now)
    device.close(FAULT, "Anna", device.now)
    device.set_stopped(True, device.now)
    find(True)
    device.set_stopped(False, device.now)
    device.add_window(Window(1, device.now, device.now + seconds(5)), device.now)
    device.observe(Finding(DEVICE, SILENCE, True, device.now, "", ""))
    device.remove_window(1, device.now)
    device.observe(Finding(DEVICE, SILENCE, False, device.now, "", ""))
    seen = {line.after for line in device.transitions}
    assert seen == set(AlarmState)
    assert {line.cause for line in device.transitions} == set(Cause)
    assert isinstance(device.records[FAULT], Record)
