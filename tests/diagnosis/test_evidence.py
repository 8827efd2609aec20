from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.health_study import study_health, study_recording
from monitor.diagnosis.evidence import Evidence, Health, LogRatio
from monitor.diagnosis.plant import EvidenceSettings
from tests.diagnosis.told import REPOSITORY
from tests.evaluation.real_recordings import FAN_CSV, needs_fan_csv

BUNDLE = REPOSITORY / "models/fan"
SETTINGS = EvidenceSettings()


def test_on_streams_of_the_known_distributions_states_are_right_and_rare_and_changes_are_seen_soon() -> None:
    figures = study_health(BUNDLE, streams=150, readings=100, long_readings=20_000, seed=20_261_125)
    assert figures.states > 60_000
    assert figures.wrong * 10_000 <= figures.states
    assert figures.flaps == 0
    assert figures.figures()["readings_to_fault_median"] <= 8
    assert figures.figures()["readings_to_healthy_median"] <= 8


@needs_fan_csv
def test_on_the_recording_every_state_after_ten_readings_is_right() -> None:
    states, wrong, flaps = study_recording(BUNDLE, FAN_CSV)
    assert (states, wrong, flaps) == (19_982, 0, 0)


def test_a_probability_is_weighed_against_the_prior_it_was_calibrated_on() -> None:
    ratio = LogRatio(EvidenceSettings(prior_fault=0.1))
    assert ratio.of(0.1) == pytest.approx(0)
    assert ratio.of(0.5) == pytest.approx(log(9))
    assert ratio.of(0.0) == -5
    assert ratio.of(1.0) == 5


def test_no_single_reading_decides() -> None:
    evidence = Evidence(SETTINGS)
    for _ in range(20):
        evidence.take(-5)
    assert evidence.health is Health.HEALTHY
    assert [evidence.take(5) for _ in range(4)] == [False, False, True, False]


def test_the_first_test_is_cut_off_by_its_sign() -> None:
    evidence = Evidence(SETTINGS)
    states = []
    for _ in range(SETTINGS.first_decision_readings):
        evidence.take(0.1)
        states.append(evidence.health)
    assert states == [Health.UNKNOWN] * 9 + [Health.FAULT]


def test_weak_evidence_does_not_pile_up_for_ever() -> None:
    evidence = Evidence(SETTINGS)
    for _ in range(10):
        evidence.take(-5)
    changed = [evidence.take(0.2) for _ in range(1000)]
    assert not any(changed)


@given(st.lists(st.floats(-5, 5), max_size=200))
def test_whatever_comes_a_change_rests_on_as_much_evidence_as_was_asked_for(ratios: list[float]) -> None:
    evidence = Evidence(SETTINGS)
    run = 0.0
    for ratio in ratios:
        before = evidence.health
        run += ratio
        changed = evidence.take(ratio)
        assert changed == (evidence.health is not before)
        if changed and before is not Health.UNKNOWN:
            needed = log(1e6) if evidence.health is Health.FAULT else log(1e7)
            assert abs(run) >= needed - 1e-3
        if not evidence.in_doubt:
            run = 0.0
