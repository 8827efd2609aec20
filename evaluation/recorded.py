"""Recorded readings of any machine, out of a CSV file whose columns the configuration names."""

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from evaluation.config import BacktestConfig, DataTable

_SHOWN = 3


class InvalidRecording(ValueError):  # noqa: N818 - it names the thing
    """Data that cannot be replayed; says which column and line, and what was expected there."""


@dataclass(frozen=True)
class Recorded:
    """Readings of one or more devices, in order of their time.

    Attributes:
        source: Where they came from, for a person.
        devices: Names of the devices.
        device: [n] index of each reading's device.
        times: [n] seconds since 1970 UTC.
        signals: [n, k] in the order of the configuration; not a number where a cell was empty.
        labels: [n] 1 is a fault; None where there are none.
    """

    source: str
    devices: tuple[str, ...]
    device: npt.NDArray[np.int64]
    times: npt.NDArray[np.float64]
    signals: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.times)

    def only(self, rows: npt.NDArray[np.bool_]) -> "Recorded":
        """Those of the readings [n] that are true."""
        return replace(
            self,
            device=self.device[rows],
            times=self.times[rows],
            signals=self.signals[rows],
            labels=None if self.labels is None else self.labels[rows],
        )

    def interval_s(self) -> float:
        """The usual time between two readings of a device: the median over all."""
        order = np.lexsort((self.times, self.device))
        gaps = np.diff(self.times[order])
        same = np.diff(self.device[order]) == 0
        return float(np.median(gaps[same])) if same.any() else 1.0


def read_recording(path: Path, config: BacktestConfig) -> Recorded:
    """Read a CSV file with a header.

    Raises:
        InvalidRecording: It cannot be read, a column is missing, or a cell is not what was expected.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidRecording(f"{path}: cannot be read: {error.strerror}") from error
    columns = {name: signal.column or name for name, signal in config.signals.items()}
    wanted = [config.data.time, *columns.values()]
    label = None if config.labels is None else config.labels.column
    wanted += [column for column in (config.data.device, label) if column is not None]
    texts = {config.data.time: str} | ({config.data.device: str} if config.data.device else {})
    try:
        header = pd.read_csv(
            io.BytesIO(content), sep=config.data.separator, nrows=0, encoding="utf-8-sig"
        ).columns
        missing = [column for column in wanted if column not in header]
        if missing:
            raise InvalidRecording(
                f"{path}: no column {', '.join(missing)}; found {', '.join(map(str, header))}"
            )
        frame = pd.read_csv(
            io.BytesIO(content),
            sep=config.data.separator,
            usecols=list(dict.fromkeys(wanted)),
            dtype=texts,
            encoding="utf-8-sig",
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        text = str(error).strip()
        raise InvalidRecording(f"{path}: not a CSV file in UTF-8 with a header: {text}") from error
    if frame.empty:
        raise InvalidRecording(f"{path}: no rows")
    times = _times(path, frame[config.data.time], config.data)
    signals = np.column_stack([_numbers(path, frame[column]) for column in columns.values()])
    labels = None if label is None else _labels(path, frame[label])
    return _in_order(
        f"{path.name}, {len(frame)} rows", _device_names(frame, config.data), times, signals, labels
    )


def _in_order(
    source: str,
    names: "pd.Series[str]",
    times: npt.NDArray[np.float64],
    signals: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64] | None,
) -> Recorded:
    codes, devices = pd.factorize(names)
    order = np.argsort(times, kind="stable")
    return Recorded(
        source=source,
        devices=tuple(str(device) for device in devices),
        device=codes[order].astype(np.int64),
        times=times[order],
        signals=signals[order],
        labels=None if labels is None else labels[order],
    )


def _device_names(frame: pd.DataFrame, data: DataTable) -> "pd.Series[str]":
    if data.device is None:
        return pd.Series([data.device_name] * len(frame))
    return frame[data.device].fillna("").str.strip()


def _times(path: Path, cells: "pd.Series[str]", data: DataTable) -> npt.NDArray[np.float64]:
    """Seconds since 1970 UTC."""
    if data.time_format in {"unix", "unix_ms"}:
        seconds = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
        _refuse(path, cells, ~np.isfinite(seconds), f"a time as {data.time_format}")
        return np.asarray(seconds / (1000 if data.time_format == "unix_ms" else 1))
    form = "ISO8601" if data.time_format == "iso" else data.time_format
    try:
        moments = pd.to_datetime(cells, format=form, errors="coerce")
    except ValueError:  # zones that differ from line to line
        moments = pd.to_datetime(cells, format=form, errors="coerce", utc=True)
    _refuse(path, cells, moments.isna().to_numpy(), f"a time as {data.time_format!r}")
    if moments.dt.tz is None:
        moments = moments.dt.tz_localize(data.zone, ambiguous="NaT", nonexistent="shift_forward")
        moments = moments.ffill()  # the doubled hour of autumn: the order of the file holds
    nanoseconds = moments.dt.tz_convert("UTC").dt.as_unit("ns").astype("int64").to_numpy()
    return np.asarray(nanoseconds / 1e9)


def _numbers(path: Path, cells: "pd.Series[float]") -> npt.NDArray[np.float64]:
    """Values, an empty cell as not a number; text in place of a number is refused."""
    values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
    _refuse(path, cells, np.isnan(values) & cells.notna().to_numpy(), "a number or nothing")
    return values


def _labels(path: Path, cells: "pd.Series[float]") -> npt.NDArray[np.int64]:
    values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
    _refuse(path, cells, ~np.isin(values, (0, 1)), "0 or 1")
    return values.astype(np.int64)


def _refuse(
    path: Path, cells: "pd.Series[float] | pd.Series[str]", bad: npt.NDArray[np.bool_], expected: str
) -> None:
    if bad.any():
        rows = np.flatnonzero(bad)
        shown = "; ".join(f"line {row + 2}: {cells.iloc[row]!r}" for row in rows[:_SHOWN])
        raise InvalidRecording(
            f"{path}: column {cells.name}: expected {expected}; {len(rows)} cells are not: {shown}"
        )
