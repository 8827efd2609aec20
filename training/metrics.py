"""Figures of merit of probabilities against labels."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

CALIBRATION_BINS = 10


class ReliabilityBin(NamedTuple):
    """One bin of a reliability curve: rows in it, their mean probability, their share of faults."""

    rows: int
    mean_probability: float
    fault_share: float


def reliability(
    labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64], bins: int = CALIBRATION_BINS
) -> list[ReliabilityBin]:
    """The non-empty ones of equally wide bins of probability; labels and probabilities are [n]."""
    index = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    return [
        ReliabilityBin(int(mask.sum()), float(probabilities[mask].mean()), float(labels[mask].mean()))
        for mask in (index == number for number in range(bins))
        if mask.any()
    ]


def expected_calibration_error(
    labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64]
) -> float:
    """Mean distance, over ten bins weighted by rows, of the probability said from the share of faults seen.

    Naeini, Cooper, Hauskrecht (2015), for the probability of the positive class.
    """
    return sum(
        item.rows * abs(item.mean_probability - item.fault_share)
        for item in reliability(labels, probabilities)
    ) / len(labels)


def measure(
    labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64], threshold: float
) -> dict[str, float]:
    """All figures by name; fault is said from the threshold on.

    Args:
        labels: [n], 0 or 1, both present.
        probabilities: [n].
        threshold: Probability from which on a row counts as a fault.
    """
    said = probabilities >= threshold
    fault = labels == 1
    return {
        "accuracy": float(np.mean(said == fault)),
        "auc": float(roc_auc_score(labels, probabilities)),
        "average_precision": float(average_precision_score(labels, probabilities)),
        "precision": float(np.sum(said & fault) / max(1, np.sum(said))),
        "recall": float(np.mean(said[fault])),
        "false_alarm_rate": float(np.mean(said[~fault])),
        "log_loss": float(log_loss(labels, np.clip(probabilities, 1e-7, 1 - 1e-7))),
        "brier": float(brier_score_loss(labels, probabilities)),
        "expected_calibration_error": expected_calibration_error(labels, probabilities),
    }
