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
