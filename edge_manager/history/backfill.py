"""Which stretches of the raw data are computed again, by the statements of influxdb/schema/backfill.influxql."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from edge_manager.influxdb import StatementTooLongError
from edge_manager.statements import fill_in

__all__ = ["Stretch", "backfill", "stretches"]

Stretch = tuple[datetime, datetime]

_HOUR = timedelta(hours=1)


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

    Where a day is too much for InfluxDB's query-timeout (many fans, a small machine), its halves are tried.

    Args:
        execute: Executes one statement.
        statements: The backfill's, with $from and $to.
        now: The present, with a zone.
        days: How many days raw data is kept.
        is_stopped: Asked between two statements; true ends the work early.

    Returns:
        The number of statements executed.

    Raises:
        StatementTooLongError: Even an hour is too much.
        InfluxDBError: A statement failed.
    """
    executed = 0
    waiting = [(statement, stretch) for stretch in stretches(now, days) for statement in statements]
    # Taken from the end.
    waiting.reverse()
    while waiting and not is_stopped():
        statement, (start, end) = waiting.pop()
        try:
            execute(fill_in(statement, {"from": _rfc3339(start), "to": _rfc3339(end)}))
            executed += 1
        except StatementTooLongError:
            if end - start <= _HOUR:
                raise
            middle = start + (end - start) // _HOUR // 2 * _HOUR
            waiting += [(statement, (middle, end)), (statement, (start, middle))]
    return executed


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
