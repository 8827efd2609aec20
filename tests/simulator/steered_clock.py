"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class SteeredClock:
    """Both kinds of time, moved together."""

    def __init__(self) -> None:
        self._passed_s = 0.0

    def advance(self, seconds: float) -> None:
        self._passed_s += seconds

    def monotonic(self) -> float:
        return 1000.0 + self._passed_s

    def now(self) -> datetime:
        return START + timedelta(seconds=self._passed_s)
