"""Each condition of a fan has the statistics that it is described with, and a seed makes it the same again."""

import numpy as np
import pytest

from contract.command import Condition, FanCommand
from simulator.fan import (
    FAULTY_HIGH,
    FAULTY_LOW,
    HEALTHY_HIGH,
    HEALTHY_LOW,
    SIGNALS,
    SPIKE_CHANCE,
    Fan,
    Vector,
)

READINGS = 20_000


def measured(fan: Fan, count: int = READINGS, *, now_s: float = 0.0) -> Vector:
    rows = [fan.measure(now_s) for _ in range(count)]
    return np.array([[row[signal] for signal in SIGNALS] for row in rows if row is not None])


@pytest.mark.parametrize(
    ("condition", "low", "high"),
    [(Condition.HEALTHY, HEALTHY_LOW, HEALTHY_HIGH), (Condition.FAULTY, FAULTY_LOW, FAULTY_HIGH)],
)
def test_healthy_and_faulty_readings_are_uniform_and_independent(
    condition: Condition, low: Vector, high: Vector
) -> None:
    values = measured(Fan("1", seed=7, condition=condition))
    assert (values >= low).all()
    assert (values <= high).all()
    # Four standard errors of the mean of a uniform distribution; its deviation is its width / sqrt(12).
    width = high - low
    deviation = width / np.sqrt(12)
    assert (np.abs(values.mean(axis=0) - (low + high) / 2) < 4 * deviation / np.sqrt(READINGS)).all()
    assert np.allclose(values.std(axis=0), deviation, rtol=0.02)
    correlations = np.asarray(np.corrcoef(values, rowvar=False)) - np.eye(4)
    assert (np.abs(correlations) < 4 / np.sqrt(READINGS)).all()


def test_one_in_eleven_faulty_readings_looks_healthy() -> None:
    values = measured(Fan("5", seed=7, condition=Condition.FAULTY))
    inside = ((values >= HEALTHY_LOW) & (values <= HEALTHY_HIGH)).all(axis=1)
    assert inside.mean() == pytest.approx(0.0933, abs=0.008)


def test_the_same_seed_and_name_measure_the_same_and_another_name_something_else() -> None:
    first, again, other = Fan("1", seed=3), Fan("1", seed=3), Fan("2", seed=3)
    values = measured(first, 100)
    assert (values == measured(again, 100)).all()
    assert not (values == measured(other, 100)).all()
    assert not (values == measured(Fan("1", seed=4), 100)).all()


def test_wearing_falls_from_600_to_400_while_the_rest_rises_and_ends_in_a_stop() -> None:
    fan = Fan("4", seed=1, condition=Condition.WEARING, duration_s=600, now_s=50)
    begin, middle, end = (measured(fan, 500, now_s=50 + s).mean(axis=0) for s in (0, 300, 599.99))
    assert begin[0] == pytest.approx(600, abs=1)
    assert middle[0] == pytest.approx(500, abs=1)
    assert end[0] == pytest.approx(400, abs=1)
    assert (begin[1:] < middle[1:]).all()
    assert (middle[1:] < end[1:]).all()
    assert measured(fan, 500, now_s=350).std(axis=0).min() > 0.1
    stopped = measured(fan, 10, now_s=650)
    assert (stopped[:, SIGNALS.index("rotation")] == 0).all()
    assert (stopped[:, SIGNALS.index("vibration")] == 0).all()


def test_a_stuck_sensor_repeats_its_last_value_while_the_others_go_on() -> None:
    fan = Fan("2", seed=5)
    before = measured(fan, 1)[0]
    fan.obey(FanCommand(condition=Condition.STUCK), 0.0)
    values = measured(fan, 200)
    stuck = [place for place in range(4) if (values[:, place] == before[place]).all()]
    assert len(stuck) == 1
    moving = np.delete(values, stuck, axis=1)
    assert (moving.std(axis=0) > 0.5).all()


def test_spikes_throw_one_signal_far_out_now_and_then() -> None:
    values = measured(Fan("3", seed=5, condition=Condition.SPIKES))
    outside = (values < HEALTHY_LOW) | (values > HEALTHY_HIGH)
    assert outside.sum(axis=1).max() == 1
    assert outside.any(axis=1).mean() == pytest.approx(SPIKE_CHANCE, abs=0.006)
    assert (values > 0).all()


def test_a_silent_fan_measures_nothing_until_it_is_told_to_speak() -> None:
    fan = Fan("6", seed=1, condition=Condition.SILENT)
    assert fan.measure(0.0) is None
    fan.obey(FanCommand(condition=Condition.HEALTHY), 0.0)
    assert fan.measure(0.0) is not None


@pytest.mark.parametrize(
    ("condition", "label"),
    [
        (Condition.HEALTHY, 0),
        (Condition.FAULTY, 1),
        (Condition.WEARING, None),
        (Condition.STUCK, None),
        (Condition.SPIKES, None),
    ],
)
def test_the_truth_of_a_reading_is_known_where_one_verdict_is_right(
    condition: Condition, label: int | None
) -> None:
    assert Fan("1", seed=1, condition=condition, duration_s=10).label(5.0) == label


def test_a_fan_that_has_stopped_is_faulty_in_truth() -> None:
    assert Fan("1", seed=1, condition=Condition.WEARING, duration_s=10).label(10.0) == 1
