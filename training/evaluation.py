"""Evaluation: a model's figures, with the oracle's on the same rows beside them where there is an oracle."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from contract.bundle import SignalSpec
from training.dataset import DataSet
from training.fan import FAN_SIGNALS
from training.metrics import measure
from training.oracle import UnknownToTheOracle, fault_posterior


@dataclass(frozen=True)
class Evaluation:
    """What a model achieved on a data set.

    Attributes:
        data: The data set's source.
        data_sha256: Its digest.
        rows: How many were scored.
        threshold: Probability from which on a row was called a fault.
        model: Figures by name, see training.metrics.
        oracle: The oracle's figures on the same rows, by the same names; empty where nothing is known.
        oracle_note: Why there is no oracle, or the share of faults that it was given.
        probabilities: [n] scores.
        labels: [n].
    """

    data: str
    data_sha256: str
    rows: int
    threshold: float
    model: dict[str, float]
    oracle: dict[str, float]
    oracle_note: str
    probabilities: npt.NDArray[np.float64] = field(repr=False)
    labels: npt.NDArray[np.int64] = field(repr=False)

    def figures(self) -> dict[str, Any]:
        """Everything but the rows, as metrics.json holds it."""
        return {
            name: value for name, value in asdict(self).items() if name not in {"probabilities", "labels"}
        }

    def table(self) -> str:
        """The figures as lines for a terminal."""
        lines = [f"{self.data}", f"{'':28}{'model':>10}{'oracle':>10}{'difference':>12}"]
        for name, value in self.model.items():
            line = f"{name:28}{value:10.4f}"
            if name in self.oracle:
                line += f"{self.oracle[name]:10.4f}{value - self.oracle[name]:+12.4f}"
            lines.append(line)
        return "\n".join([*lines, self.oracle_note])


def evaluate(
    data: DataSet,
    probabilities: npt.NDArray[np.float64],
    threshold: float,
    signals: Sequence[SignalSpec] = FAN_SIGNALS,
) -> Evaluation:
    """Compare probabilities [n] with the labels of data, and with what the oracle would have said.

    Args:
        data: The rows.
        probabilities: The model's, one for each row.
        threshold: Probability from which on a row is called a fault.
        signals: The model's inputs; only the fan's own four have an oracle.
    """
    oracle: dict[str, float] = {}
    if [spec.name for spec in signals] != [spec.name for spec in FAN_SIGNALS]:
        note = "no oracle: it knows the fan's four signals only"
    else:
        share = float(data.labels.mean())
        try:
            oracle = measure(data.labels, fault_posterior(data.signals, share), threshold)
            note = f"oracle: the box test on the known distributions, {share:.3f} of the rows being faulty"
        except UnknownToTheOracle as error:
            note = f"no oracle: {error}"
    return Evaluation(
        data=data.source,
        data_sha256=data.digest,
        rows=len(data),
        threshold=threshold,
        model=measure(data.labels, probabilities, threshold),
        oracle=oracle,
        oracle_note=note,
        probabilities=probabilities,
        labels=data.labels,
    )
