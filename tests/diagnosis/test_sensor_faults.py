from datetime import UTC, datetime

import pytest

from contract.command import Condition
from contract.rejection import Reason
from monitor.diagnosis.device import DeviceDiagnosis
from monitor.diagnosis.evidence import Health
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import Plant
from monitor.findings import Finding, FindingKind
from tests.diagnosis.told import Told, changes
from tests.monitor.made_verdicts import rejection

SENSOR_FAULTS = [kind for kind in FindingKind if kind.is_sensor_fault]


@pytest.mark.parametrize("seed", range(5))
def test_a_stuck_sensor_is_a_flat_line_and_never_a_machine_fault(seed: int) -> None:
    told = Told()
    told.run(Condition.HEALTHY, 50, seed=seed)
    assert changes(told.run(Condition.STUCK, 300)) == [(FindingKind.FLAT_LINE, True)]
    [part] = told.found[0].contributions
    assert part.signal in told.found[0].why
    assert changes(told.run(Condition.HEALTHY, 20)) == [(FindingKind.FLAT_LINE, False)]
    assert told.status().health is Health.HEALTHY


@pytest.mark.parametrize("seed", range(5))
def test_a_spiking_sensor_is_told_as_spikes_and_never_as_a_machine_fault(seed: int) -> None:
    told = Told()
    told.run(Condition.HEALTHY, 50, seed=seed)
    found = changes(told.run(Condition.SPIKES, 600))
    assert found[0] == (FindingKind.SPIKES, True)
    assert {kind for kind, _ in found} == {FindingKind.SPIKES}
    told.run(Condition.HEALTHY, 110)
    assert told.status().standing == frozenset()


@pytest.mark.parametrize("seed", range(5))
def test_a_faulty_fan_is_no_faulty_sensor(seed: int) -> None:
    told = Told()
    told.run(Condition.HEALTHY, 200, seed=seed)
    assert changes(told.run(Condition.FAULTY, 2000)) == [(FindingKind.MACHINE_FAULT, True)]


def test_while_a_sensor_fault_stands_nothing_becomes_a_machine_fault() -> None:
    told = Told()
    told.run(Condition.HEALTHY, 20)
    stuck_high = [(500.0 + number % 9, 40.0, 249.0, 51.0 + number % 5 / 10) for number in range(200)]
    # The first nine look like a fault of the machine; told as healthy until the flat line shows.
    told.tell_all(stuck_high[:9])
    found = [finding for values in stuck_high[9:] for finding in told.tell(values, probability=0.999)]
    assert FindingKind.FLAT_LINE in told.status().standing
    assert FindingKind.MACHINE_FAULT not in {finding.kind for finding in found}


def test_readings_refused_as_out_of_range_are_a_sensor_fault_until_good_ones_come() -> None:
    told = Told()
    told.run(Condition.HEALTHY, 20)
    found = [
        finding
        for _ in range(5)
        for finding in told.diagnosis.take_rejection(rejection(reason=Reason.OUT_OF_RANGE))
    ]
    assert changes(found) == [(FindingKind.OUT_OF_RANGE, True)]
    assert "vibration: got 9000, expected 0 to 1000" in found[0].why
    assert changes(told.run(Condition.HEALTHY, 5)) == [(FindingKind.OUT_OF_RANGE, False)]


def test_one_refused_reading_now_and_then_is_no_sensor_fault() -> None:
    told = Told()
    for _ in range(20):
        told.run(Condition.HEALTHY, 10)
        assert told.diagnosis.take_rejection(rejection()) == ()


@pytest.mark.parametrize("reason", [Reason.NOT_FINITE, Reason.SIGNAL_MISSING])
def test_a_value_that_is_none_is_a_sensor_fault_too(reason: Reason) -> None:
    told = Told()
    found = [f for _ in range(3) for f in told.diagnosis.take_rejection(rejection(reason=reason))]
    assert changes(found) == [(FindingKind.OUT_OF_RANGE, True)]


def test_a_refusal_that_names_nobody_is_nobodys() -> None:
    told = Told()
    assert told.diagnosis.take_rejection(rejection(device_id=None)) == ()
    assert len(told.diagnosis) == 0


