"""What is usual for a machine without labels, learned from a healthy stretch of one or a few signals.

Each signal's running mean, less its daily swing where it has one, is compared with a tolerance: the prediction
interval of one more value, given as many independent ones as the healthy stretch holds. A signal that wanders for days
has shown little of where it may wander in a fortnight, so that its tolerance is wide; one that does not wander has
shown all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Protocol

import numpy as np
import numpy.typing as npt

from evaluation.config import DetectorTable
from monitor.diagnosis.robust_line import student_t

Values = npt.NDArray[np.float64]

_DAY_S = 86_400.0
_HOURS = 24
_FEWEST_DAYS = 4
_LEAST_GAIN = 0.15
_FEWEST_INDEPENDENT = 6
_FEWEST_ROWS = 60
_STEEPNESS = 8.0
_STRIDE = 3.0
_RESOLUTION = 1e-4
_SLOW_PARTS = 12
_LEAST_SLOWNESS = 10


class Detector(Protocol):
    """Scores readings of a device, in order of their time."""

    def probabilities(self, times: Values, rows: Values) -> Values:
        """Probability of a fault of rows [n, k] measured at times [n]: [n]."""


class NotEnoughHealth(ValueError):  # noqa: N818 - it names the thing
    """A stretch that nothing can be learned from; says what was expected."""


@dataclass(frozen=True)
class UsualBand:
    """The usual course of k signals.

    Attributes:
        swing: [24, k], what is added in each hour of the day (UTC), in the signals' units; 0 without a daily swing.
        center: [k].
        tolerance: [k], half the width of the band of the running mean about the center.
        pace: [k], half the width of the band of the running mean about the slow one.
        smoothing: Time constant of the running mean, in readings.
        slow: Time constant of the slow one.
    """

    swing: Values
    center: Values
    tolerance: Values
    pace: Values
    smoothing: float
    slow: float

    def probabilities(self, times: Values, rows: Values) -> Values:
        """0.5 where the furthest signal lies on the edge of a band, 0.9997 at twice its distance."""
        steady = rows - _swing_at(self.swing, times)
        way = np.zeros(len(rows))
        for column, center, tolerance, pace in zip(
            steady.T, self.center, self.tolerance, self.pace, strict=True
        ):
            fast, slow = _means(
                column - center, self.smoothing, self.slow, float(pace), _STRIDE * float(tolerance)
            )
            np.maximum(way, np.abs(fast) / tolerance, out=way)
            # On its way back to the center a machine may be as quick as it likes.
            leaving = np.abs(fast) > np.abs(slow)
            np.maximum(way, leaving * np.abs(fast - slow) / pace, out=way)
        return np.asarray(0.5 * (1 + np.tanh(_STEEPNESS * (way - 1) / 2)))


def learn_usual_band(times: Values, rows: Values, settings: DetectorTable) -> UsualBand:
    """Learn from rows [n, k] of a healthy machine, measured at times [n], in order.

    Raises:
        NotEnoughHealth: Fewer than 60 complete rows.
    """
    complete = np.isfinite(rows).all(axis=1)
    times, rows = times[complete], rows[complete]
    if len(rows) < _FEWEST_ROWS:
        raise NotEnoughHealth(
            f"{len(rows)} complete healthy rows; expected at least {_FEWEST_ROWS} to learn from"
        )
    swing = np.zeros((_HOURS, rows.shape[1]))
    if settings.time_of_day and times[-1] - times[0] >= _FEWEST_DAYS * _DAY_S:
        swing = _daily_swing(times, rows)
    slow_readings = max(_LEAST_SLOWNESS * settings.smoothing_readings, len(rows) / _SLOW_PARTS)
    chance = settings.chance / (2 * rows.shape[1])
    learned = []
    for column in (rows - _swing_at(swing, times)).T:
        middle = float(np.median(column))
        fast, slow = _means(column - middle, settings.smoothing_readings, slow_readings, np.inf, np.inf)
        settled = len(fast) // _SLOW_PARTS
        least = _RESOLUTION * max(1.0, abs(middle))
        pace = _tolerance((fast - slow)[settled:], chance, least)
        learned.append((middle, _tolerance(fast, chance, least), pace))
    centers, tolerances, paces = np.array(learned).T
    return UsualBand(swing, centers, tolerances, paces, settings.smoothing_readings, slow_readings)


def _tolerance(deviations: Values, chance: float, least: float) -> float:
    """Half the width of the prediction interval of one more value (NIST/SEMATECH e-Handbook, 7.2.6.4), robustly."""
    low, high = np.quantile(deviations, (0.01, 0.99))
    kept = np.clip(deviations, low, high)
    independent = max(_FEWEST_INDEPENDENT, len(kept) / (2 * _decay_readings(kept)))
    scatter = max(least, float(np.std(kept)))
    return student_t(1 - chance / 2, independent - 1) * scatter * sqrt(1 + 1 / independent)


def _decay_readings(deviations: Values) -> float:
    """Readings until the autocorrelation has fallen to 1/e; at least half of one."""
    n = len(deviations)
    centred = deviations - deviations.mean()
    spectrum = np.fft.rfft(centred, 2 * n)
    correlation = np.fft.irfft(spectrum * np.conj(spectrum))[:n]
    if correlation[0] <= 0:
        return 0.5
    below = np.flatnonzero(correlation / correlation[0] < 1 / np.e)
    return max(0.5, float(below[0]) if len(below) else float(n))


def _daily_swing(times: Values, rows: Values) -> Values:
    """Median of each hour of the day less that of all, of the signals whose scatter it makes less by 15 %."""
    hours = (times % _DAY_S // 3600).astype(np.int64)
    middle = np.median(rows, axis=0)
    swing = np.zeros((_HOURS, rows.shape[1]))
    for hour in range(_HOURS):
        of_hour = rows[hours == hour]
        if len(of_hour) < _FEWEST_DAYS:
            return np.zeros_like(swing)
        swing[hour] = np.median(of_hour, axis=0) - middle
    before, after = np.std(rows, axis=0), np.std(rows - _swing_at(swing, times), axis=0)
    return np.asarray(np.where(after < (1 - _LEAST_GAIN) * before, swing, 0.0))


def _swing_at(swing: Values, times: Values) -> Values:
    """The swing [n, k], between the middles of the hours by straight lines."""
    if not swing.any():
        return np.zeros((len(times), swing.shape[1]))
    position = (times % _DAY_S) / 3600 - 0.5
    lower = np.floor(position).astype(np.int64)
    part = (position - lower)[:, np.newaxis]
    return np.asarray(swing[lower % _HOURS] * (1 - part) + swing[(lower + 1) % _HOURS] * part)


def _means(values: Values, fast: float, slow: float, pace: float, stride: float) -> tuple[Values, Values]:
    """Two exponentially weighted running means of values [n]; a gap keeps the means before it.

    No value counts as further than ``stride`` from the fast mean, so that a single wild one is no fault of the machine.

    While the fast mean leaves 0 and is further than ``pace`` from the slow one, the slow one follows at a tenth of its
    rate: a fault must not become what is usual, nor a step that stays an alarm for ever.
    """
    fast_weight, slow_weight = 1 / fast, 1 / slow
    a = b = float("nan")
    fast_out, slow_out = [], []
    for value in values.tolist():
        if value == value:  # noqa: PLR0124 - false for not a number
            if a != a:  # noqa: PLR0124 - the first one
                a = b = value
            a += fast_weight * max(-stride, min(stride, value - a))
            far = abs(a - b) > pace and abs(a) > abs(b)
            b += (slow_weight / 10 if far else slow_weight) * (value - b)
        fast_out.append(a)
        slow_out.append(b)
    return np.nan_to_num(np.array(fast_out)), np.nan_to_num(np.array(slow_out))


def natural_flatness(rows: Values) -> Sequence[int]:
    """The longest run of equal values of each signal of rows [n, k]: [k]."""
    longest = []
    for column in rows.T:
        ends = np.flatnonzero(np.concatenate(([True], np.diff(column) != 0, [True])))
        longest.append(int(np.diff(ends).max()) if len(column) else 0)
    return longest
