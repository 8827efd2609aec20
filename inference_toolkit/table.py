"""Rows of signals from a CSV file: what a model was trained on, and what it is tried on."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference_toolkit.errors import ToolkitError

LABEL = "fault"


@dataclass(frozen=True)
class Table:
    """Rows of a file.

    Attributes:
        signals: [n, k], in the order that was asked for.
        faults: [n], 1 where the file calls the row a fault; None when it has no such column.
    """

    signals: npt.NDArray[np.float64]
    faults: npt.NDArray[np.int64] | None


def read_table(path: Path, content: bytes, names: Sequence[str]) -> Table:
    """Read the columns of some names, and ``fault`` where there is one; others are left alone.

    Args:
        path: For errors.
        content: CSV in UTF-8 with a header.
        names: Of the k columns.

    Raises:
        ToolkitError: A column is missing, a cell is no finite number, a label is neither 0 nor 1, or there is no row.
    """
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        header = [name.strip() for name in next(lines, [])]
        rows = [(lines.line_num, row) for row in lines if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ToolkitError(f"{path}: is no CSV file in UTF-8: {error}") from error
    missing = [name for name in names if name not in header]
    if missing:
        raise ToolkitError(
            f"{path}: no column {', '.join(missing)}; expected {', '.join(names)}, found {', '.join(header)}"
        )
    if not rows:
        raise ToolkitError(f"{path}: has no row below its header")
    has_labels = LABEL in header
    wanted = [*names, LABEL] if has_labels else list(names)
    places = [header.index(name) for name in wanted]
    values = np.array(
        [
            [_number(path, line, row, place, name) for place, name in zip(places, wanted, strict=True)]
            for line, row in rows
        ]
    )
    if not has_labels:
        return Table(values, None)
    labels = values[:, -1]
    if not np.isin(labels, (0, 1)).all():
        raise ToolkitError(f"{path}: column {LABEL}: expected 0 or 1 in every row")
    return Table(values[:, :-1], labels.astype(np.int64))


def _number(path: Path, line: int, row: list[str], place: int, name: str) -> float:
    cell = row[place] if place < len(row) else ""
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ToolkitError(f"{path}: line {line}, column {name}: expected a finite number, found {cell!r}")
    return value
