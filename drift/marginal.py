"""One signal as the model learned it, and how far a window of readings is from that.

Two measures, since each is blind where the other sees. Kolmogorov-Smirnov: the greatest distance between two
distribution functions; it sees a shift of the whole, and next to nothing when a tenth of the range is never visited
any more. Population stability index: PSI = sum over bins of (a - e) ln(a / e), a and e the shares of the window and of
the training rows in ten bins of equal share (S. Kullback and R. Leibler, On information and sufficiency, 1951, where
it is the divergence J; N. Siddiqi, Credit risk scorecards, 2006, for the name and the ten bins); it sees an empty bin
at once.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from contract.reference import QUANTILES

Counts = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]

BINS = 10
_PRIOR = 1.0
"""Added to each bin's count, so that an empty bin has a logarithm (P.-S. Laplace's rule of succession). Half of it
makes a bin that is empty by chance, which one window of 150 readings in 700,000 has, weigh as much as a drift."""
_LEAST_SHARE = 1 / (2 * (QUANTILES - 1))
"""Of the training rows in a bin: a bin that they never visited is as rare as the quantiles can tell."""


class Marginal:
    """The distribution of one signal in the training rows, cut into cells.

    Between two quantiles lies a cell, and each quantile is a cell of its own, because a signal may come in steps (a
    sensor's resolution, a switch that is on or off): then many rows have exactly that value.

    Args:
        quantiles: Ascending, of 0, 0.5, 1 ... 100 % of the training rows.
    """

    def __init__(self, quantiles: Sequence[float]) -> None:
        levels = np.linspace(0.0, 1.0, len(quantiles))
        knots, first = np.unique(np.asarray(quantiles), return_index=True)
        last = np.append(first[1:], len(quantiles)) - 1
        self._knots: list[float] = knots.tolist()
        self.cells = 2 * len(knots) + 1
        expected = np.ones(self.cells)
        expected[0:-1:2] = levels[first]  # below the knot
        expected[1::2] = levels[last]  # up to the knot, itself included
        self._expected = expected
        deciles = np.asarray(quantiles)[:: (len(quantiles) - 1) // BINS][1:-1]
        ends = np.unique(np.searchsorted(knots, deciles) * 2 + 1)
        self._bin_starts = np.concatenate([[0], ends + 1])
        shares = np.maximum(np.diff(np.concatenate([[0.0], expected[ends], [1.0]])), _LEAST_SHARE)
        self._shares: Shares = shares / shares.sum()

    @property
    def bins(self) -> int:
        """Bins of the PSI: ten, or fewer where a signal comes in so few steps."""
        return len(self._shares)

    def cell_of(self, value: float) -> int:
        """The cell that a value lies in, 0 to ``cells`` - 1."""
        return bisect_left(self._knots, value) + bisect_right(self._knots, value)

    def in_bins(self, counts: Counts) -> Counts:
        """Counts [..., cells] summed up into the bins of the PSI: [..., bins]."""
        summed: Counts = np.add.reduceat(counts, self._bin_starts, axis=-1)
        return summed

    def psi(self, in_bins: Counts, others: Counts | None = None) -> Shares:
        """Population stability index of windows: [...]; 0 is none, 0.1 moderate, 0.25 a large shift by custom.

        Args:
            in_bins: Counts [..., bins].
            others: Counts [bins] to compare with, in place of the training rows.
        """
        actual = _smoothed(in_bins)
        expected = self._shares if others is None else _smoothed(others)
        found: Shares = ((actual - expected) * np.log(actual / expected)).sum(axis=-1)
        return found

    def ks(self, counts: Counts, others: Counts | None = None) -> float:
        """Kolmogorov-Smirnov distance of a window, 0 to 1.

        Taken at both sides of each quantile; between two of them it could be larger by 0.005 at the most.

        Args:
            counts: [cells], at least one reading.
            others: Likewise, to compare with in place of the training rows.
        """
        expected = self._expected if others is None else np.cumsum(others) / others.sum()
        return float(np.abs(np.cumsum(counts) / counts.sum() - expected).max())

    def middle(self, counts: Counts) -> float:
        """The median of a window, to the next quantile of the training rows; theirs is the limit either way."""
        cell = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
        return self._knots[min(cell // 2, len(self._knots) - 1)]

    @property
    def trained_middle(self) -> float:
        """The median of the training rows."""
        cell = int(np.searchsorted(self._expected, 0.5))
        return self._knots[min(cell // 2, len(self._knots) - 1)]


def _smoothed(in_bins: Counts) -> Shares:
    smooth = in_bins + _PRIOR
    shares: Shares = smooth / smooth.sum(axis=-1, keepdims=True)
    return shares
