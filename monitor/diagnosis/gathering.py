"""Gathering: the verdicts of an unsupervised model and the signals behind them, gathered over time into one state.

A model that has seen healthy readings only can say how unusual a reading is, but no single reading tells a valve that
closes from a room that warms up. Here every channel, that is each signal and the model's log-odds, is smoothed and
compared with its own level of the last minutes. How far it may stray follows from its own healthy stretch: from its
scatter, from how little of that scatter is wander, and from how many independent values so short a stretch holds. A
channel that has left its limit keeps its level as it was until it comes back, so that a fault is not learned.

Nothing here knows of time: a step is a reading, in the order in which the machine measured.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from monitor.diagnosis.plant import GatheringSettings

_SETTLING = 40
"""Readings of the healthy stretch after which smoothing and level have left their starting point."""
_FIRST_LEVEL_READINGS = 60
_FEWEST_INDEPENDENT = 2.0
"""Of a stretch that only climbs or falls there is one value, as good as two; less cannot be told from so few."""
_MOST_WANDER = 0.99
_WANDER_READINGS = 20
_WANDER_PARTS = 20
"""What is slow is told by a moving average over a twentieth of the healthy stretch, and over 20 readings at least."""
_MOST_CORRELATED = 4000
"""A longer stretch is averaged to so many values before its autocorrelation is taken, whose cost is their square."""
_RESOLUTION = 1e-3
"""Of a channel that never moved: so much of its value is taken for its scatter."""
_MOST_LOG_ODDS = 16.0
"""A float32 probability is 1 from here on."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """The state after one reading."""

    learning: bool
    """The reading belongs to the healthy stretch: nothing is decided yet."""
    fault: bool
    score: float
    """The largest deviation of any channel in units of its limit: 1 is the limit. 0 while learning."""
    channel: str | None
    """The channel of that deviation; None while learning."""


@dataclass(frozen=True, slots=True)
class Strayed:
    """A channel that has left its limit."""

    signal: int | None
    """Which one; None is the model's log-odds."""
    value: float
    """Smoothed."""
    level: float
    """Its own of the last minutes before it left."""
    limit: float
    """How far from the level it may stray."""

    @property
    def by(self) -> float:
        """How far it has strayed, in units of its limit."""
        return abs(self.value - self.level) / self.limit


@dataclass(frozen=True, slots=True)
class _Pace:
    """Of the settings, what each step of a channel asks for."""

    smoothing: float
    level: float
    return_share: float


@dataclass(slots=True)
class _Channel:
    """One channel: its limit, and what is remembered of its past."""

    limit: float
    smooth: float
    level: float
    strayed: bool = False
    returning: bool = False
    peak: float = 0.0
    least: float = 0.0

    def step(self, value: float, pace: "_Pace") -> float:
        """Take one value; the deviation in units of the limit."""
        self.smooth += (value - self.smooth) / pace.smoothing
        deviation = abs(self.smooth - self.level)
        if self.strayed:
            self.peak = max(self.peak, deviation)
            if deviation < max(self.limit, pace.return_share * self.peak):
                self.strayed, self.returning, self.least = False, True, deviation
        elif deviation > self.limit + (self.least if self.returning else 0.0):
            self.strayed, self.returning, self.peak = True, False, deviation
        # Not quite back after a large fault: it strays anew only when it turns away again.
        self.returning = self.returning and deviation > self.limit
        self.least = min(self.least, deviation) if self.returning else 0.0
        if not self.strayed:
            self.level += (self.smooth - self.level) / pace.level
        return deviation / self.limit


_NOTHING_YET = Gathered(learning=True, fault=False, score=0.0, channel=None)


