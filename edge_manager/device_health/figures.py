"""What InfluxDB knows of the device: Telegraf stores there what every service and the broker say of themselves.

`python -m edge_manager.device_health.figures` writes it as JSON, in a container that reaches InfluxDB (history); the
host asks for it there. `--write` also stores one point, in the measurement `doctor`, to see whether InfluxDB takes it.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from edge_manager.influxdb import InfluxDB, InfluxDBError
from edge_manager.settings import HistorySettings, secrets_dir
from edge_manager.statements import fill_in

__all__ = ["Figures", "read_figures"]

FORGOTTEN_AFTER = timedelta(days=7)
"""A fan not heard of for so long is not told of any more, as on the live page."""
_QUEUE_WINDOW = timedelta(minutes=10)
_HOUR, _DAY, _MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
_SIGNS_OF_LIFE = {
    "predictor": "fanwatch_predictor_connected",
    "inference": "fanwatch_inference_ready",
    "monitor": "fanwatch_monitor_connected",
    "drift": "fanwatch_drift_connected",
    "history": "fanwatch_history_influxdb_answers",
}
"""A figure that each service always has."""
_CLOCK_REASONS = ("time_ahead", "time_too_old")
"""Of contract/rejection.py: refused for its time."""

Execute = Callable[[str], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Figures:
    """What InfluxDB knows. Ages are seconds by this machine's clock; None is "never, as far as is stored".

    Attributes:
        newest_verdict_age_s: Of the newest verdict, by the sensor's time.
        newest_figure_age_s: Of the newest point that Telegraf stored of the broker; negative when the clock was set
            back since.
        fans: Age of each fan's newest reading.
        services: Age of each service's newest figures.
        offline: Services that say, or whose last will says, that they are not at the broker.
        queue_messages: Messages that the broker keeps, retained ones too, and 10 minutes ago.
        retained_grown: By how many more of them are retained than 10 minutes ago.
        dropped_last_hour: Messages that the broker threw away because a queue was full.
        predictor_waiting: Readings that the predictor has and has no verdict for.
        broker_volume_used: Share of the broker's volume that is used, 0 to 1.
        models: The models that are served now.
        inference_ready: Whether the scoring service says that it can score.
        model_refused: How often within a day it refused the version that it was told to serve.
        refused_for_time: Readings refused within an hour because their clock or ours is off.
        write_refused: Why InfluxDB takes no point; empty when it does, None when it was not asked.
    """

    newest_verdict_age_s: float | None = None
    newest_figure_age_s: float | None = None
    fans: dict[str, float] = field(default_factory=dict)
    services: dict[str, float | None] = field(default_factory=dict)
    offline: tuple[str, ...] = ()
    queue_messages: int | None = None
    queue_bytes: int | None = None
    queue_messages_before: int | None = None
    retained_grown: int = 0
    dropped_last_hour: int = 0
    predictor_waiting: int | None = None
    broker_volume_used: float | None = None
    models: tuple[str, ...] = ()
    inference_ready: bool | None = None
    model_refused: int = 0
    refused_for_time: int = 0
    write_refused: str | None = None


def read_figures(execute: Execute, now: datetime) -> Figures:
    """Asks InfluxDB.

    Args:
        execute: Executes one statement; InfluxDB.execute() of a user that may read.
        now: The present, with a zone.

    Raises:
        InfluxDBError: It does not answer, or refuses to.
    """
    ask = _Asker(execute, now)
    verdicts = ask.newest_of_each('last("fault")', "anomaly", FORGOTTEN_AFTER, "deviceID")
    queue = ask.values(
        'last("store_messages_count"), last("store_messages_bytes")', "broker", _MINUTE, limit=False
    )
    return Figures(
        newest_verdict_age_s=min(verdicts.values(), default=None),
        newest_figure_age_s=ask.age('last("uptime")', "broker", _DAY),
        fans=ask.newest_of_each("*", "telemetry", FORGOTTEN_AFTER, "deviceID", newest_row=True),
        services={
            name: ask.age(f'last("{figure}")', "service", _HOUR, f"\"service\" = '{name}'")
            for name, figure in _SIGNS_OF_LIFE.items()
        },
        offline=tuple(
            tags["service"]
            for tags, [value] in ask.each('last("online")', "service", timedelta(days=30), "service")
            if value == 0
        ),
        queue_messages=_whole(queue[0]),
        queue_bytes=_whole(queue[1]),
        queue_messages_before=_whole(ask.values('first("store_messages_count")', "broker", _QUEUE_WINDOW)[0]),
        retained_grown=ask.change("retained_messages_count", "broker", _QUEUE_WINDOW),
        dropped_last_hour=ask.increase("publish_messages_dropped", "broker", _HOUR),
        predictor_waiting=_whole(
            ask.values('last("fanwatch_predictor_pending_readings")', "service", _MINUTE)[0]
        ),
        broker_volume_used=_share(ask.values('last("used_percent")', "disk", _MINUTE)[0]),
        models=tuple(
            tags["model"]
            for tags, [value] in ask.each('last("fanwatch_inference_model")', "service", _MINUTE, "model")
            if value == 1
        ),
        inference_ready=_truth(ask.values('last("fanwatch_inference_ready")', "service", _MINUTE)[0]),
        model_refused=ask.increase(
            "fanwatch_inference_model_switches_total",
            "service",
            _DAY,
            "\"outcome\" = 'refused'",
            from_nothing=True,
        ),
        refused_for_time=sum(
            ask.increase(
                "fanwatch_predictor_readings_rejected_total", "service", _HOUR, f"\"reason\" = '{reason}'"
            )
            for reason in _CLOCK_REASONS
        ),
    )


class _Asker:
    """Questions about the last so and so long, each bounded in time: an unbounded one reads every shard."""

    def __init__(self, execute: Execute, now: datetime) -> None:
        self._execute = execute
        self._now = now

    def each(
        self, what: str, measurement: str, within: timedelta, tag: str, more: str = ""
    ) -> list[tuple[dict[str, str], list[Any]]]:
        """The tags and the values of each series of a tag."""
        found = self._series(what, measurement, within, more, f'GROUP BY "{tag}"')
        return [(series.get("tags", {}), series["values"][0][1:]) for series in found]

    def newest_of_each(
        self, what: str, measurement: str, within: timedelta, tag: str, *, newest_row: bool = False
    ) -> dict[str, float]:
        """The age of the newest point of each series of a tag."""
        ending = f'GROUP BY "{tag}"' + (" ORDER BY time DESC LIMIT 1" if newest_row else "")
        return {
            series["tags"][tag]: self._age(series["values"][0][0])
            for series in self._series(what, measurement, within, "", ending)
        }

    def values(
        self, what: str, measurement: str, within: timedelta, more: str = "", *, limit: bool = True
    ) -> list[Any]:
        """What one question gives; a None for each figure where there is no point."""
        found = self._series(what, measurement, within, more, "")
        return found[0]["values"][0][1:] if found else [None] * (1 if limit else what.count(",") + 1)

    def age(self, what: str, measurement: str, within: timedelta, more: str = "") -> float | None:
        """The age of the point that one selector finds. Also of one ahead of our clock: it is negative then."""
        found = self._series(what, measurement, within, more, "", ahead=True)
        if not found:
            return None
        return (self._now - datetime.fromisoformat(found[0]["values"][0][0])).total_seconds()

    def change(self, gauge: str, measurement: str, within: timedelta) -> int:
        """How much more a figure is than so long ago, of one that is told only when it changes: 0 when it was not."""
        newest = self.values(f'last("{gauge}")', measurement, within)[0]
        if newest is None:
            return 0
        began = _rfc3339(self._now - within)
        older = self.values(f'last("{gauge}")', measurement, timedelta(days=30), f"time <= '{began}'")[0]
        if older is None:
            older = self.values(f'first("{gauge}")', measurement, within)[0]
        return int(newest - older)

    def increase(
        self, counter: str, measurement: str, within: timedelta, more: str = "", *, from_nothing: bool = False
    ) -> int:
        """By how much a counter has grown, its restarts left out.

        Args:
            counter: The field.
            measurement: Where it is.
            within: How long to look back.
            more: A further condition.
            from_nothing: The counter is not there before it first counts, so its first value counts too.
        """
        condition = f" AND {more}" if more else ""
        grown = self._execute(
            fill_in(
                f'SELECT sum("more") FROM (SELECT non_negative_difference("{counter}") AS "more" '  # noqa: S608 - ours
                f'FROM "fan"."raw"."{measurement}" WHERE time > \'$since\' AND time <= \'$now\'{condition} GROUP BY *)',
                {"since": _rfc3339(self._now - within), "now": _rfc3339(self._now)},
            )
        )
        count = int((grown[0]["values"][0][1] or 0) if grown else 0)
        first = self._series(f'first("{counter}")', measurement, within, more, "") if from_nothing else []
        if first:
            began_at, began_with = first[0]["values"][0]
            if self._now - datetime.fromisoformat(began_at) < within - _MINUTE:
                count += int(began_with)
        return count

    def _series(
        self, what: str, measurement: str, within: timedelta, more: str, ending: str, *, ahead: bool = False
    ) -> list[dict[str, Any]]:
        until = self._now + timedelta(days=3650) if ahead else self._now + timedelta(minutes=5)
        return self._execute(
            fill_in(
                f'SELECT {what} FROM "fan"."raw"."{measurement}" WHERE time > \'$since\' AND time <= \'$now\''  # noqa: S608 - ours
                f"{' AND ' + more if more else ''} {ending}",
                {"since": _rfc3339(self._now - within), "now": _rfc3339(until)},
            )
        )

    def _age(self, time: str) -> float:
        """Of a machine's reading, whose clock may be up to five minutes ahead."""
        return max(0.0, (self._now - datetime.fromisoformat(time)).total_seconds())


