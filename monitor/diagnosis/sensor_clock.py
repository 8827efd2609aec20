"""A sensor's clock against ours: ahead, or steadily behind. A backlog is behind too, but comes closer."""

from typing import Any

from monitor.diagnosis.plant import QualitySettings

_STEADY_S = 2.0
_SPAN_S = 20.0


class SensorClock:
    """Tells a clock that is off from readings that are late."""

    __slots__ = ("_ahead", "_behind", "_count", "_first", "_readings", "_right", "off_s", "skewed")

    def __init__(self, settings: QualitySettings) -> None:
        self._ahead = settings.ahead_s
        self._behind = settings.behind_s
        self._readings = settings.skew_readings
        self._count = 0
        self._right = 0
        self._first: tuple[float, float] | None = None
        """Age and arrival of the first reading of a row of late ones."""
        self.skewed = False
        self.off_s = 0.0
        """How far the clock is ahead of ours, seconds; negative when behind."""

    def take(self, at: float, now: float) -> bool:
        """Take the next reading, measured at ``at`` by the sensor's clock and here at ``now``, both since 1970.

        Returns:
            Whether ``skewed`` has changed.
        """
        age = now - at
        if -self._ahead <= age <= self._behind:
            if not self.skewed:
                self._count, self._first = 0, None
                return False
            self._right += 1
            return self._right >= self._readings and self._turn(skewed=False)
        self._right = 0
        self.off_s = -age
        if age < 0:
            self._count += 1
            return self._count >= self._readings and self._turn(skewed=True)
        if self._first is None or abs(age - self._first[0]) > _STEADY_S:
            self._first, self._count = (age, now), 0
        self._count += 1
        long_enough = now - self._first[1] >= _SPAN_S
        return self._count >= self._readings and long_enough and self._turn(skewed=True)

    def refused(self) -> bool:
        """A reading was refused for its time. Returns whether ``skewed`` has changed."""
        self._right = 0
        self._count += 1
        return self._count >= self._readings and self._turn(skewed=True)

    def _turn(self, *, skewed: bool) -> bool:
        changed = skewed != self.skewed
        self.skewed = skewed
        self._count, self._right, self._first = 0, 0, None
        return changed

    def snapshot(self) -> list[Any]:
        """The state, as JSON can hold it."""
        first = None if self._first is None else list(self._first)
        return [self._count, self._right, first, self.skewed, self.off_s]

    def restore(self, state: list[Any]) -> None:
        """Take up a snapshot's state."""
        count, right, first, skewed, off_s = state
        self._count, self._right, self.skewed, self.off_s = int(count), int(right), bool(skewed), float(off_s)
        self._first = None if first is None else (float(first[0]), float(first[1]))
