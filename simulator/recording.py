"""Recorded readings: a CSV with the columns of the data set fan.csv.

DeviceID,Time,Rotation,Temperature,Vibration,Sound,Faulty
"""

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contract.identity import DEVICE_ID_PATTERN
from contract.timestamp import parse_timestamp
from simulator.fan import SIGNALS, Label

COLUMNS = ("DeviceID", "Time", "Rotation", "Temperature", "Vibration", "Sound", "Faulty")
_SIGNAL_COLUMNS = dict(zip(SIGNALS, COLUMNS[2:6], strict=True))
_DEVICE_ID = re.compile(DEVICE_ID_PATTERN)


class RecordingError(ValueError):
    """The file is no recording; the message says which line and what was expected."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One row: who, when (UTC; a time without a zone is read as UTC), the signals, and the label."""

    device_id: str
    moment: datetime
    signals: dict[str, float]
    fault: Label


@dataclass(frozen=True, slots=True)
class Summary:
    """What a recording holds."""

    rows: int
    chronological: bool


def survey(path: Path) -> Summary:
    """Read the whole file once, so that a bad row is found before anything has been sent.

    Raises:
        RecordingError: A column or a row is wrong, or there is no row.
        OSError: The file cannot be read.
    """
    rows = 0
    chronological = True
    before: datetime | None = None
    for row in rows_of(path):
        rows += 1
        chronological = chronological and (before is None or before <= row.moment)
        before = row.moment
    if not rows:
        raise RecordingError(f"{path}: no reading below the header")
    return Summary(rows, chronological)


def rows_of(path: Path) -> Iterator[Recorded]:
    """The rows in the order of the file, one at a time.

    Raises:
        RecordingError: A column or a row is wrong.
        OSError: The file cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _check_columns(path, reader.fieldnames)
            for row in reader:
                try:
                    yield _parse(row)
                except ValueError as error:
                    raise RecordingError(f"{path}, line {reader.line_num}: {error}") from None
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except csv.Error as error:
        raise RecordingError(f"{path}: not a CSV: {error}") from None


def _check_columns(path: Path, found: object) -> None:
    names = list(found) if isinstance(found, list) else []
    missing = [name for name in COLUMNS if name not in names]
    if not missing:
        return
    unknown = [str(name) for name in names if name not in COLUMNS]
    sentence = f"{path}: column {', '.join(missing)} is missing"
    if unknown:
        sentence += f" (found instead: {', '.join(unknown)})"
    raise RecordingError(f"{sentence}; expected the columns {','.join(COLUMNS)}")


def _parse(row: dict[str | None, str | None]) -> Recorded:
    if None in row:
        raise ValueError(f"more than the {len(COLUMNS)} fields of the header")
    device_id = row["DeviceID"] or ""
    if not _DEVICE_ID.match(device_id):
        raise ValueError(
            f"DeviceID {device_id!r}, expected 1 to 64 letters, digits, dots, hyphens or underscores"
        )
    time = row["Time"] or ""
    try:
        moment = parse_timestamp(time, UTC)
    except ValueError:
        raise ValueError(f"Time {time!r}, expected YYYY-MM-DD HH:MM:SS") from None
    faulty = row["Faulty"]
    if faulty not in {"0", "1"}:
        raise ValueError(f"Faulty {faulty!r}, expected 0 or 1")
    signals = {signal: _number(column, row[column]) for signal, column in _SIGNAL_COLUMNS.items()}
    return Recorded(device_id, moment, signals, 1 if faulty == "1" else 0)


def _number(column: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{column} {text!r}, expected a finite number")
    return value
