"""Data sets: rows of signals with a label, from a CSV file or drawn, and their split."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from contract.bundle import SignalSpec
from training.fan import FAN_SIGNALS, draw

DEFAULT_LABEL = "faulty"
_SHOWN_PROBLEMS = 5
_MINIMUM_ROWS = 200


class InvalidData(ValueError):  # noqa: N818 - it names the thing
    """A data set that cannot be used; says which column and line, and what was expected there."""


@dataclass(frozen=True)
class DataSet:
    """Labelled readings.

    Attributes:
        signals: [n, k], each column in its signal's unit, in the order of the specification.
        labels: [n], 1 is a fault.
        digest: SHA-256 of the bytes that were read (of a drawn set: of the CSV file that it would be).
        source: Where it came from, for a person.
    """

    signals: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    digest: str
    source: str

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.int64]) -> Self:
        """The given rows, in the given order."""
        return type(self)(self.signals[rows], self.labels[rows], self.digest, self.source)


@dataclass(frozen=True)
class Split:
    """Three parts without a row in common: to fit, to stop and calibrate by, and to judge by."""

    fit: DataSet
    validation: DataSet
    held_out: DataSet


def split(data: DataSet, seed: int, validation_share: float = 0.15, held_out_share: float = 0.15) -> Split:
    """Divide by chance, with the same share of faults in each part as far as whole rows allow.

    Args:
        data: The whole.
        seed: Of the shuffle.
        validation_share: Share of the rows to calibrate by.
        held_out_share: Share of the rows that the model never sees.
    """
    rng = np.random.default_rng(seed)
    parts: tuple[list[npt.NDArray[np.int64]], ...] = ([], [], [])
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(data.labels == label))
        first = round(len(rows) * validation_share)
        second = first + round(len(rows) * held_out_share)
        for part, taken in zip(parts, (rows[second:], rows[:first], rows[first:second]), strict=True):
            part.append(taken)
    fit, validation, held_out = (data.take(rng.permutation(np.concatenate(part))) for part in parts)
    return Split(fit, validation, held_out)


def generate(rows: int, seed: int) -> tuple[DataSet, bytes]:
    """Draw a data set of the recorded distributions, and the CSV file that holds it."""
    devices, signals, labels = draw(rows, seed)
    columns = {"DeviceID": devices}
    frame = pd.DataFrame(
        columns
        | {spec.name.capitalize(): signals[:, i] for i, spec in enumerate(FAN_SIGNALS)}
        | {"Faulty": labels}
    )
    content = frame.to_csv(index=False, float_format="%.1f", lineterminator="\n").encode()
    digest = hashlib.sha256(content).hexdigest()
    return DataSet(signals, labels, digest, f"{rows} generated rows, seed {seed}"), content


def read_csv(path: Path, specs: Sequence[SignalSpec] = FAN_SIGNALS, label: str = DEFAULT_LABEL) -> DataSet:
    """Read and validate a CSV file with one column a signal and one label column, names in any case.

    Other columns are left alone.

    Args:
        path: The file; UTF-8, comma-separated, with a header.
        specs: The signals, in the order of the tensor.
        label: Name of the column that holds 0 (healthy) or 1 (fault).

    Raises:
        InvalidData: The file cannot be read, a column is missing, named twice, or a cell is not what was expected.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidData(f"{path}: cannot be read: {error.strerror}") from error
    frame = _parse(path, content)
    names = [*(spec.name for spec in specs), label]
    columns = _find_columns(path, frame, names)
    problems: list[str] = []
    values = [_numbers(frame[columns[name]], problems) for name in names]
    for spec, column in zip(specs, values, strict=False):
        bad = np.isfinite(column) & ((column < spec.minimum) | (column > spec.maximum))
        _note(problems, frame[columns[spec.name]], bad, f"{spec.minimum:g} to {spec.maximum:g} {spec.unit}")
    _note(problems, frame[columns[label]], np.isfinite(values[-1]) & ~np.isin(values[-1], (0, 1)), "0 or 1")
    if problems:
        shown = "; ".join(problems[:_SHOWN_PROBLEMS])
        more = f"; and {len(problems) - _SHOWN_PROBLEMS} more" if len(problems) > _SHOWN_PROBLEMS else ""
        raise InvalidData(f"{path}: {shown}{more}")
    labels = values[-1].astype(np.int64)
    if len(labels) < _MINIMUM_ROWS or len(np.unique(labels)) != 2:
        raise InvalidData(
            f"{path}: {len(labels)} rows, {int(labels.sum())} of them with {label} = 1; expected at least "
            f"{_MINIMUM_ROWS} rows and both kinds"
        )
    return DataSet(
        np.column_stack(values[:-1]),
        labels,
        hashlib.sha256(content).hexdigest(),
        f"{path.name}, {len(labels)} rows",
    )


def _parse(path: Path, content: bytes) -> pd.DataFrame:
    try:
        # The header is read as a row: pandas would rename a column that is named twice, and drop the fields that a
        # header lacks. Blank lines are kept for now, so that a row's number is its line in the file.
        rows = pd.read_csv(
            io.BytesIO(content),
            header=None,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            encoding="utf-8-sig",
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        text = str(error).strip()
        raise InvalidData(f"{path}: not a comma-separated file in UTF-8 with a header: {text}") from error
    rows.index = pd.RangeIndex(1, len(rows) + 1)
    rows = rows.fillna("")
    frame = rows.iloc[1:]
    frame.columns = pd.Index(rows.iloc[0])
    return frame[(frame != "").any(axis=1)]


def _find_columns(path: Path, frame: pd.DataFrame, names: Sequence[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for column in frame.columns:
        found.setdefault(str(column).strip().lower(), []).append(str(column))
    missing = [name for name in names if name.lower() not in found]
    if missing:
        raise InvalidData(
            f"{path}: no column {', '.join(missing)}; expected {', '.join(names)} (in any case and order), "
            f"found {', '.join(map(str, frame.columns))}"
        )
    for name in names:
        if len(found[name.lower()]) > 1:
            raise InvalidData(
                f"{path}: column {name} stands there twice, as {', '.join(found[name.lower()])}"
            )
    return {name: found[name.lower()][0] for name in names}


def _numbers(cells: "pd.Series[str]", problems: list[str]) -> npt.NDArray[np.float64]:
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    _note(problems, cells, ~np.isfinite(values), "a finite number")
    return values


def _note(problems: list[str], cells: "pd.Series[str]", bad: npt.NDArray[np.bool_], expected: str) -> None:
    problems.extend(
        f"column {cells.name}, line {line}: expected {expected}, found {cells.loc[line]!r}"
        for line in cells.index[bad]
    )
