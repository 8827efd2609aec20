"""The outlier score of the Skoltech Anomaly Benchmark: every row is called healthy or not, and counted.

F1 of the rows called faulty, false-alarm rate FAR = FP / (FP + TN), missing-alarm rate MAR = FN / (FN + TP), all over
pooled counts, as in the benchmark's leaderboard (github.com/waico/SKAB).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Stretch:
    """Rows first to last, both included, that are labelled or called faulty."""

    first: int
    last: int


@dataclass(frozen=True)
class OutlierScore:
    """Counts of rows, and of labelled stretches with the delay of their detection.

    Attributes:
        found: Faulty rows called faulty (TP).
        false: Healthy rows called faulty (FP).
        missed: Faulty rows called healthy (FN).
        quiet: Healthy rows called healthy (TN).
        delays: Of each labelled stretch the rows until the first one in it was called faulty; None when none was.
    """

    found: int
    false: int
    missed: int
    quiet: int
    delays: tuple[int | None, ...]

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None where nothing is faulty and nothing was called so."""
        return _ratio(2 * self.found, 2 * self.found + self.false + self.missed)

    @property
    def far(self) -> float | None:
        """False-alarm rate; None without a healthy row."""
        return _ratio(self.false, self.false + self.quiet)

    @property
    def mar(self) -> float | None:
        """Missing-alarm rate; None without a faulty row."""
        return _ratio(self.missed, self.missed + self.found)

    @property
    def median_delay(self) -> float | None:
        """Rows, over the stretches that were found; None when none was."""
        found = [delay for delay in self.delays if delay is not None]
        return float(np.median(found)) if found else None

    @property
    def stretches_found(self) -> int:
        """Labelled stretches in which at least one row was called faulty."""
        return sum(delay is not None for delay in self.delays)


def score_rows(labels: npt.NDArray[np.int64], called: npt.NDArray[np.bool_]) -> OutlierScore:
    """Compare labels [n], 1 being faulty, with what was called faulty [n]."""
    faulty = labels == 1
    return OutlierScore(
        found=int(np.sum(faulty & called)),
        false=int(np.sum(~faulty & called)),
        missed=int(np.sum(faulty & ~called)),
        quiet=int(np.sum(~faulty & ~called)),
        delays=tuple(_delay(called, stretch) for stretch in stretches(faulty)),
    )


def pool(scores: Iterable[OutlierScore]) -> OutlierScore:
    """All rows of several recordings together."""
    every: Sequence[OutlierScore] = list(scores)
    return OutlierScore(
        found=sum(score.found for score in every),
        false=sum(score.false for score in every),
        missed=sum(score.missed for score in every),
        quiet=sum(score.quiet for score in every),
        delays=tuple(delay for score in every for delay in score.delays),
    )


def stretches(rows: npt.NDArray[np.bool_]) -> list[Stretch]:
    """The runs of true rows."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], rows, [False]]).astype(np.int8)))
    return [Stretch(int(first), int(end) - 1) for first, end in zip(edges[::2], edges[1::2], strict=True)]


def _delay(called: npt.NDArray[np.bool_], stretch: Stretch) -> int | None:
    inside = called[stretch.first : stretch.last + 1]
    return int(inside.argmax()) if inside.any() else None


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