class Gathering:
    """The evidence on one machine, one step a reading.

    Args:
        signals: Their names, in the order in which every step gives their values.
        settings: How.
    """

    def __init__(self, signals: Sequence[str], settings: GatheringSettings | None = None) -> None:
        self._names = (*signals, "model")
        self._settings = settings or GatheringSettings()
        self._pace = _Pace(self._settings.smoothing, self._settings.level, self._settings.return_share)
        self._averaged = self._settings.averaged_readings
        self._open: list[tuple[float, ...]] = []
        """Readings that wait to be averaged."""
        self._newest = _NOTHING_YET
        self._healthy: list[tuple[float, ...]] = []
        self._channels: list[_Channel] = []
        self._off_delay = self._settings.off_delay
        self._quiet = self._off_delay + 1

    def step(self, values: Sequence[float], probability: float) -> Gathered:
        """Take one reading and the model's verdict on it.

        Args:
            values: The signals, in their units.
            probability: The verdict's.
        """
        row = (*values, log_odds(probability))
        if self._averaged > 1:
            self._open.append(row)
            if len(self._open) < self._averaged:
                return self._newest
            row = tuple(sum(column) / self._averaged for column in zip(*self._open, strict=True))
            self._open = []
        self._newest = self._learn(row) if not self._channels else self._weigh(row)
        return self._newest

    def _weigh(self, row: tuple[float, ...]) -> Gathered:
        deviations = [
            channel.step(value, self._pace) for channel, value in zip(self._channels, row, strict=True)
        ]
        if any(channel.strayed for channel in self._channels):
            self._quiet = 0
        else:
            self._quiet += 1
        score = max(deviations)
        return Gathered(
            learning=False,
            fault=self._quiet <= self._off_delay,
            score=score,
            channel=self._names[deviations.index(score)],
        )

    def strayed(self) -> list[Strayed]:
        """The channels that are outside of their limits now, the furthest first."""
        model = len(self._channels) - 1
        found = [
            Strayed(None if index == model else index, channel.smooth, channel.level, channel.limit)
            for index, channel in enumerate(self._channels)
            if channel.strayed
        ]
        return sorted(found, key=lambda one: -one.by)

    def smoothed(self) -> tuple[float, ...]:
        """The signals as they are now, smoothed; none while learning."""
        return tuple(channel.smooth for channel in self._channels[:-1])

    def state(self) -> dict[str, Any]:
        """Everything that is remembered, as JSON can hold it."""
        return {
            "names": list(self._names),
            "healthy": [list(row) for row in self._healthy],
            "channels": [asdict(channel) for channel in self._channels],
            "quiet": self._quiet,
            "open": [list(row) for row in self._open],
            "newest": asdict(self._newest),
        }

    @classmethod
    def of_state(cls, state: dict[str, Any], settings: GatheringSettings | None = None) -> Self:
        """The gathering that goes on where another's state was taken."""
        gathering = cls(state["names"][:-1], settings)
        gathering._healthy = [tuple(row) for row in state["healthy"]]
        gathering._channels = [_Channel(**channel) for channel in state["channels"]]
        gathering._quiet = state["quiet"]
        gathering._open = [tuple(row) for row in state["open"]]
        gathering._newest = Gathered(**state["newest"])
        return gathering

    def _learn(self, row: tuple[float, ...]) -> Gathered:
        self._healthy.append(row)
        if len(self._healthy) >= self._settings.healthy_readings:
            self._channels = [_learned(values, self._settings) for values in zip(*self._healthy, strict=True)]
            self._channels[-1].limit *= self._settings.model_limit
            self._healthy = []
        return Gathered(learning=True, fault=False, score=0.0, channel=None)


def log_odds(probability: float) -> float:
    """ln(p / (1 - p)), within what a float32 probability can tell apart."""
    if probability <= 0 or probability >= 1:
        return math.copysign(_MOST_LOG_ODDS, probability - 0.5)
    return max(-_MOST_LOG_ODDS, min(_MOST_LOG_ODDS, math.log(probability / (1 - probability))))


def wander(values: Sequence[float]) -> float:
    """The share of a channel's scatter that is slow, 0 to 0.99: that its moving average keeps."""
    scatter = _deviation(values)
    window = max(_WANDER_READINGS, len(values) // _WANDER_PARTS)
    total = sum(values[:window])
    averages = [total / window]
    for new, old in zip(values[window:], values, strict=False):
        total += new - old
        averages.append(total / window)
    return min(_MOST_WANDER, _deviation(averages) / scatter) if scatter > 0 else 0.0


def independent_values(values: Sequence[float]) -> float:
    """How many independent values a stretch of dependent ones is worth.

    The length over the integrated autocorrelation time, whose sum ends with the last positive pair of lags (Geyer,
    Practical Markov chain Monte Carlo, 1992, initial positive sequence). A stretch of more than 4,000 is worth 4,000
    at most.
    """
    if len(values) > _MOST_CORRELATED:
        values = _averages(values, -(-len(values) // _MOST_CORRELATED))
    mean = sum(values) / len(values)
    centred = [value - mean for value in values]
    variance = sum(value * value for value in centred)
    if variance <= 0:
        return float(len(values))
    time = -1.0
    for lag in range(0, len(values) - 1, 2):
        pair = (_product(centred, lag) + _product(centred, lag + 1)) / variance
        if pair <= 0:
            break
        time += 2 * pair
    return len(values) / max(1.0, time)


def _learned(values: Sequence[float], settings: GatheringSettings) -> _Channel:
    """A channel after its healthy stretch.

    The limit is ``limit`` deviations of what is left when the level has been followed; more, as a prediction interval
    is wider, where the stretch holds few independent values; and more again where the channel wanders, because what
    wanders does not stay where a short stretch has seen it: 1 / (1 - wander^2) is how much larger the variance of a
    first-order process is than what drives it, wander being its correlation.
    """
    scatter = _deviation(values)
    if scatter <= _RESOLUTION * _RESOLUTION * abs(values[0]):  # but for rounding, it never moved
        scatter = _RESOLUTION * max(1.0, abs(values[0]))
    first, longer = values[: _SETTLING // 2], values[:_FIRST_LEVEL_READINGS]
    smooth, level = sum(first) / len(first), sum(longer) / len(longer)
    left: list[float] = []
    for value in values:
        smooth += (value - smooth) / settings.smoothing
        left.append(smooth - level)
        level += (smooth - level) / settings.level
    settled = left[_SETTLING:]
    independent = max(_FEWEST_INDEPENDENT, independent_values(settled))
    strays = math.sqrt(sum(value * value for value in settled) / len(settled))
    tolerance = (1 + 2 / independent) / (1 - wander(values) ** 2)
    limit = max(settings.most_deviations * strays * tolerance, settings.least_limit * scatter)
    return _Channel(limit=limit, smooth=smooth, level=level)


def _deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def _averages(values: Sequence[float], count: int) -> list[float]:
    """Of each ``count`` values that follow each other; an incomplete rest is left out."""
    return [sum(values[begin : begin + count]) / count for begin in range(0, len(values) - count + 1, count)]


def _product(centred: Sequence[float], lag: int) -> float:
    return sum(earlier * later for earlier, later in zip(centred, centred[lag:], strict=False))
