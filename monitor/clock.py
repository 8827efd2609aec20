"""The two clocks, injected wherever time decides something, so that a test advances them."""

import time
from typing import Protocol


class Clock(Protocol):
    """What the time is, and how much of it has passed."""

    def now(self) -> float:
        """Wall clock, seconds since 1970 UTC: what people and sensors write down."""

    def elapsed(self) -> float:
        """Seconds since some moment, never set back: what a silence is measured with."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Wall clock, seconds since 1970 UTC."""
        return time.time()

    def elapsed(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()


class HeldClock:
    """A clock whose wall time stands still between two settings, so that what happened at it can be told again.

    Args:
        clock: Gives the time that passes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now = clock.now()

    def hold(self, now: float | None = None) -> float:
        """Set it, to the present or to a moment that is told again; returns it."""
        self._now = self._clock.now() if now is None else now
        return self._now

    def now(self) -> float:
        """The moment that is held, seconds since 1970 UTC."""
        return self._now

    def elapsed(self) -> float:
        """Monotonic seconds, which go on."""
        return self._clock.elapsed()
