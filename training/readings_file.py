"""Readings of several devices as one table: from a CSV file, and between the steps of the pipeline."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

DEVICE = "deviceID"
TIME = "timeStamp"
LABEL = "faulty"


class InvalidReadings(ValueError):  # noqa: N818 - it names the thing
    """A file that is no table of readings; says what was expected."""


def read_readings(
    path: Path,
    headings: dict[str, str],
    *,
    separator: str = ",",
    only_device: str,
    apart: pd.Timedelta,
) -> pd.DataFrame:
    """The cells of a CSV file as text; headings in any case, other columns are left alone.

    Args:
        path: The file; UTF-8, with a header.
        headings: What the file calls each signal.
        separator: Between columns.
        only_device: The name of the one device, where the file has no column deviceID.
        apart: How far apart rows are, where the file has no column timeStamp.

    Returns:
        Columns deviceID, timeStamp, one for each signal, and faulty (empty where the file has none).

    Raises:
        InvalidReadings: It cannot be read, or a signal's column is missing or named twice.
    """
    try:
        frame = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except OSError as error:
        raise InvalidReadings(f"{path}: cannot be read: {error.strerror}") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InvalidReadings(
            f"{path}: is no CSV file in UTF-8 with a header and columns separated by {separator!r}: {error}"
        ) from error
    found = {str(name).strip().lower(): name for name in frame.columns}
    if len(found) < len(frame.columns):
        raise InvalidReadings(f"{path}: a column stands there twice in {', '.join(map(str, frame.columns))}")
    missing = [heading for heading in headings.values() if heading.lower() not in found]
    if missing:
        raise InvalidReadings(
            f"{path}: no column {', '.join(missing)}; expected {', '.join(headings.values())}, "
            f"found {', '.join(map(str, frame.columns))}"
        )

    def column(heading: str, otherwise: Sequence[str]) -> "pd.Series[str]":
        known = found.get(heading.lower())
        return pd.Series(otherwise, dtype=object) if known is None else frame[known].str.strip()

    times = pd.to_datetime(0, utc=True) + apart * pd.RangeIndex(len(frame))
    return pd.DataFrame(
        {
            DEVICE: column(DEVICE, [only_device] * len(frame)),
            TIME: column(TIME, [moment.isoformat() for moment in times] if TIME.lower() not in found else []),
        }
        | {name: column(heading, []) for name, heading in headings.items()}
        | {LABEL: column(LABEL, [""] * len(frame))}
    )


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a table for the steps that follow."""
    frame.to_csv(path, index=False, lineterminator="\n")


def read_table(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """Read a table that validate has left: times as datetime64[ns, UTC], signals and label as numbers."""
    frame = pd.read_csv(
        path, dtype={DEVICE: str} | dict.fromkeys([*names, LABEL], "float64"), keep_default_na=True
    )
    frame[TIME] = pd.to_datetime(frame[TIME], format="ISO8601", utc=True).astype("datetime64[ns, UTC]")
    return frame
