"""Which stretches of the raw data are computed again, by the statements of influxdb/schema/backfill.influxql."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from edge_manager.statements import fill_in

__all__ = ["Stretch", "backfill", "stretches"]

Stretch = tuple[datetime, datetime]


def stretches(now: datetime, days: int) -> Iterator[Stretch]:
    """The last whole days in UTC, oldest first, and today's whole hours last.

    The day that the retention is about to remove is left out: half of it, computed again, would be written as
    all of it.

    Args:
        now: The present, with a zone.
        days: How many days raw data is kept.

    Yields:
        From, inclusive, and to, exclusive.
    """
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    today = hour.replace(hour=0)
    for back in range(days - 1, 0, -1):
        start = today - timedelta(days=back)
        yield start, start + timedelta(days=1)
    if today < hour:
        yield today, hour


def backfill(
    execute: Callable[[str], object],
    statements: list[str],
    now: datetime,
    days: int,
    is_stopped: Callable[[], bool],
) -> int:
    """Computes the history of every stretch again. A day at a time bounds what InfluxDB holds in memory.

    Args:
        execute: Executes one statement.
        statements: The backfill's, with $from and $to.
        now: The present, with a zone.
        days: How many days raw data is kept.
        is_stopped: Asked between two statements; true ends the work early.

    Returns:
        The number of statements executed.
    """
    executed = 0
    for start, end in stretches(now, days):
        values = {"from": _rfc3339(start), "to": _rfc3339(end)}
        for statement in statements:
            if is_stopped():
                return executed
            execute(fill_in(statement, values))
            executed += 1
    return executed


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
