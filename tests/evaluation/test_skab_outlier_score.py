"""The outlier score counts rows as the benchmark's leaderboard does."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from evaluation.outliers import Stretch, pool, score_rows, stretches


def test_the_counts_are_those_of_a_confusion_matrix_and_f1_is_sklearns() -> None:
    rng = np.random.default_rng(1)
    labels, called = rng.integers(0, 2, 500), rng.random(500) < 0.4
    score = score_rows(labels, called)
    assert score.found + score.missed == labels.sum()
    assert score.false + score.quiet == (labels == 0).sum()
    assert score.f1 == pytest.approx(f1_score(labels, called))
    assert score.far == pytest.approx(called[labels == 0].mean())
    assert score.mar == pytest.approx((~called)[labels == 1].mean())


def test_pooled_figures_are_those_of_all_rows_together_and_not_a_mean_over_files() -> None:
    first = score_rows(np.array([1, 1, 0, 0]), np.array([True, True, False, False]))
    second = score_rows(np.array([1, 0]), np.array([False, True]))
    both = score_rows(np.array([1, 1, 0, 0, 1, 0]), np.array([True, True, False, False, False, True]))
    pooled = pool([first, second])
    assert (pooled.f1, pooled.far, pooled.mar) == (both.f1, both.far, both.mar)
    assert pooled.f1 == pytest.approx(2 / 3)


def test_the_delay_counts_readings_from_the_start_of_each_labelled_stretch() -> None:
    labels = np.array([0, 1, 1, 1, 0, 1, 1, 0, 1])
    called = np.array([0, 0, 0, 1, 1, 0, 0, 0, 1], dtype=bool)
    score = score_rows(labels, called)
    assert score.delays == (2, None, 0)
    assert score.stretches_found == 2
    assert score.median_delay == 1


def test_what_cannot_be_said_is_none_and_no_zero() -> None:
    nothing = score_rows(np.zeros(3, dtype=np.int64), np.zeros(3, dtype=bool))
    assert (nothing.f1, nothing.far, nothing.mar, nothing.median_delay) == (None, 0.0, None, None)
    assert score_rows(np.ones(2, dtype=np.int64), np.zeros(2, dtype=bool)).far is None


def test_stretches_reach_to_both_ends() -> None:
    rows = np.array([1, 1, 0, 1, 0, 0, 1], dtype=bool)
    assert stretches(rows) == [Stretch(0, 1), Stretch(3, 3), Stretch(6, 6)]
    assert stretches(np.zeros(0, dtype=bool)) == []
