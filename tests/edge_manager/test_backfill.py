"""Which stretches the backfill computes again."""

import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_manager.history.backfill import backfill, stretches
from edge_manager.history.service import HistoryState, health_problem
from edge_manager.influxdb import StatementTooLongError

NOW = datetime(2026, 3, 29, 2, 17, 5, tzinfo=UTC)
CHECK = timedelta(seconds=30)


def test_whole_days_come_oldest_first_and_todays_whole_hours_last() -> None:
    assert list(stretches(NOW, 3)) == [
        (datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 3, 28, tzinfo=UTC)),
        (datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 29, tzinfo=UTC)),
        (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 3, 29, 2, tzinfo=UTC)),
    ]


def test_just_after_midnight_there_is_no_whole_hour_of_today() -> None:
    assert [start.day for start, _ in stretches(NOW.replace(hour=0), 2)] == [28]


def test_a_local_clock_that_jumps_for_summer_changes_nothing() -> None:
    local = NOW.astimezone(timezone(timedelta(hours=13, minutes=45)))
    assert list(stretches(local, 5)) == list(stretches(NOW, 5))


MOMENTS = st.floats(0, 4e9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(MOMENTS, st.integers(1, 60))
def test_stretches_are_whole_hours_without_a_gap_and_end_before_the_present(now: datetime, days: int) -> None:
    found = list(stretches(now, days))
    for start, end in found:
        assert timedelta() < end - start <= timedelta(days=1)
        assert (start.minute, start.second, start.microsecond) == (0, 0, 0)
        assert (end.minute, end.second, end.microsecond) == (0, 0, 0)
    assert all(left[1] == right[0] for left, right in itertools.pairwise(found))
    if found:
        assert found[-1][1] <= now
        assert now - found[0][0] < timedelta(days=days)


def test_every_statement_is_executed_for_every_stretch() -> None:
    executed: list[str] = []
    count = backfill(executed.append, ["A '$from' '$to'", "B '$from'"], NOW, 2, lambda: False)
    assert count == len(executed) == 4
    assert executed[:2] == ["A '2026-03-28T00:00:00Z' '2026-03-29T00:00:00Z'", "B '2026-03-28T00:00:00Z'"]


def test_a_stop_ends_the_backfill_after_the_present_statement() -> None:
    executed: list[str] = []
    assert backfill(executed.append, ["A '$from'"], NOW, 30, lambda: len(executed) == 3) == 3


def test_a_stretch_that_takes_too_long_is_computed_in_halves_of_whole_hours() -> None:
    done: list[tuple[str, str]] = []

    def execute(statement: str) -> None:
        start, end = statement.split()
        if datetime.fromisoformat(end) - datetime.fromisoformat(start) > timedelta(hours=5):
            raise StatementTooLongError("query-timeout limit exceeded")
        done.append((start, end))

    executed = backfill(execute, ["$from $to"], NOW, 2, lambda: False)
    assert executed == len(done) == 9
    assert done[0] == ("2026-03-28T00:00:00Z", "2026-03-28T03:00:00Z")
    assert all(left[1] == right[0] for left, right in itertools.pairwise(done))
    assert done[-1][1] == "2026-03-29T02:00:00Z"


def test_an_hour_that_takes_too_long_is_given_up() -> None:
    def execute(_statement: str) -> None:
        raise StatementTooLongError("query-timeout limit exceeded")

    with pytest.raises(StatementTooLongError):
        backfill(execute, ["$from $to"], NOW, 2, lambda: False)


def test_health_says_what_is_wrong() -> None:
    well = HistoryState(answered_at=NOW.isoformat(), backfilled_at=NOW.isoformat())
    assert health_problem(well, NOW + 2 * CHECK, CHECK) is None
    assert "not answered yet" in str(health_problem(HistoryState(), NOW, CHECK))
    assert "last answered 91 s ago" in str(health_problem(well, NOW + timedelta(seconds=91), CHECK))
    failed = HistoryState(answered_at=NOW.isoformat(), backfill_error="timeout")
    assert "last backfill failed: timeout" in str(health_problem(failed, NOW, CHECK))
