"""Simulated fans, scored by the committed model: is drift told soon, of the right one, and never where is none?"""

import time

import numpy as np
import pytest

from drift.findings import Finding, Kind
from drift.watch import Watch, WatchLimits
from evaluation.drift_study import (
    FLEETS,
    MIXED_FLEET,
    SENSOR_FAULTS,
    DriftFigures,
    DriftTrial,
    Fan,
    creeping,
    scaled,
    sensor_fault,
    study_delays,
    study_false_flags,
)
from tests.drift.fleets import MODELS

SEEDS = 5


@pytest.fixture(scope="module")
def trial() -> DriftTrial:
    return DriftTrial(MODELS / "fan")


def kinds(told: dict[Finding, int]) -> set[Kind]:
    return {finding.kind for finding in told}


@pytest.mark.parametrize("percent", [10, -10])
def test_drift_of_ten_percent_in_any_signal_is_a_season_within_500_readings(
    trial: DriftTrial, percent: float
) -> None:
    figures = DriftFigures()
    study_delays(trial, figures, range(SEEDS), percent)
    assert len(figures.delays) == 4
    for name, delays in figures.delays.items():
        assert len(delays) == SEEDS
        assert all(delay is not None and delay <= 500 for delay in delays), (name, delays)
    assert figures.wrong == []


@pytest.mark.parametrize("fleet", FLEETS)
@pytest.mark.parametrize("seed", [11, 12])
def test_100_000_readings_without_drift_raise_no_flag(trial: DriftTrial, fleet: str, seed: int) -> None:
    figures = DriftFigures()
    study_false_flags(trial, figures, fleet, FLEETS[fleet], seed, 100_000)
    assert figures.false_flags[fleet] == []
    assert 0.5 < figures.nearest[fleet][0] < 1, "a limit that nothing comes near would find nothing"


@pytest.mark.parametrize("fault", SENSOR_FAULTS)
@pytest.mark.parametrize("column", range(4))
def test_a_broken_sensor_of_one_fan_is_told_as_that_and_never_as_a_season(
    trial: DriftTrial, fault: str, column: int
) -> None:
    watch = trial.watch()
    told = trial.told(watch, trial.stream(4500, 21 + column, change=sensor_fault(fault, column)))
    broken = Finding(Kind.SENSOR, "", (trial.names[column],), "2")
    assert broken in told
    assert {finding for finding in told if finding.device_id != "6"} == {broken}
    [words] = [finding.words for finding in watch.findings if finding.device_id == "2"]
    assert words.startswith(f"Only device 2 has drifted, and only in one signal: {trial.names[column]} ")
    assert "sensor" in words


def test_a_fan_that_wears_is_a_machine_and_not_a_sensor(trial: DriftTrial) -> None:
    watch = trial.watch()
    told = trial.told(watch, trial.stream(6000, 1))
    assert {(finding.kind, finding.device_id) for finding in told} == {(Kind.MACHINE, "6")}
    assert "see what the live page says of it" in watch.findings[0].words


def test_a_fan_that_breaks_is_the_monitors_business_alone(trial: DriftTrial) -> None:
    fans = (*(Fan.HEALTHY,) * 5, Fan.FAULTY)
    assert trial.told(trial.watch(), trial.stream(6000, 3, fans)) == {}


@pytest.mark.parametrize("column", range(4))
def test_a_season_that_comes_slowly_is_never_laid_to_a_single_fan(trial: DriftTrial, column: int) -> None:
    fans = (Fan.HEALTHY,) * 6
    told = trial.told(trial.watch(), trial.stream(30_000, 31 + column, fans, creeping(column, 1.15)))
    assert Finding(Kind.SEASON, "", (trial.names[column],)) in told
    assert kinds(told) <= {Kind.SEASON, Kind.OUTPUT}


def test_a_season_ends_when_the_readings_are_back_and_leaves_nothing_behind(trial: DriftTrial) -> None:
    watch = trial.watch()
    fans = (Fan.HEALTHY,) * 6
    trial.told(watch, trial.stream(3000, 1, fans, scaled(0, 1.1)))
    assert [finding.kind for finding in watch.findings] == [Kind.SEASON]
    assert "All devices have drifted together: rotation is around" in watch.findings[0].words
    back = trial.told(watch, trial.stream(3000, 2, fans))
    assert kinds(back) <= {Kind.SEASON}
    assert watch.findings == ()


