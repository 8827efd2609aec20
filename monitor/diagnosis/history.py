"""History: what a machine's signals did, from seconds to months, in constant memory and at constant cost.

Five readings make a bucket, their medians a point; eight points of a level make one of the next. Each level keeps its
newest forty: at a reading every 2 s that is 7 minutes, 53 minutes, 7 hours, 57 hours and 19 days of history.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

LEVELS = 5
POINTS = 40
_FAN_IN = 8


@dataclass(frozen=True, slots=True)
class Points:
    """The newest points of one signal on one level, oldest first."""

    times: Sequence[float]
    values: Sequence[float]

    @property
    def span(self) -> float:
        """Seconds between the first and the last."""
        return self.times[-1] - self.times[0] if self.times else 0.0

    def newest(self, count: int) -> "Points":
        """The newest of them."""
        return Points(self.times[-count:], self.values[-count:])


def _median_row(rows: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """Mean time, and the median of each signal."""
    count = len(rows)
    middle = count // 2
    columns = zip(*rows, strict=True)
    time = sum(next(columns)) / count
    if count % 2:
        return time, *(sorted(column)[middle] for column in columns)
    return time, *(
        (ordered[middle - 1] + ordered[middle]) / 2 for ordered in (sorted(column) for column in columns)
    )


class History:
    """Buckets of buckets of one machine with k signals.

    Readings come in order of their measurement; a late one, from before the newest bucket, is left out.
    """

    __slots__ = ("_closed_until", "_levels", "_open", "_per_bucket", "_width", "closed")

    def __init__(self, signals: int, readings_per_bucket: int) -> None:
        self._width = signals + 1
        self._per_bucket = readings_per_bucket
        self._open: list[list[tuple[float, ...]]] = [[] for _ in range(LEVELS)]
        self._levels = [array("d") for _ in range(LEVELS)]
        self._closed_until = float("-inf")
        self.closed = 0
        """How many buckets were closed on the lowest level."""

    def take(self, at: float, values: tuple[float, ...]) -> bool:
        """Take a reading measured at that second. Returns whether it closed a bucket."""
        if at < self._closed_until:
            return False
        rows = self._open[0]
        rows.append((at, *values))
        if len(rows) < self._per_bucket:
            return False
        self._closed_until = max(row[0] for row in rows)
        self.closed += 1
        self._close(0)
        return True

    def _close(self, level: int) -> None:
        row = _median_row(self._open[level])
        self._open[level].clear()
        points = self._levels[level]
        points.extend(row)
        if len(points) > POINTS * self._width:
            del points[: self._width]
        if level + 1 < LEVELS:
            above = self._open[level + 1]
            above.append(row)
            if len(above) == _FAN_IN:
                self._close(level + 1)

    def points(self, level: int, signal: int) -> Points:
        """The points of one signal on one level."""
        rows = self._levels[level]
        return Points(rows[:: self._width], rows[signal + 1 :: self._width])

    def count(self, level: int) -> int:
        """How many points a level holds."""
        return len(self._levels[level]) // self._width

    def recent(self, signal: int, count: int) -> Iterator[float]:
        """The newest values of one signal on the lowest level, newest first."""
        rows, width = self._levels[0], self._width
        for index in range(len(rows) - width + signal + 1, -1, -width):
            yield rows[index]
            count -= 1
            if not count:
                return

    def restart_at(self, at: float) -> None:
        """The sensor's clock was set back to ``at``: its old times are no history of the new ones."""
        self.clear()
        self._closed_until = at

    def clear(self) -> None:
        """Forget everything, as after a repair."""
        for rows in self._open:
            rows.clear()
        for points in self._levels:
            del points[:]
        self._closed_until = float("-inf")

    def snapshot(self) -> dict[str, Any]:
        """The state, as JSON can hold it."""
        return {
            "open": [[list(row) for row in rows] for rows in self._open],
            "levels": [points.tolist() for points in self._levels],
            "closed_until": self._closed_until if self.closed else None,
            "closed": self.closed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot's state."""
        self._open = [[tuple(row) for row in rows] for rows in state["open"]]
        self._levels = [array("d", points) for points in state["levels"]]
        until = state["closed_until"]
        self._closed_until = float("-inf") if until is None else float(until)
        self.closed = int(state["closed"])
