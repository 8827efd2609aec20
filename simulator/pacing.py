"""Pacing without drift: tick k is due at start + k * interval, however long the ticks before it took."""

import math


class Pacer:
    """Says which ticks are due.

    Args:
        interval_s: Seconds between two ticks; at least a microsecond.
        start_s: Monotonic time of tick 0.
        max_lag_s: A tick later than this is skipped and counted, because a sensor does not measure the past;
            None never skips (a replay sends every row, late or not).
    """

    def __init__(self, interval_s: float, start_s: float, max_lag_s: float | None = 1.0) -> None:
        if interval_s < 1e-6:
            raise ValueError(f"interval of {interval_s} s, expected at least a microsecond")
        self._interval_s = interval_s
        self._start_s = start_s
        self._max_lag_s = max_lag_s
        self._tick = 0
        self.skipped = 0

    def take(self, now_s: float) -> int | None:
        """The next tick if it is due at now_s, else None."""
        lag = now_s - self._due_s()
        if lag < 0:
            return None
        if self._max_lag_s is not None and lag > self._max_lag_s:
            missed = math.floor(lag / self._interval_s)
            self._tick += missed
            self.skipped += missed
        tick = self._tick
        self._tick += 1
        return tick

    def wait_s(self, now_s: float) -> float:
        """Seconds from now_s until the next tick is due, 0 when it already is."""
        return max(0.0, self._due_s() - now_s)

    def _due_s(self) -> float:
        return self._start_s + self._tick * self._interval_s
