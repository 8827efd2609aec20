"""A clock that moves when a test says so."""

from datetime import UTC, datetime


class StillClock:
    """Starts at a moment of 2026; both of its hands move together."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 11, 23, 10, 0, tzinfo=UTC).timestamp()
        self.passed = 1000.0

    def now(self) -> float:
        return self.wall

    def elapsed(self) -> float:
        return self.passed

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.passed += seconds

    def set_wall(self, seconds: float) -> None:
        """The machine's clock is set; no time passes."""
        self.wall += seconds
