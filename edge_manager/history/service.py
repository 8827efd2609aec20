"""The history service: the backfill at night and soon after a start, the heartbeat, and what its health check reads."""

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from edge_manager.history.backfill import backfill
from edge_manager.history.heartbeat import Heartbeat
from edge_manager.influxdb import InfluxDB, InfluxDBError

__all__ = ["History", "HistoryState", "health_problem"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class HistoryState:
    """What the service last achieved; times in RFC 3339.

    Attributes:
        answered_at: When InfluxDB last answered a query of ours.
        backfilled_at: When the last backfill ended well.
        backfill_error: Why the last backfill failed, empty when it did not.
    """

    answered_at: str | None = None
    backfilled_at: str | None = None
    backfill_error: str = ""


def health_problem(state: HistoryState, now: datetime, check_interval: timedelta) -> str | None:
    """What is wrong with the service, or None.

    Args:
        state: What the service wrote last.
        now: The present, with a zone.
        check_interval: How often the service asks InfluxDB.
    """
    if state.answered_at is None:
        return "InfluxDB has not answered yet"
    silence = now - datetime.fromisoformat(state.answered_at)
    if silence > 3 * check_interval:
        return f"InfluxDB last answered {silence.total_seconds():.0f} s ago"
    if state.backfill_error:
        return f"the last backfill failed: {state.backfill_error}"
    return None


class History:
    """Runs the backfill, keeps the heartbeat beating, and keeps the state that the health check reads.

    Args:
        influxdb: A connection that may read raw and write the history.
        statements: The backfill's.
        days: How many days raw data is kept.
        state_file: Where the state is written.
        now: The clock.
        heartbeat: Looked at on a connection of its own: a backfill may keep the other busy for minutes.
    """

    def __init__(
        self,
        influxdb: InfluxDB,
        statements: list[str],
        days: int,
        state_file: Path,
        now: Callable[[], datetime],
        heartbeat: Heartbeat,
    ) -> None:
        self._influxdb = influxdb
        self._statements = statements
        self._days = days
        self._state_file = state_file
        self._now = now
        self._heartbeat = heartbeat
        self._state = HistoryState()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def check(self) -> None:
        """Asks InfluxDB something that needs our credentials, and notes that it answered."""
        try:
            self._influxdb.execute("SHOW MEASUREMENTS LIMIT 1", database="fan")
        except InfluxDBError as error:
            log.warning("influxdb does not answer", error=str(error))
            return
        self._note(answered_at=self._now().isoformat())

    def run_backfill(self) -> None:
        """Computes the history again; a failure is noted, logged, and made good by the next run."""
        started = self._now()
        try:
            executed = backfill(
                self._influxdb.execute, self._statements, started, self._days, self._stopped.is_set
            )
        except InfluxDBError as error:
            log.error("backfill failed", error=str(error))  # noqa: TRY400 # one line; the cause is another machine
            self._note(backfill_error=str(error))
            return
        ended = self._now()
        self._note(backfilled_at=ended.isoformat(), backfill_error="")
        log.info("backfill done", statements=executed, seconds=round((ended - started).total_seconds(), 1))

    def serve(
        self, cron: str, start_delay: timedelta, check_interval: timedelta, heartbeat_interval: timedelta
    ) -> None:
        """Works until stop() is called.

        Args:
            cron: When to run the backfill, a crontab line in UTC.
            start_delay: How long after the start the first backfill runs.
            check_interval: How often InfluxDB is asked whether it answers.
            heartbeat_interval: How often the newest verdict is looked for.

        Raises:
            ValueError: The crontab line is none.
        """
        scheduler = BackgroundScheduler(timezone="UTC")
        # One at a time, and a run that was missed while the machine slept is caught up once.
        scheduler.add_job(
            self.run_backfill,
            CronTrigger.from_crontab(cron, timezone="UTC"),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
        scheduler.add_job(self.run_backfill, "date", run_date=self._now() + start_delay)
        for job, interval in ((self.check, check_interval), (self._heartbeat.look, heartbeat_interval)):
            scheduler.add_job(
                job,
                IntervalTrigger(seconds=int(interval.total_seconds()) or 1, timezone="UTC"),
                next_run_time=self._now(),
                coalesce=True,
                max_instances=1,
            )
        scheduler.start()
        log.info("history started", cron=cron, days=self._days)
        self._stopped.wait()
        scheduler.shutdown(wait=True)
        log.info("history stopped")

    def stop(self) -> None:
        """Ends serve(), and a running backfill after its present statement."""
        self._stopped.set()

    def _note(self, **changes: str) -> None:
        with self._lock:
            self._state = replace(self._state, **changes)
            written = self._state_file.with_suffix(".new")
            written.write_text(json.dumps(asdict(self._state)))
            # In one step: the health check must never read half a file.
            written.replace(self._state_file)
