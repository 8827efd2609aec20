"""Recorded readings out of InfluxDB 1.x, as Telegraf has stored them in measurement telemetry."""

from datetime import timedelta
from typing import Any

import numpy as np
import requests
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from contract.timestamp import format_timestamp, parse_timestamp
from evaluation.config import BacktestConfig
from evaluation.recorded import InvalidRecording, Recorded

_SLICE = timedelta(hours=6)
_TIMEOUT_S = 60


class StoreSettings(BaseSettings):
    """Where the history is; each field is variable FANWATCH_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="FANWATCH_", extra="ignore")

    influxdb_url: str = Field(default="http://127.0.0.1:8086", description="Address of the server.")
    influxdb_database: str = Field(default="fan", description="Name of the database.")
    influxdb_username: str | None = Field(default=None, description="User; unset means none is asked for.")
    influxdb_password: SecretStr | None = Field(default=None, description="That user's password.")


def read_influxdb(settings: StoreSettings, config: BacktestConfig, begin: str, end: str) -> Recorded:
    """Read the signals of every device between two times, in slices of six hours.

    A signal's column is its field in measurement telemetry, the device is tag deviceID (InfluxQL over POST /query,
    https://docs.influxdata.com/influxdb/v1/tools/api/#query-http-endpoint).

    Raises:
        InvalidRecording: A time is none, the server cannot be reached or refuses, or there is nothing between the
        times.
    """
    try:
        first, last = parse_timestamp(begin), parse_timestamp(end)
    except ValueError as error:
        raise InvalidRecording(
            f"--from and --to must be times such as 2026-11-23T06:00:00Z: {error}"
        ) from error
    columns = [signal.column or name for name, signal in config.signals.items()]
    fields = ", ".join(f'"{column.replace(chr(34), "")}"' for column in columns)
    session = _session(settings)
    names: list[str] = []
    parts: list[tuple[int, np.ndarray[Any, np.dtype[np.float64]]]] = []
    since = first
    while since < last:
        until = min(since + _SLICE, last)
        # Names out of the configuration's quotes, times out of our own hands: no user of a service writes here.
        statement = (
            f"SELECT {fields} FROM \"telemetry\" WHERE time >= '{format_timestamp(since)}' "  # noqa: S608
            f"AND time < '{format_timestamp(until)}' GROUP BY \"deviceID\""
        )
        for series in _series(session, settings, statement):
            name = series["tags"]["deviceID"]
            if name not in names:
                names.append(name)
            parts.append((names.index(name), np.array(series["values"], dtype=np.float64)))
        since = until
    if not parts:
        raise InvalidRecording(
            f"{settings.influxdb_url}: database {settings.influxdb_database} holds no {', '.join(columns)} "
            f"from {begin} to {end}"
        )
    device = np.concatenate([np.full(len(rows), index) for index, rows in parts])
    rows = np.concatenate([rows for _, rows in parts])
    order = np.argsort(rows[:, 0], kind="stable")
    return Recorded(
        source=f"InfluxDB, {len(rows)} readings",
        devices=tuple(names),
        device=device[order].astype(np.int64),
        times=rows[order, 0] / 1000,
        signals=rows[order, 1:],
        labels=None,
    )


def _session(settings: StoreSettings) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a proxy or a netrc must not come between
    if settings.influxdb_username is not None:
        password = settings.influxdb_password
        session.auth = (settings.influxdb_username, "" if password is None else password.get_secret_value())
    retry = Retry(total=3, backoff_factor=0.2, status_forcelist=(502, 503), allowed_methods=None)
    session.mount(settings.influxdb_url, HTTPAdapter(max_retries=retry))
    return session


def _series(session: requests.Session, settings: StoreSettings, statement: str) -> list[dict[str, Any]]:
    form = {"q": statement, "db": settings.influxdb_database, "epoch": "ms"}
    url = settings.influxdb_url.rstrip("/") + "/query"
    try:
        response = session.post(url, data=form, timeout=_TIMEOUT_S)
        body = response.json()
    except requests.RequestException as error:
        raise InvalidRecording(f"InfluxDB cannot be read at {url}: {error}") from error
    result = (body.get("results") or [{}])[0]
    problem = body.get("error") or result.get("error")
    if problem or not response.ok:
        raise InvalidRecording(f"InfluxDB at {url} refused: {problem or response.status_code}")
    return list(result.get("series", []))