def test_when_the_model_calls_most_fans_ill_at_once_the_output_has_drifted(trial: DriftTrial) -> None:
    watch = trial.watch()
    fans = (Fan.HEALTHY,) * 6
    trial.told(watch, trial.stream(3000, 1, fans))
    # So far that no reading is called healthy any more: there is nothing left to compare but the verdicts.
    told = trial.told(watch, trial.stream(600, 2, fans, scaled(3, 1.25)))
    assert Kind.OUTPUT in kinds(told)
    [words] = [finding.words for finding in watch.findings if finding.kind is Kind.OUTPUT]
    assert "6 of 6 devices" in words
    trial.told(watch, trial.stream(3000, 3, fans))
    assert watch.findings == ()


def test_two_fans_that_break_are_no_drift_of_the_output(trial: DriftTrial) -> None:
    watch = trial.watch()
    trial.told(watch, trial.stream(3000, 1, (Fan.HEALTHY,) * 6))
    told = trial.told(watch, trial.stream(6000, 2, (*(Fan.HEALTHY,) * 4, *(Fan.FAULTY,) * 2)))
    assert Kind.OUTPUT not in kinds(told)


@pytest.mark.parametrize(("factor", "device", "expected"), [(1.1, None, Kind.SEASON), (0.85, 1, Kind.SENSOR)])
def test_two_fans_are_enough_to_tell_one_from_all(
    trial: DriftTrial, factor: float, device: int | None, expected: Kind
) -> None:
    told = trial.told(trial.watch(), trial.stream(2000, 5, (Fan.HEALTHY,) * 2, scaled(0, factor, device)))
    assert kinds(told) == {expected}


def test_of_one_fan_alone_no_season_is_told(trial: DriftTrial) -> None:
    told = trial.told(trial.watch(), trial.stream(2000, 5, (Fan.HEALTHY,), scaled(0, 1.1)))
    assert kinds(told) == {Kind.SENSOR}


def test_a_fan_that_is_not_heard_of_is_forgotten_with_what_was_found_of_it(trial: DriftTrial) -> None:
    now = 0.0
    watch = Watch(trial.trained, WatchLimits(forget_after_s=100), lambda: now)
    trial.told(watch, trial.stream(3000, 1, change=scaled(0, 0.85, 1)))
    assert {finding.device_id for finding in watch.findings} >= {"2"}
    now = 101.0
    for count in trial.run(watch, trial.stream(40, 2, (Fan.HEALTHY,))):
        assert count
    assert (watch.devices, watch.findings) == (1, ())


def test_of_too_many_fans_the_longest_unheard_is_forgotten(trial: DriftTrial) -> None:
    watch = Watch(trial.trained, WatchLimits(max_devices=10), lambda: 0.0)
    trial.told(watch, trial.stream(400, 1, (Fan.HEALTHY,) * 40))
    assert watch.devices == 10


def test_a_reading_costs_the_same_of_six_fans_and_of_five_hundred(trial: DriftTrial) -> None:
    def seconds(fans: int) -> float:
        watch = trial.watch()
        trial.told(
            watch, trial.stream(2000, 1, (Fan.HEALTHY,) * fans)
        )  # limits are worked out once for each size
        stream = trial.stream(4000, 2, (Fan.HEALTHY,) * fans)
        begin = time.process_time()
        trial.told(watch, stream)
        return time.process_time() - begin

    few, many = (min(seconds(fans) for _ in range(3)) for fans in (6, 500))
    assert many < 2 * few


def test_a_signal_of_the_model_that_a_reading_lacks_is_an_error_and_changes_nothing(
    trial: DriftTrial,
) -> None:
    watch = trial.watch()
    with pytest.raises(KeyError, match="sound"):
        watch.take("1", {"rotation": 1, "temperature": 1, "vibration": 1}, probability=0.1, healthy=True)
    assert (watch.devices, watch.readings_compared) == (0, 0)


def test_the_fleet_of_the_trials_is_a_mixed_one() -> None:
    assert np.unique(list(MIXED_FLEET)).tolist() == [Fan.FAULTY, Fan.HEALTHY, Fan.WEARING]
