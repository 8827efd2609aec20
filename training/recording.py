"""Recordings: the signals of any machine, from a CSV file as a test bench or a historian writes it.

Which columns are signals, their units and plausible ranges stand in the machine's description, a TOML file:

    name = "pump"              # of the model
    separator = ";"            # between columns; a comma unless given
    healthy_rows = 400         # from the start of a recording: what a model learns from

    [[signals]]
    name = "flow"              # as readings call it
    column = "Volume Flow"     # as the file calls it; the name unless given
    unit = "l/min"
    minimum = 0                # the plausible range, in the unit: outside of it the sensor is broken
    maximum = 500
"""

import hashlib
import io
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contract.bundle import ModelSignature, SignalSpec
from contract.identity import ModelName

_SHOWN_CELLS = 3


class InvalidMachine(ValueError):  # noqa: N818 - it names the thing
    """A machine's description that cannot be used; says what was expected."""


class InvalidRecording(ValueError):  # noqa: N818 - it names the thing
    """A file that is no recording of this machine; says which column and line, and what was expected there."""


class MachineSignal(BaseModel):
    """One signal, and the column that holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="As readings call it.")
    column: str = Field(default="", description="As recordings call it; the name unless given.")
    unit: str
    minimum: float
    maximum: float

    @model_validator(mode="after")
    def _check(self) -> Self:
        # The manifest's own rules, so that a description that reads well also makes a bundle.
        self.specification()
        return self

    def specification(self) -> SignalSpec:
        """As the manifest of a bundle holds it."""
        return SignalSpec(name=self.name, unit=self.unit, minimum=self.minimum, maximum=self.maximum)

    @property
    def heading(self) -> str:
        """The column's heading."""
        return self.column or self.name


class Machine(BaseModel):
    """A machine as its recordings show it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ModelName
    separator: str = Field(default=",", min_length=1, max_length=1)
    healthy_rows: int = Field(ge=60, description="Rows from the start that are healthy and learned from.")
    signals: tuple[MachineSignal, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        ModelSignature(signals=self.specifications, threshold=0.5)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The signals' names, in the order of the columns."""
        return tuple(signal.name for signal in self.signals)

    @property
    def specifications(self) -> tuple[SignalSpec, ...]:
        """The signals as a manifest holds them."""
        return tuple(signal.specification() for signal in self.signals)


@dataclass(frozen=True)
class Recording:
    """Rows of one machine, in the order in which they were measured.

    Attributes:
        signals: [n, k], each in its unit, in the order of the machine's description.
        digest: SHA-256 of the file.
    """

    signals: npt.NDArray[np.float64]
    digest: str

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.signals)


def read_machine(path: Path) -> Machine:
    """Read a machine's description.

    Raises:
        InvalidMachine: The file cannot be read, is no TOML, or does not describe a machine.
    """
    try:
        return Machine.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidMachine(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidMachine(f"{path}: is no TOML file: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InvalidMachine(f"{path}: {where}: {first['msg']}") from error


def read_recording(path: Path, machine: Machine) -> Recording:
    """Read a machine's rows; other columns are left alone.

    Args:
        path: The file; UTF-8, with a header.
        machine: Which columns.

    Raises:
        InvalidRecording: The file cannot be read, a column is missing, or a cell is not what was expected.
    """
    content = _content(path)
    return _recording(path, content, _frame(path, content, machine), machine)


def read_labelled(path: Path, machine: Machine, label: str) -> tuple[Recording, npt.NDArray[np.int64]]:
    """Read a machine's rows and their labels [n], 1 being a fault.

    Args:
        path: The file; UTF-8, with a header.
        machine: Which columns.
        label: The column that holds 0 (healthy) or 1 (fault).

    Raises:
        InvalidRecording: The file cannot be read, a column is missing, or a cell is not what was expected.
    """
    content = _content(path)
    frame = _frame(path, content, machine, label)
    values = _numbers(path, frame[label])
    _refuse(path, frame[label], ~np.isin(values, (0, 1)), "0 or 1")
    return _recording(path, content, frame, machine), values.astype(np.int64)


def has_column(path: Path, machine: Machine, heading: str) -> bool:
    """Whether a recording's header names a column.

    Raises:
        InvalidRecording: The file cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            return heading in [name.strip() for name in file.readline().split(machine.separator)]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRecording(f"{path}: cannot be read: {error}") from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRecording(f"{path}: cannot be read: {error.strerror}") from error


def _frame(path: Path, content: bytes, machine: Machine, *more: str) -> pd.DataFrame:
    """The file's cells as text, the machine's columns and some more being there."""
    try:
        frame = pd.read_csv(
            io.BytesIO(content), sep=machine.separator, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InvalidRecording(
            f"{path}: is no CSV file in UTF-8 with a header and columns separated by {machine.separator!r}: "
            f"{str(error).strip()}"
        ) from error
    frame.columns = frame.columns.str.strip()
    frame.index = pd.RangeIndex(2, len(frame) + 2)  # a row's line in the file
    expected = [*(signal.heading for signal in machine.signals), *more]
    missing = [name for name in expected if name not in frame.columns]
    if missing:
        raise InvalidRecording(
            f"{path}: no column {', '.join(missing)}; expected {', '.join(expected)}, "
            f"found {', '.join(map(str, frame.columns))}"
        )
    return frame


def _recording(path: Path, content: bytes, frame: pd.DataFrame, machine: Machine) -> Recording:
    signals = np.column_stack([_numbers(path, frame[signal.heading]) for signal in machine.signals])
    return Recording(signals, hashlib.sha256(content).hexdigest())


def _numbers(path: Path, cells: "pd.Series[str]") -> npt.NDArray[np.float64]:
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
    _refuse(path, cells, ~np.isfinite(values), "a finite number")
    return values


def _refuse(path: Path, cells: "pd.Series[str]", bad: npt.NDArray[np.bool_], expected: str) -> None:
    if bad.any():
        shown = "; ".join(f"line {line}: {cells.loc[line]!r}" for line in cells.index[bad][:_SHOWN_CELLS])
        raise InvalidRecording(
            f"{path}: column {cells.name}: expected {expected}, found {int(bad.sum())} times something else "
            f"({shown})"
        )