def probe_write(influxdb: InfluxDB) -> str:
    """Why InfluxDB does not take a point; empty when it does."""
    try:
        influxdb.write(["doctor written=1"])
    except InfluxDBError as error:
        return str(error)
    return ""


def _whole(value: Any) -> int | None:  # noqa: ANN401 - what JSON holds
    return None if value is None else int(value)


def _share(value: Any) -> float | None:  # noqa: ANN401 - as above
    return None if value is None else float(value) / 100


def _truth(value: Any) -> bool | None:  # noqa: ANN401 - as above
    return None if value is None else value >= 1


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def main() -> int:
    """Writes the figures, or an object with the key error; the exit code says which."""
    settings = HistorySettings(_secrets_dir=secrets_dir())
    influxdb = InfluxDB(
        str(settings.influxdb_url),
        settings.influxdb_username,
        settings.influxdb_password.get_secret_value(),
        timeout_s=20,
    )
    try:
        found = asdict(read_figures(influxdb.execute, datetime.now(UTC)))
    except InfluxDBError as error:
        print(json.dumps({"error": str(error)}))  # noqa: T201 - the answer
        return 1
    if "--write" in sys.argv[1:]:
        found["write_refused"] = probe_write(influxdb)
    print(json.dumps(found))  # noqa: T201 - the answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
