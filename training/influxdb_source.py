"""Readings out of InfluxDB 1.x, as Telegraf has stored them, in Flux (its /api/v2/query)."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pandas as pd
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException
from tqdm import tqdm
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from contract.timestamp import format_timestamp
from training.settings import PipelineSettings

MEASUREMENT = "telemetry"
_SLICE = timedelta(hours=6)  # what is in memory twice at a time
_TIMEOUT_MS = 120_000


class InfluxDBUnusable(Exception):  # noqa: N818 - it names the state
    """InfluxDB cannot be read; says where it was looked for and why."""


def read_readings(
    settings: PipelineSettings, names: list[str], begin: datetime, end: datetime, *, progress: bool = False
) -> pd.DataFrame:
    """Every device's readings between two times, oldest first.

    Args:
        settings: Where it is, and who asks.
        names: Of the signals, which are the fields; the contract's pattern lets none of them break out of a string.
        begin: From then on.
        end: Before then.
        progress: Show a progress bar on stderr.

    Returns:
        Columns deviceID, timeStamp (datetime64[ns, UTC]) and one for each signal, NaN where a field is missing.

    Raises:
        InfluxDBUnusable: It does not answer, refuses, or holds nothing of that time.
    """
    frames: list[pd.DataFrame] = []
    slices = list(_slices(begin, end))
    with InfluxDBClient(
        url=settings.influxdb_url,
        token=_token(settings),
        org="-",
        timeout=_TIMEOUT_MS,
        enable_gzip=True,
        retries=Retry(total=3, backoff_factor=0.2, status_forcelist=(502, 503), allowed_methods=None),
    ) as client:
        api = client.query_api()
        try:
            for first, last in tqdm(slices, desc="reading", unit="slice", disable=not progress):
                query = _query(settings.influxdb_database, names, first, last)
                frames.extend(frame for frame in api.query_data_frame_stream(query) if len(frame))
        except ApiException as error:
            raise InfluxDBUnusable(
                f"InfluxDB at {settings.influxdb_url} refused: {error.status} {error.reason}: "
                f"{(error.body or b'').decode(errors='replace') if isinstance(error.body, bytes) else error.body}"
            ) from error
        except (HTTPError, OSError) as error:
            raise InfluxDBUnusable(
                f"InfluxDB cannot be read at {settings.influxdb_url} (FANWATCH_INFLUXDB_URL): {error}"
            ) from error
    if not frames:
        raise InfluxDBUnusable(
            f"InfluxDB at {settings.influxdb_url}: database {settings.influxdb_database} holds no {', '.join(names)} "
            f"from {format_timestamp(begin)} to {format_timestamp(end)}"
        )
    whole = pd.concat(frames, ignore_index=True).rename(columns={"_time": "timeStamp"})
    return (
        whole.reindex(columns=["deviceID", "timeStamp", *names])
        .sort_values(["timeStamp", "deviceID"], kind="stable")
        .reset_index(drop=True)
    )


def _slices(begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while begin < end:
        until = min(begin + _SLICE, end)
        yield begin, until
        begin = until


def _query(database: str, names: list[str], first: datetime, last: datetime) -> str:
    # Not contains(): the storage engine filters by `or` itself.
    fields = " or ".join(f'r._field == "{name}"' for name in names)
    return (
        f'from(bucket: "{database}/raw") |> range(start: {format_timestamp(first)}, stop: {format_timestamp(last)})'
        f' |> filter(fn: (r) => r._measurement == "{MEASUREMENT}" and ({fields}))'
        ' |> keep(columns: ["_time", "deviceID", "_field", "_value"])'
        ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
    )


def _token(settings: PipelineSettings) -> str:
    """InfluxDB 1.x takes "user:password" where 2.x takes a token."""
    if settings.influxdb_username is None:
        return "-"
    password = settings.influxdb_password
    return f"{settings.influxdb_username}:{'' if password is None else password.get_secret_value()}"
