import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.command import Condition, FanCommand
from evaluation.wear_study import Life, false_warnings, study_wear
from monitor.diagnosis.history import POINTS, History
from monitor.diagnosis.plant import Plant
from monitor.diagnosis.robust_line import fit, mann_kendall, student_t
from monitor.diagnosis.time_left import about_words, duration_words
from monitor.findings import FindingKind
from simulator.fan import Fan
from tests.diagnosis.told import INTERVAL_S, Told, changes
from training.fan import FAULTY, HEALTHY

DAY_S = 86_400.0


@pytest.mark.parametrize(
    "life",
    [Life(healthy_s=300, wear_s=600, interval_s=2), Life(healthy_s=1000, wear_s=10_000, interval_s=20)],
    ids=lambda life: life.name,
)
def test_in_the_last_third_the_failure_lies_in_the_90_percent_interval_and_the_warning_came_before(
    life: Life,
) -> None:
    # All 200 seeds and longer lives: `make studies`.
    figures = study_wear(life, range(60)).figures()
    assert 0.85 <= figures["failure_in_the_interval"] <= 0.95
    assert figures["warned_before_80_percent"] >= 0.95
    assert figures["warned_in_health"] == 0


def test_in_thirty_device_days_of_health_no_more_than_one_early_warning_is_false() -> None:
    chance = np.random.default_rng(20_261_125)
    warnings = 0
    for number in range(10):  # at a reading in 20 s; at one in 2 s: `make studies`
        rows = np.round(chance.uniform(HEALTHY.low, HEALTHY.high, (int(3 * DAY_S / 20), 4)), 1)
        warnings += false_warnings(rows, 20.0, str(number))
    assert warnings <= 1


def test_a_fan_that_breaks_at_once_does_not_look_like_one_that_wears() -> None:
    warnings = 0
    for seed in range(10):
        chance = np.random.default_rng(seed)
        rows = np.vstack(
            [
                chance.uniform(box.low, box.high, (count, 4))
                for box, count in ((HEALTHY, 2000), (FAULTY, 3000))
            ]
        )
        warnings += false_warnings(np.round(rows, 1), 2.0, str(seed))
    assert warnings == 0


def test_a_daily_swing_within_what_is_usual_is_no_wear() -> None:
    chance = np.random.default_rng(3)
    times = np.arange(0, 6 * DAY_S, 60)
    swing = 3.0 * np.sin(2 * np.pi * times / DAY_S)
    rows = np.column_stack(
        [
            chance.normal(600, 5, len(times)),
            40 + swing + chance.normal(0, 0.2, len(times)),
            chance.normal(150, 5, len(times)),
            chance.normal(48, 0.3, len(times)),
        ]
    )
    assert false_warnings(np.round(rows, 1), 60.0, "1") == 0


def test_the_warning_says_what_goes_where_and_how_long_it_takes_and_ends_after_the_repair() -> None:
    told = Told()
    told.run(Condition.HEALTHY, 60)
    told._fans["1"].obey(FanCommand(condition=Condition.WEARING, duration_s=1200), told.clock.elapsed())
    found = []
    while FindingKind.WEAR not in told.status().standing:
        signals = told._fans["1"].measure(told.clock.elapsed())
        assert signals is not None
        found += told.tell(tuple(signals.values()), probability=0.1)  # type: ignore[arg-type]
    [warning] = found
    assert warning.kind is FindingKind.WEAR
    assert "towards" in warning.why
    assert "where it is worn out, in" in warning.why
    assert warning.why.endswith(f"minutes: look at {warning.inspect}.")
    [part] = warning.contributions
    assert part.signal in {"rotation", "temperature", "vibration", "sound"}
    device = told.diagnosis.device("1")
    assert device is not None
    left = device.time_left()
    assert left is not None
    assert left.earliest < left.latest
    assert changes(told.run(Condition.HEALTHY, 40))[-1] == (FindingKind.WEAR, False)
    assert device.time_left() is None


def test_a_fan_without_a_trend_has_no_time_left_to_tell() -> None:
    told = Told()
    told.run(Condition.HEALTHY, 300)
    device = told.diagnosis.device("1")
    assert device is not None
    assert device.time_left() is None


