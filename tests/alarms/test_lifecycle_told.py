"""The life cycle in stories: what a plant would see."""

from datetime import UTC, datetime, timedelta

import pytest

from contract.alarm import AlarmPriority, AlarmState
from monitor.alarms.board import AlarmBoard
from monitor.alarms.lifecycle import Cause, DeviceAlarms, NotPossible, Transition, Window
from monitor.alarms.policy import AlarmPolicy, Rule
from monitor.findings import Finding, FindingKind

START = datetime(2026, 11, 25, 6, tzinfo=UTC)
FAULT, FLAT, SILENCE = FindingKind.MACHINE_FAULT, FindingKind.FLAT_LINE, FindingKind.SILENCE


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Plant:
    """One device under a policy, and what its journal says."""

    def __init__(self, on: float = 5, off: float = 30, latching: bool = False) -> None:
        rules = {
            **AlarmPolicy().rules,
            FAULT: Rule(
                AlarmPriority.HIGH,
                timedelta(seconds=on),
                timedelta(seconds=off),
                latching,
                frozenset({FLAT}),
                suppressed_when_stopped=True,
            ),
        }
        self.board = AlarmBoard(AlarmPolicy(rules=rules))
        self.lines: list[Transition] = []

    def find(self, kind: FindingKind, present: bool, seconds: float) -> None:
        self.board.observe(Finding("5", kind, present, at(seconds), f"{kind} is so", "look"))

    def until(self, seconds: float) -> list[tuple[str, AlarmState, float]]:
        """What happened up to then: cause, state, when."""
        self.board.advance(at(seconds))
        changes = self.board.take_changes()
        self.lines.extend(changes.transitions)
        return [
            (line.cause.value, line.after, (line.at - START).total_seconds()) for line in changes.transitions
        ]

    def device(self, step: object) -> None:
        assert callable(step)
        self.board.on_device("5", step)

    def state(self, kind: FindingKind = FAULT) -> AlarmState | None:
        return next((record.state for record in self.board.records() if record.kind is kind), None)


def test_a_fault_shorter_than_its_on_delay_is_no_alarm() -> None:
    plant = Plant(on=5)
    plant.find(FAULT, True, 0)
    plant.find(FAULT, False, 4.9)
    assert plant.until(100) == []
    assert plant.board.next_deadline() is None


def test_a_pause_shorter_than_the_off_delay_is_the_same_alarm() -> None:
    plant = Plant(on=0, off=30)
    plant.find(FAULT, True, 0)
    plant.find(FAULT, False, 100)
    plant.find(FAULT, True, 129)
    assert plant.until(1000) == [("raised", AlarmState.UNACKNOWLEDGED, 0)]


def test_an_alarm_is_raised_and_cleared_when_its_delays_are_over_and_not_when_somebody_asks() -> None:
    plant = Plant(on=5, off=30)
    plant.find(FAULT, True, 0)
    plant.find(FAULT, False, 60)
    assert plant.until(3600) == [
        ("raised", AlarmState.UNACKNOWLEDGED, 5),
        ("cleared", AlarmState.RETURNED, 90),
    ]


def test_a_backlog_makes_the_journal_that_it_would_have_made_in_time() -> None:
    in_time, late = Plant(), Plant()
    story = [(FAULT, True, 0.0), (FAULT, False, 60.0), (FAULT, True, 200.0), (FLAT, True, 400.0)]
    for kind, present, when in story:
        in_time.until(when)
        in_time.find(kind, present, when)
    in_time.until(9000)
    for kind, present, when in story:
        late.find(kind, present, when)
    late.until(9000)
    assert late.lines == in_time.lines
    assert len(late.lines) == 4


def test_what_comes_back_to_normal_unseen_stays_in_view_until_somebody_acknowledges() -> None:
    plant = Plant(on=0, off=0)
    plant.find(FAULT, True, 0)
    plant.find(FAULT, False, 10)
    plant.until(86400)
    assert plant.state() is AlarmState.RETURNED
    plant.device(lambda device: device.acknowledge(FAULT, "Anna", at(86400)))
    assert plant.state() is None


