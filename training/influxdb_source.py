"""Readings and alarms out of InfluxDB 1.x, as Telegraf has stored them, in Flux (its /api/v2/query)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pandas as pd
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException
from tqdm import tqdm
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from contract.timestamp import format_timestamp
from training.settings import PipelineSettings
from training.technicians_labels import Interval

MEASUREMENT = "telemetry"
_SLICE = timedelta(hours=6)  # what is in memory twice at a time
_TIMEOUT_MS = 120_000
_LONGEST_ALARM = timedelta(
    days=364
)  # the most that FANWATCH_RETENTION_DAYS may be; a site with less holds none so old
_NO_ALARM = "normal"


class InfluxDBUnusable(Exception):  # noqa: N818 - it names the state
    """InfluxDB cannot be read; says where it was looked for and why."""


def read_readings(
    settings: PipelineSettings,
    names: list[str],
    begin: datetime,
    end: datetime,
    *,
    every: timedelta = timedelta(0),
    progress: bool = False,
) -> pd.DataFrame:
    """Every device's readings between two times, oldest first.

    Args:
        settings: Where it is, and who asks.
        names: Of the signals, which are the fields; the contract's pattern lets none of them break out of a string.
        begin: From then on.
        end: Before then.
        every: Of each device the first reading in so long, so that a busy plant fits into memory; 0 takes all.
        progress: Show a progress bar on stderr.

    Returns:
        Columns deviceID, timeStamp (datetime64[ns, UTC]) and one for each signal, NaN where a field is missing.

    Raises:
        InfluxDBUnusable: It does not answer, refuses, or holds nothing of that time.
    """
    frames: list[pd.DataFrame] = []
    with _connection(settings) as client:
        api = client.query_api()
        for first, last in tqdm(
            list(_slices(begin, end)), desc="reading", unit="slice", disable=not progress
        ):
            query = _readings_query(settings.influxdb_database, names, first, last)
            frames.extend(thin(frame, every) for frame in api.query_data_frame_stream(query) if len(frame))
    if not frames:
        raise InfluxDBUnusable(
            f"InfluxDB at {settings.influxdb_url}: database {settings.influxdb_database} holds no {', '.join(names)} "
            f"from {format_timestamp(begin)} to {format_timestamp(end)}"
        )
    # Once more: a slice may end within a length of time.
    whole = thin(pd.concat(frames, ignore_index=True), every).rename(columns={"_time": "timeStamp"})
    return (
        whole.reindex(columns=["deviceID", "timeStamp", *names])
        .sort_values(["timeStamp", "deviceID"], kind="stable")
        .reset_index(drop=True)
    )


def thin(frame: pd.DataFrame, every: timedelta) -> pd.DataFrame:
    """The first row of each device (deviceID) in each length of time (_time); all of them when it is 0."""
    if not every:
        return frame
    window = frame["_time"].dt.floor(pd.Timedelta(every))
    first = ~pd.DataFrame({"device": frame["deviceID"], "window": window}).duplicated()
    return frame[first]


def read_alarm_spans(settings: PipelineSettings, begin: datetime, end: datetime) -> list[Interval]:
    """From when until when each device had an alarm that nobody had closed, between two times.

    Raises:
        InfluxDBUnusable: It does not answer, or refuses.
    """
    with _connection(settings) as client:
        query = _alarms_query(settings.influxdb_database, begin - _LONGEST_ALARM, end)
        frames = [frame for frame in client.query_api().query_data_frame_stream(query) if len(frame)]
    if not frames:
        return []
    told = pd.concat(frames, ignore_index=True).sort_values("_time", kind="stable")
    last = int(pd.Timestamp(end).value)
    return [
        Interval(str(device), begin_ns, end_ns, None)
        for device, states in told.groupby("deviceID")
        for begin_ns, end_ns, state in zip(
            nanoseconds(states["_time"]),
            [*nanoseconds(states["_time"])[1:], last],
            states["state"],
            strict=True,
        )
        if state != _NO_ALARM
    ]


def nanoseconds(times: "pd.Series[pd.Timestamp]") -> list[int]:
    """Since 1970."""
    return [int(moment.value) for moment in times]


@contextmanager
def _connection(settings: PipelineSettings) -> Iterator[InfluxDBClient]:
    """A client; what goes wrong with it becomes a sentence."""
    with InfluxDBClient(
        url=settings.influxdb_url,
        token=_token(settings),
        org="-",
        timeout=_TIMEOUT_MS,
        enable_gzip=True,
        retries=Retry(total=3, backoff_factor=0.2, status_forcelist=(502, 503), allowed_methods=None),
    ) as client:
        try:
            yield client
        except ApiException as error:
            body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else error.body
            raise InfluxDBUnusable(
                f"InfluxDB at {settings.influxdb_url} refused: {error.status} {error.reason}: {body}"
            ) from error
        except (HTTPError, OSError) as error:
            raise InfluxDBUnusable(
                f"InfluxDB cannot be read at {settings.influxdb_url} (FANWATCH_INFLUXDB_URL): {error}"
            ) from error


def _slices(begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while begin < end:
        until = min(begin + _SLICE, end)
        yield begin, until
        begin = until


def _readings_query(database: str, names: list[str], first: datetime, last: datetime) -> str:
    # Not contains(): the storage engine filters by `or` itself.
    fields = " or ".join(f'r._field == "{name}"' for name in names)
    return (
        f'from(bucket: "{database}/raw") |> range(start: {format_timestamp(first)}, stop: {format_timestamp(last)})'
        f' |> filter(fn: (r) => r._measurement == "{MEASUREMENT}" and ({fields}))'
        ' |> keep(columns: ["_time", "deviceID", "_field", "_value"])'
        ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
    )


def _alarms_query(database: str, first: datetime, last: datetime) -> str:
    return (
        f'from(bucket: "{database}/raw") |> range(start: {format_timestamp(first)}, stop: {format_timestamp(last)})'
        ' |> filter(fn: (r) => r._measurement == "alarm" and r._field == "state")'
        ' |> keep(columns: ["_time", "deviceID", "_field", "_value"])'
        ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
    )


def _token(settings: PipelineSettings) -> str:
    """InfluxDB 1.x takes "user:password" where 2.x takes a token."""
    if settings.influxdb_username is None:
        return "-"
    password = settings.influxdb_password
    return f"{settings.influxdb_username}:{'' if password is None else password.get_secret_value()}"
