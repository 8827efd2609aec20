"""The heartbeat of the whole path: how old the newest verdict is that InfluxDB holds.

Fan, broker, predictor, scoring service, Telegraf and InfluxDB all have to work for this one figure to stay small, and
it is asked of the place where everybody looks. Each of them may call itself healthy while readings end somewhere
between two of them; this notices.

The age is that of the sensor's time. While a backlog is worked off it is therefore large, and rightly: what is stored
says nothing of the present yet. A fan whose clock is ahead (up to five minutes are let through) hides a standstill for
as long as it is ahead.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from edge_manager.influxdb import InfluxDB, InfluxDBError
from edge_manager.statements import fill_in

__all__ = ["Heartbeat"]

log = structlog.get_logger()

_NEWEST_VERDICT = (
    """SELECT last("fault") FROM "fan"."raw"."anomaly" WHERE time > '$since' AND time <= '$now'"""
)
_LOOK_BACK = timedelta(days=1)
"""How far the first look goes: a longer one would read every day's shard, and what is older is not fresh anyway."""


class Heartbeat:
    """Looks for the newest verdict whenever it is told to.

    Args:
        influxdb: A connection that may read raw.
        now: The clock.
    """

    def __init__(self, influxdb: InfluxDB, now: Callable[[], datetime]) -> None:
        self._influxdb = influxdb
        self._now = now
        self._newest: datetime | None = None
        self._answers: bool | None = None

    @property
    def answers(self) -> bool:
        """Whether InfluxDB answered the last look."""
        return self._answers is True

    def age_s(self) -> float | None:
        """Seconds since the sensor's time of the newest verdict found; None while none has been.

        It goes on growing while InfluxDB does not answer: nobody knows of a newer one then.
        """
        newest = self._newest  # look() runs in another thread
        return None if newest is None else max(0.0, (self._now() - newest).total_seconds())

    def look(self) -> None:
        """Asks InfluxDB. A failure is logged once, when it begins."""
        now, newest = self._now(), self._newest
        if newest is not None and newest > now:
            # Our own clock was set back: that verdict would look fresh until its time comes again.
            newest = self._newest = None
        since = now - _LOOK_BACK if newest is None else newest
        statement = fill_in(_NEWEST_VERDICT, {"since": _rfc3339(since), "now": _rfc3339(now)})
        try:
            series = self._influxdb.execute(statement)
        except InfluxDBError as error:
            if self._answers is not False:
                log.warning("heartbeat not readable", error=str(error))
            self._answers = False
            return
        self._answers = True
        if series:
            self._newest = datetime.fromisoformat(series[0]["values"][0][0])


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
