"""Time left: the robust trend of a machine's signals towards their limits of wear, with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from monitor.diagnosis.history import LEVELS, History, Points
from monitor.diagnosis.plant import SignalPlan, TrendSettings
from monitor.diagnosis.robust_line import Line, fit

_WINDOWS = (40, 32, 26, 20, 16, 12)
_RECENT = 3
_BEND_ERRORS = 1.5
_LINE_AT_MOST = 0.8


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """When the first signal reaches its limit, if it goes on like this; times in seconds since 1970 UTC."""

    signal: int
    earliest: float
    latest: float
    level: float
    """The signal's value now, on its line."""
    limit: float
    way: float
    """Part of the way from the middle of the usual range to the limit, 0 to 1."""
    points: Points
    line: Line

    def words(self, now: float) -> str:
        """Such as "6 to 9 days"."""
        return duration_words(self.earliest - now, self.latest - now)


class WearEstimator:
    """Estimates the time left out of a machine's history.

    Args:
        signals: The plant's signals, in the order of the history.
        settings: See there.
    """

    def __init__(self, signals: Sequence[SignalPlan], settings: TrendSettings) -> None:
        self._settings = settings
        self._limits: list[tuple[int, float, float]] = []
        for index, plan in enumerate(signals):
            self._limits.extend(
                (index, plan.middle, limit) for limit in (plan.worn_low, plan.worn_high) if limit is not None
            )
        longer = (count for count in _WINDOWS if count > settings.fewest_buckets)
        self._windows = (*longer, settings.fewest_buckets)

    @property
    def watches(self) -> bool:
        """Whether any signal has a limit of wear."""
        return bool(self._limits)

    def way(self, history: History) -> float:
        """The furthest part of the way to a limit that the newest points have gone; their median decides."""
        furthest = float("-inf")
        for index, middle, limit in self._limits:
            recent = sorted(history.recent(index, _RECENT))
            if len(recent) == _RECENT:
                furthest = max(furthest, (recent[_RECENT // 2] - middle) / (limit - middle))
        return furthest

    def estimate(self, history: History, now: float) -> TimeLeft | None:
        """The time left, or None where there is no trend.

        The signal that reaches its limit first decides. Those whose intervals overlap with its own may tell of one and
        the same failure: of them the one is taken that has been straight for longest, for it rests on most. (The
        narrowest would be the luckiest: its interval held the failure in 80 % of the study's cases, not in 90.)
        """
        found = []
        for index, middle, limit in self._limits:
            recent = sorted(history.recent(index, _RECENT))
            if not recent:
                continue
            if (recent[len(recent) // 2] - middle) / (limit - middle) >= self._settings.warn_at:
                estimate = self._of(history, index, middle, limit)
                if estimate is not None and estimate.latest > now:
                    found.append(estimate)
        if not found:
            return None
        first = min(found, key=lambda one: one.earliest + one.latest)
        rivals = [one for one in found if one.earliest <= first.latest]
        return max(rivals, key=lambda one: one.points.span)

    def warns(self, estimate: TimeLeft, now: float) -> bool:
        """Whether it is near enough to tell somebody."""
        return estimate.earliest - now <= self._settings.horizon_days * 86400

    def _of(self, history: History, index: int, middle: float, limit: float) -> TimeLeft | None:
        """The line through the longest stretch up to now that is straight."""
        settings = self._settings
        towards = 1.0 if limit > middle else -1.0
        span = float("inf")
        for level in reversed(range(LEVELS)):
            held = history.count(level)
            if held < settings.fewest_buckets:
                continue
            all_points = history.points(level, index)
            for count in self._windows:
                if count > held:
                    continue
                points = all_points.newest(count)
                if points.span >= span or not is_straight(points.values, towards):
                    continue
                line = fit(points.times, points.values)
                if line.chance >= settings.chance or line.slope * towards <= 0 or bends(points):
                    continue
                if is_step(points, line):
                    continue
                crossing = line.crossing(limit, settings.confidence)
                if crossing is None:
                    continue
                level_now = line.at(points.times[-1])
                way = (level_now - middle) / (limit - middle)
                return TimeLeft(index, *crossing, level_now, limit, way, points, line)
            span = min(span, all_points.newest(self._windows[-1]).span)
        return None


def bends(points: Points) -> bool:
    """Whether the oldest quarter lies off the line through the rest, by more than 1.5 standard errors.

    A straight stretch fails one time in eight, and a shorter one is taken; a bend that stays hidden shifts the
    crossing by less than its interval is wide.
    """
    old = len(points.times) // 4
    line = fit(points.times[old:], points.values[old:])
    off = [value - line.at(time) for time, value in zip(points.times[:old], points.values[:old], strict=True)]
    time = sum(points.times[:old]) / old
    error = line.error_at(time) ** 2 + line.error_of_median(old) ** 2
    return median(off) ** 2 > _BEND_ERRORS**2 * error


def is_step(points: Points, line: Line) -> bool:
    """Whether one step from one level to another tells the points better than the line.

    Told by the sum of the absolute distances, with the step wherever it fits best. A machine that broke wears no more,
    so the line must be better by a fifth: of 40 simulated breaks 5 looked like wear without that, and none with it.
    """
    values = points.values
    from_line = sum(abs(value - line.at(time)) for time, value in zip(points.times, values, strict=True))
    eighth = max(2, len(values) // 8)
    return any(
        _scatter(values[:split]) + _scatter(values[split:]) <= from_line / _LINE_AT_MOST
        for split in range(eighth, len(values) - eighth + 1)
    )


def _scatter(values: Sequence[float]) -> float:
    """Sum of the absolute distances from the median: those of the upper half less those of the lower."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return sum(ordered[-half:]) - sum(ordered[:half])


def is_straight(values: Sequence[float], towards: float) -> bool:
    """Whether points go one way throughout, and not in one step.

    Each quarter's median lies further than the one before, by 0.1 to 0.6 of the whole way; on a line it is a third.
    """
    quarter = len(values) // 4
    first, second, third, fourth = (
        median(values[quarter * i : quarter * (i + 1) if i < 3 else None]) for i in range(4)
    )
    whole = (fourth - first) * towards
    if whole <= 0:
        return False
    steps = (second - first, third - second, fourth - third)
    return all(0.1 * whole <= step * towards <= 0.6 * whole for step in steps)


_UNITS = (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0))


def duration_words(shortest_s: float, longest_s: float) -> str:
    """Two durations in one unit, outwards to whole numbers: "6 to 9 days"; the past counts as 0."""
    shortest, longest = max(0.0, shortest_s), max(0.0, longest_s)
    name, seconds = _unit(longest)
    low, high = int(shortest // seconds), int(-(-longest // seconds))
    if low == high:
        return f"{high} {name}{'' if high == 1 else 's'}"
    return f"{low} to {high} {name}s"


def about_words(seconds: float) -> str:
    """One measured duration, to the nearest whole number of its unit: "30 seconds", of 30.4 as well."""
    name, unit_s = _unit(seconds)
    count = round(max(0.0, seconds) / unit_s)
    return f"{count} {name}{'' if count == 1 else 's'}"


def _unit(longest_s: float) -> tuple[str, float]:
    """The largest unit of which it has two."""
    return next((unit for unit in _UNITS if longest_s >= 2 * unit[1]), _UNITS[-1])
