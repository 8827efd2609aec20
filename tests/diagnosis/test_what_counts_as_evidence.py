"""The same thing told twice is one thing; what comes late is borne."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.diagnosis.device import DeviceDiagnosis
from monitor.diagnosis.evidence import Health
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import EvidenceSettings, Plant
from monitor.diagnosis.replay_window import SeenReadings
from monitor.findings import FindingKind

PLANT = Plant.read()


def running(number: int) -> tuple[float, float, float, float]:
    """No two alike, as a sensor's readings are."""
    return 600.0 + number % 50, 40.0 + number % 7 / 10, 150.0 + number % 4, 48.0 + number % 3 / 10


def shaking(number: int) -> tuple[float, float, float, float]:
    return 460.0 + number % 9, 51.0 + number % 7 / 10, 231.0 + number % 4, 57.0 + number % 5 / 10


def settled(plant: Plant = PLANT, readings: int = 30) -> DeviceDiagnosis:
    """A healthy fan, so many readings old; the next has that number."""
    device = DeviceDiagnosis("1", Knowledge(plant))
    for number in range(readings):
        device.on_verdict(2.0 * number, 2.0 * number, 0.05, running(number), "boot", number)
    assert device.health is Health.HEALTHY
    return device


def test_a_faulty_reading_delivered_ten_times_is_one_reading() -> None:
    device = settled()
    for _ in range(10):
        assert device.on_verdict(60, 60, 0.999, shaking(30), "boot", 30) == ()
    assert device.health is Health.HEALTHY


def test_the_same_values_sent_again_under_new_numbers_are_one_measurement() -> None:
    device = settled()
    for number in range(30, 39):  # the tenth is a flat line
        device.on_verdict(2.0 * number, 2.0 * number, 0.999, shaking(0), "boot", number)
    assert device.health is Health.HEALTHY


def test_a_first_generation_reading_delivered_again_is_known_by_its_time_and_values() -> None:
    device = settled()
    found = [device.on_verdict(60, 60, 0.999, shaking(30)) for _ in range(10)]
    assert found == [()] * 10
    for number in range(31, 34):
        found += [device.on_verdict(2.0 * number, 2.0 * number, 0.999, shaking(number))]
    assert [len(each) for each in found[10:]] == [0, 1, 0]


def test_readings_that_arrive_out_of_order_tell_the_same() -> None:
    numbers = list(range(30, 40))
    random.Random(4).shuffle(numbers)
    device = settled()
    for number in numbers:
        device.on_verdict(2.0 * number, 80, 0.999, shaking(number), "boot", number)
    assert device.health is Health.FAULT


def test_faulty_readings_from_before_a_repair_do_not_bring_the_fault_back() -> None:
    device = DeviceDiagnosis("1", Knowledge(PLANT))
    for number in range(10):
        device.on_verdict(2.0 * number, 2.0 * number, 0.999, shaking(number), "boot", number)
    for number in range(20, 40):
        device.on_verdict(2.0 * number, 2.0 * number, 0.05, running(number), "boot", number)
    assert device.health is Health.HEALTHY
    late = [device.on_verdict(2.0 * n, 90, 0.999, shaking(n), "boot", n) for n in range(10, 20)]
    assert all(found == () for found in late)
    assert device.health is Health.HEALTHY


def test_a_sensor_whose_clock_was_set_back_an_hour_is_heard_again_after_half_a_minute() -> None:
    device = settled()
    for number in range(30, 60):
        now = 2.0 * number
        device.on_verdict(now - 3600, now, 0.999, shaking(number), "boot", number)
    assert device.health is Health.FAULT


def test_readings_closer_together_than_they_are_independent_count_in_proportion() -> None:
    plant = PLANT.model_copy(update={"evidence": EvidenceSettings(independent_after_s=20)})
    device = settled(plant, readings=200)
    numbers = iter(range(200, 400))
    count = 0
    while device.health is Health.HEALTHY:
        number = next(numbers)
        count += 1
        device.on_verdict(2.0 * number, 2.0 * number, 0.999, shaking(number), "boot", number)
    assert count == pytest.approx(28, abs=2)  # ln(1e6) = 13.8 at 5 for each 20 s, a reading each 2 s


def test_a_reading_without_a_signal_of_the_plant_is_evidence_all_the_same() -> None:
    device = settled()
    found = [device.on_verdict(2.0 * n, 2.0 * n, 0.999, None, "boot", n) for n in range(30, 40)]
    [finding] = [finding for each in found for finding in each]
    assert finding.kind is FindingKind.MACHINE_FAULT


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 60)), max_size=300),
)
@settings(max_examples=60)
def test_no_reading_of_the_newest_thousand_is_taken_twice_or_left_out(sent: list[tuple[str, int]]) -> None:
    seen, known = SeenReadings(), set()
    for boot, seq in sent:
        assert seen.is_new(boot, seq, 0.0, ()) == ((boot, seq) not in known)
        known.add((boot, seq))


def test_a_number_far_behind_counts_as_seen() -> None:
    seen = SeenReadings()
    assert seen.is_new("boot", 5000, 0.0, ())
    assert seen.is_new("boot", 5000 - 1023, 0.0, ())
    assert not seen.is_new("boot", 5000 - 1024, 0.0, ())