@pytest.mark.parametrize(
    ("shortest_s", "longest_s", "words"),
    [
        (6.2 * DAY_S, 8.4 * DAY_S, "6 to 9 days"),
        (1.1 * DAY_S, 1.9 * DAY_S, "26 to 46 hours"),
        (60, 119, "60 to 119 seconds"),
        (-50, 150, "0 to 3 minutes"),
        (30, 30, "30 seconds"),
        (1, 1, "1 second"),
    ],
)
def test_durations_are_told_in_one_unit_and_outwards(shortest_s: float, longest_s: float, words: str) -> None:
    assert duration_words(shortest_s, longest_s) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (30.02, "30 seconds"),
        (30.9, "31 seconds"),
        (0.7, "1 second"),
        (-1, "0 seconds"),
        (125, "2 minutes"),
        (3 * DAY_S - 1, "3 days"),
    ],
)
def test_one_duration_is_told_to_the_nearest_whole_number(seconds: float, words: str) -> None:
    assert about_words(seconds) == words


@given(
    st.floats(-10, 10),
    st.floats(-100, 100),
    st.floats(1e-3, 1e3),
    st.integers(12, 40),
)
@settings(max_examples=50)
def test_a_line_without_noise_is_found_as_it_is(slope: float, level: float, scale: float, count: int) -> None:
    times = [scale * i for i in range(count)]
    line = fit(times, [level + slope * time for time in times])
    assert line.slope == pytest.approx(slope, abs=1e-6 * (1 + abs(level) / scale))
    assert line.at(times[-1]) == pytest.approx(level + slope * times[-1], rel=1e-6, abs=1e-6)


def test_three_bad_points_of_twenty_do_not_move_the_line() -> None:
    times = [float(i) for i in range(20)]
    values = [2.0 * time for time in times]
    values[3] = values[11] = values[17] = 1000.0
    assert fit(times, values).slope == pytest.approx(2.0)


@pytest.mark.parametrize("count", [12, 20, 40])
def test_the_crossing_of_a_noisy_line_lies_in_its_interval_as_often_as_is_said(count: int) -> None:
    chance = random.Random(count)
    truth = 1.3 * count
    hits = 0
    for _ in range(400):
        times = [float(i) for i in range(count)]
        interval = fit(times, [time / truth + chance.gauss(0, 0.02) for time in times]).crossing(1.0, 0.9)
        hits += interval is not None and interval[0] <= truth <= interval[1]
    assert 0.85 <= hits / 400 <= 0.95


def test_points_without_order_have_no_crossing() -> None:
    values = [1.0, 3.0, 2.0, 3.0, 1.0, 2.0, 2.0, 1.0, 3.0, 2.0, 3.0, 1.0]
    assert fit([float(i) for i in range(12)], values).crossing(10.0, 0.9) is None


def test_mann_kendalls_chance_is_that_of_the_published_tables() -> None:
    # Kendall's S = 21 of 10 points has a two-sided chance of 0.072 (exact; Hollander and Wolfe, table A.30).
    assert mann_kendall(21, 10) == pytest.approx(0.072, abs=0.004)


@pytest.mark.parametrize(("freedom", "quantile"), [(5, 2.0150), (10, 1.8125), (30, 1.6973)])
def test_students_quantiles_are_those_of_the_tables(freedom: int, quantile: float) -> None:
    assert student_t(0.95, freedom) == pytest.approx(quantile, rel=0.002)


def test_the_history_of_months_fits_into_a_few_hundred_points() -> None:
    history = History(1, 5)
    for number in range(200_000):
        history.take(2.0 * number, (float(number),))
    assert [history.count(level) for level in range(5)] == [POINTS] * 4 + [9]
    newest = history.points(0, 0)
    assert newest.values[-1] == pytest.approx(199_997)
    month = history.points(4, 0)
    assert list(month.values) == pytest.approx([value / 2 for value in month.times])


def test_a_late_reading_does_not_bend_the_history() -> None:
    history = History(1, 5)
    for number in range(20):
        history.take(float(number), (1.0,))
    assert not history.take(3.0, (99.0,))
    assert set(history.points(0, 0).values) == {1.0}


def test_a_plant_without_limits_foretells_nothing() -> None:
    plant = Plant.read()
    bare = {
        name: signal.model_copy(update={"worn_low": None, "worn_high": None})
        for name, signal in plant.signals.items()
    }
    told = Told(plant=plant.model_copy(update={"signals": bare}))
    fan = Fan("1", seed=1)
    fan.obey(FanCommand(condition=Condition.WEARING, duration_s=600), 0)
    for number in range(250):
        signals = fan.measure(number * INTERVAL_S)
        assert signals is not None
        told.tell(tuple(signals.values()), probability=0.1)  # type: ignore[arg-type]
    assert FindingKind.WEAR not in {finding.kind for finding in told.found}
