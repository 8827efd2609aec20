"""The two distances and their limits: what they are by definition, and how seldom chance passes a limit."""

import math

import numpy as np
import pytest
from scipy.stats import ks_1samp, ks_2samp, uniform

from drift.limits import Limits, chance_of_a_test
from drift.marginal import Counts, Marginal
from drift.yardstick import Yardstick
from tests.drift.fleets import reference


def marginal(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Marginal:
    return Marginal(reference({"x": values.tolist()}).signals["x"])


def counts(of: Marginal, values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Counts:
    return np.bincount([of.cell_of(value) for value in values.tolist()], minlength=of.cells)


EVEN = marginal(np.linspace(0, 1, 100_001))


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_is_that_of_kolmogorov_and_smirnov_to_half_a_percent(seed: int) -> None:
    values = np.random.default_rng(seed).uniform(0, 1 + seed / 10, 300)
    assert EVEN.ks(counts(EVEN, values)) == pytest.approx(ks_1samp(values, uniform.cdf).statistic, abs=0.0051)


def test_two_windows_are_compared_likewise() -> None:
    random = np.random.default_rng(1)
    one, other = random.uniform(0, 1, 300), random.uniform(0.1, 1.1, 200)
    found = EVEN.ks(counts(EVEN, one), counts(EVEN, other))
    # What lies above the trained maximum is one cell.
    assert found == pytest.approx(
        ks_2samp(np.minimum(one, 1.01), np.minimum(other, 1.01)).statistic, abs=0.011
    )


def test_the_index_is_the_sum_of_its_definition() -> None:
    in_bins = np.array([30, 0, 10, 10, 10, 10, 10, 10, 5, 5])
    shares = (in_bins + 1) / 110
    by_hand = sum((share - 0.1) * math.log(share / 0.1) for share in shares)
    assert float(EVEN.psi(in_bins)) == pytest.approx(by_hand, rel=1e-6)
    assert float(EVEN.psi(in_bins, in_bins)) == 0


def test_the_bins_hold_a_tenth_of_the_training_rows_each() -> None:
    values = np.random.default_rng(2).uniform(0, 1, 100_000)
    in_bins = EVEN.in_bins(counts(EVEN, values))
    assert len(in_bins) == EVEN.bins == 10
    assert in_bins == pytest.approx([10_000] * 10, rel=0.05)


def test_a_signal_that_comes_in_steps_is_no_drift_by_that() -> None:
    random = np.random.default_rng(3)
    switch = marginal((random.random(100_000) < 0.3).astype(float))
    same, other = (counts(switch, (random.random(400) < share).astype(float)) for share in (0.3, 0.6))
    yardstick = Yardstick(switch, Limits(1e-7), 60_000)
    assert not yardstick.measure(same).has_drifted
    assert yardstick.measure(other).has_drifted


def test_a_signal_that_never_changed_has_drifted_when_it_does_either_way() -> None:
    still = marginal(np.full(1000, 5.0))
    yardstick = Yardstick(still, Limits(1e-7), 1000)
    assert not yardstick.measure(counts(still, np.full(400, 5.0))).is_conspicuous
    for moved in (4.9, 5.1):
        assert yardstick.measure(counts(still, np.full(400, moved))).has_drifted


@pytest.mark.parametrize("rows", [60, 130, 160, 260, 480])
def test_chance_passes_the_limit_of_the_index_no_more_often_than_it_may(rows: int) -> None:
    chance, drawn = 1e-4, 400_000
    in_bins = np.random.default_rng(rows).multinomial(rows, [0.1] * 10, size=drawn)
    limit = Limits(chance).psi(10, rows, 10**9)
    passed = int((EVEN.psi(in_bins) > limit).sum())
    # 40 are expected at the most; 65 would be four standard deviations above.
    assert passed < chance * drawn + 4 * math.sqrt(chance * drawn)


def test_the_limit_is_no_higher_than_it_must_be() -> None:
    in_bins = np.random.default_rng(1).multinomial(260, [0.1] * 10, size=400_000)
    assert np.quantile(EVEN.psi(in_bins), 1 - 1e-4) > 0.75 * Limits(1e-4).psi(10, 260, 10**9)


def test_the_limits_of_two_samples_are_wider_than_of_one() -> None:
    limits = Limits(1e-6)
    assert limits.ks(250, 250) > limits.ks(250, 60_000) * 1.3
    assert limits.psi(10, 250, 250) == pytest.approx(2 * limits.psi(10, 250, 10**9), rel=1e-3)


def test_the_family_of_all_tests_shares_the_false_flags_that_are_borne() -> None:
    looks = 100_000 / 20
    assert chance_of_a_test(0.02, 4, 20) * 4 * 2 * 2 * looks == pytest.approx(0.02)
    assert chance_of_a_test(0.02, 8, 20) == chance_of_a_test(0.02, 4, 20) / 2


def test_a_median_beyond_what_was_trained_is_told_as_its_edge() -> None:
    assert EVEN.trained_middle == pytest.approx(0.5, abs=0.005)
    assert EVEN.middle(counts(EVEN, np.full(100, 7.0))) == 1
    assert EVEN.middle(counts(EVEN, np.full(100, 0.25))) == pytest.approx(0.25, abs=0.005)
