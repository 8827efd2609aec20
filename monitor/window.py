"""A bounded window of one device's newest verdicts, in the order in which the sensor measured."""

from array import array
from bisect import insort
from collections.abc import Iterator
from typing import NamedTuple

Identity = tuple[str, str | None, int | None]
"""timeStamp as written, bootID, seq: a redelivered verdict has the same."""

_MAX_NUMBERS = 16_384
_FEWEST_POINTS = 16


class Point(NamedTuple):
    """One verdict, as small as it goes: a window holds hundreds for each of hundreds of devices."""

    number: int
    """Number of the arrival, counting up over the whole fleet."""
    at: float
    """When the sensor measured, seconds since 1970 UTC; never later than the arrival."""
    identity: Identity
    fault: bool
    probability: float
    names: tuple[str, ...]
    values: "array[float]"

    @property
    def order(self) -> tuple[float, int, str]:
        """What sorts points by time of measurement, alike for every order of arrival."""
        _, boot, seq = self.identity
        return self.at, -1 if seq is None else seq, boot or ""


class Window:
    """The newest points of one device; a late one is filed where it belongs, a repeated one is ignored.

    Args:
        capacity: Most points kept. A machine with very many signals keeps fewer, so that the memory of a device
            stays below 16,384 numbers.
    """

    def __init__(self, capacity: int) -> None:
        self._wanted = capacity
        self._capacity = capacity
        self._names: tuple[str, ...] = ()
        self._points: list[Point] = []
        self._known: set[Identity] = set()

    def __len__(self) -> int:
        return len(self._points)

    def __iter__(self) -> Iterator[Point]:
        return iter(self._points)

    @property
    def newest(self) -> Point | None:
        """The point that was measured last."""
        return self._points[-1] if self._points else None

    def latest(self, count: int) -> list[Point]:
        """The points measured last, oldest first; at most count."""
        return self._points[-count:]

    def add(self, point: Point) -> bool:
        """File a point.

        Returns:
            Whether it is new and not older than everything in a full window.
        """
        if point.identity in self._known:
            return False
        points = self._points
        if not points or point.at > points[-1].at or point.order >= points[-1].order:
            points.append(point)
        else:
            insort(points, point, key=lambda each: each.order)
        self._known.add(point.identity)
        if point.names is not self._names:
            self._names = point.names
            self._capacity = max(_FEWEST_POINTS, min(self._wanted, _MAX_NUMBERS // max(1, len(point.names))))
        is_kept = True
        # More than once only where a machine sends more signals than it did.
        while len(points) > self._capacity:
            oldest = points.pop(0)
            self._known.discard(oldest.identity)
            is_kept = is_kept and oldest is not point
        return is_kept

    def clear(self) -> None:
        """Forget every point."""
        self._points.clear()
        self._known.clear()
