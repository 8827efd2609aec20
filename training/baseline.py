"""The baseline: what readings of a healthy machine look like, learned without labels, for any number of signals.

It says of one reading how far it lies outside of the healthy stretch that it has learned from. How that changes over
time, and what of it is drift, is the monitor's question (monitor/diagnosis/gathering.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_FEWEST_ROWS = 60
_WANDER_ROWS = 20
_WANDER_PARTS = 20
_MOST_WANDER = 0.99
_WANDER_POWER = 1.5
_SHRINKAGE = 0.2
_RESOLUTION = 1e-3
_MARGIN = 5.0
_LEAST_SPREAD = 1e-3


class NotEnoughHealth(ValueError):  # noqa: N818 - it names the thing
    """Rows that a baseline cannot be learned from; says what was expected."""


@dataclass(frozen=True)
class Baseline:
    """The healthy machine, as a model of one row.

    The distance of a row is the mean square of its signals' deviations from the center in units of the tolerance, made
    independent of each other by the whitening (Hotelling's T2 over the number of signals, in scaled units). Its
    log-odds is where ln(1 + distance) lies among those of the healthy rows: 0 at five standard deviations
    above their mean.

    Attributes:
        names: Of the k signals, in the order of the columns.
        center: [k], in the signals' units.
        tolerance: [k], in the signals' units.
        whitening: [k, k]; deviations [n, k] times this are independent of each other on healthy rows.
        typical: Mean of ln(1 + distance) over the healthy rows.
        spread: Its standard deviation.
    """

    names: tuple[str, ...]
    center: npt.NDArray[np.float64]
    tolerance: npt.NDArray[np.float64]
    whitening: npt.NDArray[np.float64]
    typical: float
    spread: float

    @property
    def odds_scale(self) -> float:
        """Log-odds are this times ln(1 + distance), plus odds_shift."""
        return 1 / self.spread

    @property
    def odds_shift(self) -> float:
        """See odds_scale."""
        return -self.typical / self.spread - _MARGIN

    def probabilities(self, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """How sure it is that rows [n, k] are not those of the healthy machine: [n], 0.5 at the threshold."""
        deviations = (rows - self.center) / self.tolerance
        odds = self.odds_scale * _log_distances(deviations @ self.whitening) + self.odds_shift
        return np.asarray(0.5 * (1 + np.tanh(odds / 2)))


def learn_baseline(rows: npt.NDArray[np.float64], names: Sequence[str]) -> Baseline:
    """Learn from rows [n, k] of a healthy machine, in the order in which they were measured.

    A signal that wanders (its moving average over a twentieth of the rows makes up most of its scatter) has not been
    seen in all the places where it will be tomorrow: its tolerance is its standard deviation over (1 - wander^2)^1.5.
    The correlations are shrunk by a fifth towards none, because rows that follow each other tell little more than one.

    Args:
        rows: At least 60; finite.
        names: Of the columns.

    Raises:
        NotEnoughHealth: Too few rows, other than one name a column, or a value that is not finite.
    """
    if rows.ndim != 2 or rows.shape[1] != len(names) or not names:
        raise NotEnoughHealth(
            f"rows of shape {rows.shape}; expected one column for each of {', '.join(names)}"
        )
    if len(rows) < _FEWEST_ROWS:
        raise NotEnoughHealth(f"{len(rows)} healthy rows; expected at least {_FEWEST_ROWS} to learn from")
    finite = np.isfinite(rows).all(axis=0)
    if not finite.all():
        named = ", ".join(names[int(column)] for column in np.flatnonzero(~finite))
        raise NotEnoughHealth(f"{named}: a healthy row is not finite; expected numbers only")
    center = np.median(rows, axis=0)
    scatter = _scatter(rows)
    tolerance = scatter * (1 - _wander(rows, scatter) ** 2) ** -_WANDER_POWER
    whitening = _whitening((rows - rows.mean(axis=0)) / scatter)
    logs = _log_distances((rows - center) / tolerance @ whitening)
    return Baseline(
        names=tuple(names),
        center=center,
        tolerance=tolerance,
        whitening=whitening,
        typical=float(logs.mean()),
        spread=max(_LEAST_SPREAD, float(logs.std())),
    )


def _log_distances(independent: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.log1p(np.mean(independent**2, axis=1)))


def _scatter(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Standard deviations; a signal that never moved is given a thousandth of its value, or of its unit."""
    scatter = rows.std(axis=0)
    size = np.abs(rows).max(axis=0)
    return np.asarray(np.where(scatter > _RESOLUTION**2 * size, scatter, _RESOLUTION * np.maximum(1.0, size)))


def _wander(rows: npt.NDArray[np.float64], scatter: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The share of each signal's scatter that is slow, 0 to 0.99."""
    window = max(_WANDER_ROWS, len(rows) // _WANDER_PARTS)
    # Of a long stretch not every window: neighbours are nearly the same, and there are hundreds anyway.
    windows = np.lib.stride_tricks.sliding_window_view(rows, window, axis=0)[:: window // _WANDER_ROWS]
    averages = windows.mean(axis=-1)
    return np.asarray(np.clip(averages.std(axis=0) / scatter, 0, _MOST_WANDER))


def _whitening(scaled: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """W with W W' the inverse of the shrunk correlation of the rows, whose columns have unit variance or none."""
    correlation = (1 - _SHRINKAGE) * (scaled.T @ scaled) / len(scaled)
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(np.linalg.cholesky(np.linalg.inv(correlation)))
