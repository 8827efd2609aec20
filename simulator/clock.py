"""Time as the simulator sees it, so that tests advance it instead of sleeping."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Two readings of time: one to pace by, one to write down."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...

    def now(self) -> datetime:
        """The calendar's time, aware."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        """Seconds of time.monotonic()."""
        return time.monotonic()

    def now(self) -> datetime:
        """Now in UTC."""
        return datetime.now(UTC)