def test_a_silent_fan_is_found_without_a_message_and_cleared_by_the_next() -> None:
    told = Told()
    told.run(Condition.HEALTHY, 20)
    assert told.wait(29) == []
    assert changes(told.wait(2)) == [(FindingKind.SILENCE, True)]
    assert told.wait(3600) == []
    assert changes(told.run(Condition.HEALTHY, 1)) == [(FindingKind.SILENCE, False)]


def test_refused_readings_are_no_silence() -> None:
    told = Told()
    told.run(Condition.HEALTHY, 3)
    for _ in range(100):
        told.clock.advance(10)
        told.diagnosis.take_rejection(rejection(reason=Reason.NOT_A_READING))
        assert not told.diagnosis.tick()


def test_of_ten_thousand_fans_a_tick_finds_the_one_that_fell_silent() -> None:
    told = Told()
    for number in range(10_000):
        told.diagnosis.take(f"fan-{number}", told.clock.now(), 0.05, None, "boot", 0)
    for seq in range(1, 20):
        told.clock.advance(2)
        for number in range(10_000):
            if number != 4711:
                told.diagnosis.take(f"fan-{number}", told.clock.now(), 0.05, None, "boot", seq)
        found = told.diagnosis.tick()
        if found:
            break
    assert [(finding.device_id, finding.kind) for finding in found] == [("fan-4711", FindingKind.SILENCE)]


def test_beyond_the_most_devices_the_longest_unheard_is_forgotten() -> None:
    told = Told()
    told.diagnosis = type(told.diagnosis)(told.clock, Knowledge(told.plant), max_devices=3)
    for name in ("a", "b", "c", "a", "d"):
        told.tell((600.0, 40.0, 150.0, 48.0), fan=name)
    assert told.diagnosis.device("b") is None
    assert (len(told.diagnosis), told.diagnosis.forgotten) == (3, 1)
    told.wait(100)  # its deadline, which is still in the heap, finds nobody


def clocked(off_s: float, readings: int = 60, drift: float = 0.0) -> list[tuple[FindingKind, bool]]:
    """What is found of a device whose clock is off by so many seconds, and by so many more with each reading."""
    device = DeviceDiagnosis("1", Knowledge(Plant.read()))
    found: list[Finding] = []
    for number in range(readings):
        now = 10_000 + 2.0 * number
        values = (600.0 + number % 50, 40.0 + number % 7 / 10, 150.0 + number % 4, 48.0 + number % 3 / 10)
        found += device.on_verdict(now + off_s + drift * number, now, 0.05, values, "boot", number)
    return changes(found)


def test_a_clock_that_is_ahead_is_skewed() -> None:
    assert clocked(60) == [(FindingKind.CLOCK_SKEW, True)]


def test_a_clock_that_is_an_hour_behind_is_skewed() -> None:
    assert clocked(-3600) == [(FindingKind.CLOCK_SKEW, True)]


def test_a_backlog_is_behind_and_no_skewed_clock() -> None:
    assert clocked(-3600, readings=175, drift=20.0) == []


def test_a_clock_set_right_ends_the_skew() -> None:
    device = DeviceDiagnosis("1", Knowledge(Plant.read()))
    found: list[Finding] = []
    for number in range(60):
        now = 10_000 + 2.0 * number
        off = 60 if number < 30 else 0
        values = (600.0 + number % 50, 40.0 + number % 7 / 10, 150.0 + number % 4, 48.0 + number % 3 / 10)
        found += device.on_verdict(now + off, now, 0.05, values, "boot", number)
    assert changes(found) == [(FindingKind.CLOCK_SKEW, True), (FindingKind.CLOCK_SKEW, False)]
    assert found[0].why == "Its clock is 60 seconds ahead."
    assert found[0].at.tzinfo is UTC
    assert found[0].at <= datetime.fromtimestamp(10_060, UTC)


def test_readings_refused_for_their_time_are_a_skewed_clock() -> None:
    told = Told()
    found = [
        finding
        for _ in range(8)
        for finding in told.diagnosis.take_rejection(
            rejection(reason=Reason.TIME_AHEAD, detail="a day ahead")
        )
    ]
    assert changes(found) == [(FindingKind.CLOCK_SKEW, True)]