def test_a_latched_alarm_waits_for_acknowledgement_and_then_for_a_reset() -> None:
    plant = Plant(on=0, off=0, latching=True)
    plant.find(FAULT, True, 0)
    plant.find(FAULT, False, 10)
    assert plant.state() is AlarmState.LATCHED_UNACKNOWLEDGED
    with pytest.raises(NotPossible, match="cannot be reset: it is latched unacknowledged"):
        plant.device(lambda device: device.reset(FAULT, "Anna", at(11)))
    plant.device(lambda device: device.acknowledge(FAULT, "Anna", at(12)))
    assert plant.state() is AlarmState.LATCHED_ACKNOWLEDGED
    plant.device(lambda device: device.reset(FAULT, "Bo", at(13)))
    assert plant.state() is None


def test_a_second_acknowledgement_says_who_was_first() -> None:
    plant = Plant(on=0)
    plant.find(FAULT, True, 0)
    plant.device(lambda device: device.acknowledge(FAULT, "Anna", at(1)))
    with pytest.raises(NotPossible, match="it is acknowledged by Anna"):
        plant.device(lambda device: device.acknowledge(FAULT, "Bo", at(2)))


def test_a_shelf_expires_at_its_time_and_what_is_still_so_is_back() -> None:
    plant = Plant(on=0)
    plant.find(FAULT, True, 0)
    plant.device(lambda device: device.shelve(FAULT, "Anna", at(3600), at(1)))
    assert plant.board.next_deadline() == at(3600)
    assert plant.until(3599)[-1][1] is AlarmState.SHELVED
    assert plant.until(3600) == [("shelf_expired", AlarmState.UNACKNOWLEDGED, 3600)]


@pytest.mark.parametrize("until", [0, 1, 7 * 86400 + 2])
def test_nothing_is_shelved_into_the_past_or_for_ever(until: int) -> None:
    plant = Plant(on=0)
    plant.find(FAULT, True, 0)
    with pytest.raises(NotPossible, match="expected a time from now on"):
        plant.device(lambda device: device.shelve(FAULT, "Anna", at(until), at(1)))


def test_a_broken_sensor_keeps_a_machine_fault_from_being_raised_even_before_its_own_delay_is_over() -> None:
    plant = Plant(on=0)
    plant.find(FLAT, True, 0)
    plant.find(FAULT, True, 0)
    assert plant.until(1) == [("raised", AlarmState.SUPPRESSED, 0)]
    plant.until(6)
    assert (plant.state(FLAT), plant.state()) == (AlarmState.UNACKNOWLEDGED, AlarmState.SUPPRESSED)


def test_a_machine_fault_that_outlives_the_broken_sensor_is_raised_then() -> None:
    plant = Plant(on=0)
    plant.find(FLAT, True, 0)
    plant.find(FAULT, True, 10)
    plant.find(FLAT, False, 20)
    plant.until(79)
    assert plant.state() is AlarmState.SUPPRESSED
    assert ("released", AlarmState.UNACKNOWLEDGED, 80) in plant.until(80)


def test_a_machine_that_shakes_its_sensor_to_pieces_is_still_broken() -> None:
    plant = Plant(on=0)
    plant.find(FAULT, True, 0)
    plant.until(5)
    plant.find(FLAT, True, 10)
    plant.until(60)
    assert plant.state() is AlarmState.UNACKNOWLEDGED


def test_a_stopped_machine_raises_nothing_until_it_runs() -> None:
    plant = Plant(on=0)
    plant.device(lambda device: device.set_stopped(True, at(0)))
    plant.find(FAULT, True, 10)
    assert plant.until(100) == [("raised", AlarmState.SUPPRESSED, 10)]
    plant.device(lambda device: device.set_stopped(False, at(200)))
    assert plant.until(200) == [("released", AlarmState.UNACKNOWLEDGED, 200)]


def test_maintenance_hides_all_that_it_begins_with_and_gives_back_what_is_left() -> None:
    plant = Plant(on=0, off=0)
    plant.find(FAULT, True, 0)
    plant.find(SILENCE, True, 0)
    plant.device(lambda device: device.add_window(Window(1, at(100), at(200)), at(1)))
    assert plant.board.next_deadline() == at(100)
    plant.until(100)
    assert {record.state for record in plant.board.records()} == {AlarmState.SUPPRESSED}
    plant.find(SILENCE, False, 150)
    plant.until(200)
    assert plant.state() is AlarmState.UNACKNOWLEDGED
    assert plant.state(SILENCE) is AlarmState.RETURNED, "it was shown, and nobody answered"


