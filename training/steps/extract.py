"""Extract: readings from InfluxDB or a CSV file, and what technicians found of them."""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from contract.timestamp import parse_timestamp
from training.readings_file import DEVICE, LABEL, TIME, InvalidReadings, read_readings, write_table
from training.steps.order import Order
from training.steps.runner import Outcome, Run, Step, StepFailed
from training.technicians_labels import Interval, InvalidLabels, label_readings, read_intervals

NAME = "extract"
READINGS_FILE = "readings.csv"
LABELS_FILE = "labels.csv"
_MINUTE_NS = 60_000_000_000


def _work(run: Run) -> Outcome:
    order = run.order
    frame = _readings(run)
    labels = _labels(run)
    if labels is not None:
        frame[LABEL] = _laid_upon(frame, labels, order, _in_doubt(run))
    write_table(run.of(NAME) / READINGS_FILE, frame)
    faulty, healthy = (int((frame[LABEL].astype(str).isin(said)).sum()) for said in (["1"], ["0"]))
    return Outcome(
        f"{len(frame)} readings of {frame[DEVICE].nunique()} devices, {faulty} of them labelled faulty and "
        f"{healthy} healthy"
    )


def _readings(run: Run) -> pd.DataFrame:
    order = run.order
    if order.data is not None:
        try:
            frame = read_readings(
                order.data,
                {column.signal.name: column.heading for column in order.columns},
                separator=order.separator,
                only_device=order.name,
                # Without times rows are taken for independent of each other: each is a block of its own.
                apart=pd.Timedelta(minutes=order.block_minutes),
            )
        except InvalidReadings as error:
            raise StepFailed(str(error)) from error
        return _within(frame, order)
    if order.begin is None or order.end is None:
        raise StepFailed("readings of InfluxDB need a time range: give --days, or --from and --to")
    from training.influxdb_source import InfluxDBUnusable  # noqa: PLC0415 - not needed for a file
    from training.influxdb_source import read_readings as read_influxdb  # noqa: PLC0415 - as above

    try:
        stored = read_influxdb(
            run.settings,
            order.names,
            parse_timestamp(order.begin),
            parse_timestamp(order.end),
            every=timedelta(seconds=order.every_s),
            progress=run.progress,
        )
    except InfluxDBUnusable as error:
        raise StepFailed(str(error)) from error
    text = stored.drop(columns=[TIME]).astype(object).where(stored.drop(columns=[TIME]).notna(), "")
    text.insert(1, TIME, [moment.isoformat() for moment in stored[TIME]])
    text[LABEL] = ""
    return text


def _within(frame: pd.DataFrame, order: Order) -> pd.DataFrame:
    """The rows between the order's times; one whose time cannot be read is kept for validate to report."""
    times = pd.to_datetime(frame[TIME], format="ISO8601", utc=True, errors="coerce")
    out = pd.Series(data=False, index=frame.index)
    if order.begin is not None:
        out |= times < parse_timestamp(order.begin)
    if order.end is not None:
        out |= times >= parse_timestamp(order.end)
    return frame[~out].reset_index(drop=True)


def _labels(run: Run) -> Path | None:
    """The labels' file, a copy in the run's folder."""
    order, kept = run.order, run.of(NAME) / LABELS_FILE
    if order.labels is not None:
        kept.write_bytes(order.labels.read_bytes())
        return kept
    if order.alarms is not None:
        # The alarms' file is the monitor's: it is asked for what it exports, as a person would.
        export = [sys.executable, "-m", "fanwatch.cli", "alarms", "labels"]
        done = subprocess.run(  # noqa: S603 - our own command
            [*export, "--file", str(order.alarms), "--out", str(kept)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StepFailed(f"fanwatch alarms labels failed: {done.stderr.strip()}")
        return kept
    return None


def _in_doubt(run: Run) -> list[Interval]:
    """When a device had an alarm; only where the rest is taken for healthy, and InfluxDB knows of alarms."""
    order = run.order
    if order.unlabelled != "healthy" or order.data is not None or order.begin is None or order.end is None:
        return []
    from training.influxdb_source import InfluxDBUnusable, read_alarm_spans  # noqa: PLC0415 - not for a file

    try:
        return read_alarm_spans(run.settings, parse_timestamp(order.begin), parse_timestamp(order.end))
    except InfluxDBUnusable as error:
        raise StepFailed(str(error)) from error


def _laid_upon(frame: pd.DataFrame, labels: Path, order: Order, in_doubt: Sequence[Interval]) -> list[str]:
    times = pd.to_datetime(frame[TIME], format="ISO8601", utc=True, errors="coerce")
    # A time that cannot be read becomes one that no interval covers.
    nanoseconds = times.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]").astype(np.int64)
    try:
        known = label_readings(
            frame[DEVICE].to_numpy(dtype=object),
            nanoseconds,
            read_intervals(labels),
            others_are_healthy=order.unlabelled == "healthy",
            margin_ns=round(order.margin_minutes * _MINUTE_NS),
            in_doubt=in_doubt,
        )
    except InvalidLabels as error:
        raise StepFailed(str(error)) from error
    return ["" if np.isnan(value) else str(int(value)) for value in known]


def _outside(run: Run) -> Iterable[Path]:
    return [path for path in (run.order.data, run.order.labels, run.order.alarms) if path is not None]


EXTRACT = Step(
    name=NAME,
    purpose="readings and labels",
    asks=(
        "name",
        "columns",
        "separator",
        "data",
        "begin",
        "end",
        "labels",
        "alarms",
        "unlabelled",
        "every_s",
        "margin_minutes",
        "block_minutes",
    ),
    after=(),
    work=_work,
    outside=_outside,
)
