"""Which readings are fit to learn from: columns, types, plausible ranges, no reading twice, and where readings miss."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from contract.bundle import SignalSpec
from contract.identity import DEVICE_ID_PATTERN
from training.readings_file import DEVICE, LABEL, TIME

_GAP = 10
"""So many times the usual distance between two readings of a device is a gap."""


@dataclass(frozen=True)
class Checked:
    """What the check left.

    Attributes:
        good: The rows to learn from, oldest first.
        bad: One row for each objection: row (of the table, from 0), deviceID, timeStamp, column, expected, found.
        bad_rows: How many rows were left out.
        gaps: One row for each: deviceID, after, before, seconds.
    """

    good: pd.DataFrame
    bad: pd.DataFrame
    bad_rows: int
    gaps: pd.DataFrame


def check_readings(text: pd.DataFrame, signals: Sequence[SignalSpec]) -> Checked:
    """Take the good rows out of a table of text; of a reading that stands there twice the first stays.

    Args:
        text: Columns deviceID, timeStamp, the signals and faulty.
        signals: Names and plausible ranges.
    """
    import pandera.pandas as pa  # noqa: PLC0415 - 1.5 s, and the commands' help must not wait for it

    typed = _typed(text, [spec.name for spec in signals])
    schema = pa.DataFrameSchema(
        {
            DEVICE: pa.Column(str, pa.Check.str_matches(DEVICE_ID_PATTERN, error="a device's name")),
            TIME: pa.Column("datetime64[ns, UTC]"),
            LABEL: pa.Column(float, pa.Check.isin([0, 1], error="0, 1 or nothing"), nullable=True),
        }
        | {
            spec.name: pa.Column(
                float,
                pa.Check.in_range(
                    spec.minimum, spec.maximum, error=f"{spec.minimum:g} to {spec.maximum:g} {spec.unit}"
                ),
            )
            for spec in signals
        },
        unique=[DEVICE, TIME],
        report_duplicates="exclude_first",
    )
    # A label that is no number would be taken for one that is missing.
    strange_label = typed[LABEL].isna() & (text[LABEL] != "")
    typed.loc[strange_label, LABEL] = -1
    bad = pd.DataFrame(columns=["row", "column", "check"])
    try:
        schema.validate(typed, lazy=True)
    except pa.errors.SchemaErrors as error:
        bad = _objections(error.failure_cases)
    rows = bad["row"].unique().astype(np.int64)
    good = typed.drop(index=pd.Index(rows)).sort_values([TIME, DEVICE], kind="stable").reset_index(drop=True)
    return Checked(good, _readable(bad, text), len(rows), _gaps(good))


def _typed(text: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    frame = pd.DataFrame({DEVICE: text[DEVICE].astype(str)})
    frame[TIME] = pd.to_datetime(text[TIME], format="ISO8601", utc=True, errors="coerce").astype(
        "datetime64[ns, UTC]"
    )
    for name in (*names, LABEL):
        frame[name] = pd.to_numeric(text[name], errors="coerce").astype("float64")
    return frame


def _objections(cases: pd.DataFrame) -> pd.DataFrame:
    """Pandera's failure cases: one row for each cell, or one for each column of a reading that is there twice."""
    found = cases.rename(columns={"index": "row"})[["row", "column", "check"]].copy()
    twice = cases["schema_context"] == "DataFrameSchema"
    found.loc[twice, "column"] = f"{DEVICE}, {TIME}"
    found.loc[twice, "check"] = "a device and time that no row before it has"
    found["check"] = found["check"].replace("not_nullable", "a value that can be read")
    return found.drop_duplicates().sort_values("row", kind="stable").reset_index(drop=True)


def _readable(bad: pd.DataFrame, text: pd.DataFrame) -> pd.DataFrame:
    rows = bad["row"].to_numpy(dtype=np.int64)
    cells = [
        text.loc[row, column] if column in text.columns else f"{text.loc[row, DEVICE]}, {text.loc[row, TIME]}"
        for row, column in zip(rows, bad["column"], strict=True)
    ]
    return pd.DataFrame(
        {
            "row": rows,
            DEVICE: text[DEVICE].to_numpy()[rows],
            TIME: text[TIME].to_numpy()[rows],
            "column": bad["column"].to_numpy(),
            "expected": bad["check"].to_numpy(),
            "found": cells,
        }
    )


def _gaps(good: pd.DataFrame) -> pd.DataFrame:
    parts: list[pd.DataFrame] = []
    for device, rows in good.groupby(DEVICE, sort=True):
        times = rows[TIME].reset_index(drop=True)
        apart = times.diff().dt.total_seconds()
        wide = apart > _GAP * apart.median()
        parts.append(
            pd.DataFrame(
                {
                    DEVICE: device,
                    "after": times.shift()[wide],
                    "before": times[wide],
                    "seconds": apart[wide],
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