def test_what_came_and_went_while_hidden_is_in_the_journal_and_nowhere_else() -> None:
    plant = Plant(on=0, off=0, latching=True)
    plant.device(lambda device: device.add_window(Window(1, at(0), at(100)), at(0)))
    plant.find(FAULT, True, 10)
    plant.find(FAULT, False, 20)
    assert [cause for cause, _, _ in plant.until(200)] == ["raised", "cleared"]
    assert plant.board.records() == []


def test_closing_an_active_alarm_leaves_it_in_view_until_its_cause_is_gone() -> None:
    plant = Plant(on=0, off=0, latching=True)
    plant.find(FAULT, True, 0)
    plant.device(lambda device: device.close(FAULT, "Anna", at(1)))
    assert plant.state() is AlarmState.ACKNOWLEDGED
    plant.find(FAULT, False, 50)
    assert plant.until(50)[-1] == ("cleared", AlarmState.NORMAL, 50), "what is closed does not latch"


def test_an_alarm_raised_again_calls_again_and_has_not_been_cleared() -> None:
    plant = Plant(on=0, off=0)
    plant.find(FAULT, True, 0)
    plant.find(FAULT, False, 10)
    plant.find(FAULT, True, 20)
    plant.board.advance(at(20))
    changes = plant.board.take_changes()
    assert sum(line.annunciates for line in changes.transitions) == 2
    assert [each.cleared_at for each in changes.occurrences] == [None]


def test_out_of_service_lasts_until_somebody_returns_it() -> None:
    plant = Plant(on=0)
    plant.device(lambda device: device.take_out_of_service(FAULT, "Anna", at(0)))
    plant.find(FAULT, True, 10)
    plant.until(86400 * 30)
    assert plant.state() is AlarmState.OUT_OF_SERVICE
    plant.device(lambda device: device.return_to_service(FAULT, "Bo", at(86400 * 30)))
    assert plant.state() is AlarmState.UNACKNOWLEDGED


def test_the_most_urgent_alarm_of_a_device_is_in_view_then_high_then_unanswered() -> None:
    plant = Plant(on=0, off=0)
    for kind in (FindingKind.CLOCK_SKEW, SILENCE, FAULT):
        plant.find(kind, True, 0)
    plant.until(60)
    urgent = plant.board.most_urgent("5")
    assert urgent is not None
    assert urgent.kind is FAULT
    plant.device(lambda device: device.shelve(FAULT, "Anna", at(600), at(61)))
    urgent = plant.board.most_urgent("5")
    assert urgent is not None
    assert urgent.kind is SILENCE


def test_a_fleet_wakes_only_the_device_that_something_is_due_on() -> None:
    board = AlarmBoard(AlarmPolicy())
    for number in range(1000):
        board.observe(Finding(f"f{number}", FAULT, True, at(number), "", ""))
    board.take_changes()
    assert board.next_deadline() == at(5)
    board.advance(at(5))
    assert [line.device_id for line in board.take_changes().transitions] == ["f0"]
    assert board.next_deadline() == at(6)


def test_a_device_that_is_well_leaves_nothing_behind() -> None:
    board = AlarmBoard(AlarmPolicy())
    for number in range(1000):
        board.observe(Finding("5", FAULT, number % 2 == 0, at(number), "", ""))
        board.advance(at(number))
    board.advance(at(2000))
    board.take_changes()
    assert (board.next_deadline(), board.records()) == (None, [])


def test_kinds_that_would_hide_each_other_are_refused() -> None:
    rules = dict(AlarmPolicy().rules)
    rules[FLAT] = Rule(AlarmPriority.LOW, suppressed_by=frozenset({FAULT}))
    with pytest.raises(ValueError, match="could hide each other"):
        AlarmPolicy(rules=rules)


def test_a_policy_without_a_rule_for_a_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no rule for wear"):
        AlarmPolicy(rules={kind: Rule(AlarmPriority.LOW) for kind in FindingKind if kind.value != "wear"})


def test_causes_are_told_by_name() -> None:
    device = DeviceAlarms("5", AlarmPolicy(), lambda: 1)
    device.take_out_of_service(FAULT, "Anna", START)
    assert device.transitions[0].cause is Cause.TAKEN_OUT
