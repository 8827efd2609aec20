"""The oracle is the best there is, and the figures mean what their names say."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from training.dataset import generate
from training.evaluation import evaluate
from training.metrics import expected_calibration_error, measure, reliability
from training.oracle import UnknownToTheOracle, fault_posterior


def test_the_oracle_says_what_its_docstring_derives() -> None:
    overlap = 1.4 / (1.4 + 11.25)
    rows = np.array(
        [
            [600, 40, 150, 48],
            [450, 40, 150, 48],
            [600, 50, 150, 48],
            [600, 40, 220, 48],
            [600, 40, 150, 55],
            [680, 40, 150, 48],
        ],
        dtype=np.float64,
    )
    np.testing.assert_allclose(fault_posterior(rows), [overlap, 1, 1, 1, 1, 0])


def test_the_oracles_accuracy_and_auc_are_the_derived_ones() -> None:
    rng = np.random.default_rng(1)  # unrounded, unlike the recorded readings: the derivation is of these
    labels = rng.integers(0, 2, 400_000)
    low = np.where(labels[:, None], [400, 35, 100, 45], [500, 35, 100, 45])
    high = np.where(labels[:, None], [650, 55, 250, 60], [700, 45, 200, 52])
    posterior = fault_posterior(rng.uniform(low, high))
    missed = 0.6 * 0.5 * (2 / 3) * (7 / 15)
    assert np.mean((posterior >= 0.5) == labels) == pytest.approx(1 - missed / 2, abs=0.001)
    assert roc_auc_score(labels, posterior) == pytest.approx(
        (1 - missed) + missed * (0.25 + 0.75 / 2), abs=0.001
    )


def test_the_oracle_is_calibrated_for_any_share_of_faults() -> None:
    data, _ = generate(100_000, 3)
    kept = (data.labels == 0) | (np.arange(len(data)) % 9 == 0)
    labels, signals = data.labels[kept], data.signals[kept]
    assert labels.mean() == pytest.approx(0.1, abs=0.01)
    assert expected_calibration_error(labels, fault_posterior(signals, float(labels.mean()))) < 0.005


def test_a_row_that_neither_distribution_can_bring_is_unknown_to_the_oracle() -> None:
    with pytest.raises(UnknownToTheOracle, match=r"1 of 2 rows .* the first is \[680.0, 50.0"):
        fault_posterior(np.array([[600, 40, 150, 48], [680, 50, 150, 48]], dtype=np.float64))


def test_figures_are_given_without_an_oracle_where_there_is_none() -> None:
    data, _ = generate(1000, 3)
    data.signals[0] = (680, 50, 150, 48)
    result = evaluate(data, np.linspace(0, 1, 1000), 0.5)
    assert result.oracle == {}
    assert "no oracle: 1 of 1000 rows" in result.table()


def test_calibration_error_is_the_distance_of_what_is_said_from_what_is_seen() -> None:
    labels = np.array([1] * 30 + [0] * 70)
    assert expected_calibration_error(labels, np.full(100, 0.3)) == pytest.approx(0)
    assert expected_calibration_error(labels, np.full(100, 0.8)) == pytest.approx(0.5)
    assert expected_calibration_error(labels, labels.astype(np.float64)) == 0
    assert [item.rows for item in reliability(labels, np.array([0.05] * 40 + [1.0] * 60))] == [40, 60]


def test_accuracy_recall_and_false_alarms_count_from_the_threshold_on() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    figures = measure(labels, np.array([0.1, 0.3, 0.7, 0.7, 0.2]), threshold=0.7)
    assert figures["accuracy"] == pytest.approx(3 / 5)
    assert figures["recall"] == pytest.approx(1 / 2)
    assert figures["precision"] == pytest.approx(1 / 2)
    assert figures["false_alarm_rate"] == pytest.approx(1 / 3)
