"""One signal's distribution together with its limits: says of a window whether it has drifted."""

from dataclasses import dataclass

from drift.limits import Limits
from drift.marginal import Counts, Marginal

_LOOSE = Limits(chance=1e-4)
"""Beyond its limits a window is conspicuous: too little to raise a flag, and enough to keep one raised."""
_SUPPORT = Limits(chance=1e-3)


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a window is from the training rows, in one signal.

    Attributes:
        rows: So many readings were compared.
        psi: Population stability index, and the limit that it would have to pass.
        ks: Kolmogorov-Smirnov distance, likewise.
        has_drifted: One of them passes its limit.
        is_conspicuous: One of them passes a lower one.
        middle: Median of the window, in the signal's unit.
    """

    rows: int
    psi: float
    psi_limit: float
    ks: float
    ks_limit: float
    has_drifted: bool
    is_conspicuous: bool
    middle: float


class Yardstick:
    """Measures windows of one signal.

    Args:
        marginal: Its distribution in the training rows.
        strict: What a flag is raised at.
        trained_rows: So many rows the distribution is of.
    """

    def __init__(self, marginal: Marginal, strict: Limits, trained_rows: int) -> None:
        self.marginal = marginal
        self._strict = strict
        self._trained_rows = trained_rows

    def measure(self, counts: Counts) -> Distance:
        """Compare a window with the training rows.

        Args:
            counts: Readings in each cell [cells], at least one in all.
        """
        marginal, rows = self.marginal, int(counts.sum())
        psi = float(marginal.psi(marginal.in_bins(counts)))
        ks = marginal.ks(counts)
        sizes = (rows, self._trained_rows)
        psi_limit, ks_limit = self._strict.psi(marginal.bins, *sizes), self._strict.ks(*sizes)
        return Distance(
            rows=rows,
            psi=psi,
            psi_limit=psi_limit,
            ks=ks,
            ks_limit=ks_limit,
            has_drifted=psi > psi_limit or ks > ks_limit,
            is_conspicuous=psi > _LOOSE.psi(marginal.bins, *sizes) or ks > _LOOSE.ks(*sizes),
            middle=marginal.middle(counts),
        )

    def supports(self, counts: Counts) -> bool:
        """Whether a window, too small for a flag of its own, bears out the flag of the one that it is a part of."""
        marginal, sizes = self.marginal, (int(counts.sum()), self._trained_rows)
        psi = float(marginal.psi(marginal.in_bins(counts)))
        return psi > _SUPPORT.psi(marginal.bins, *sizes) or marginal.ks(counts) > _SUPPORT.ks(*sizes)

    def differ(self, counts: Counts, others: Counts, *, strictly: bool) -> bool:
        """Whether two windows differ from each other, whatever was trained.

        Args:
            counts: Readings in each cell [cells], at least one in all.
            others: Likewise.
            strictly: As much as a flag needs, and not only conspicuously.
        """
        marginal, limits = self.marginal, self._strict if strictly else _LOOSE
        sizes = (int(counts.sum()), int(others.sum()))
        psi = float(marginal.psi(marginal.in_bins(counts), marginal.in_bins(others)))
        return psi > limits.psi(marginal.bins, *sizes) or marginal.ks(counts, others) > limits.ks(*sizes)
