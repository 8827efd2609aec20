"""What technicians found (the CSV file of ``fanwatch alarms labels``), laid upon readings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

_COLUMNS = ("deviceID", "from", "to", "faulty")
_NONE, _HEALTHY, _FAULTY, _NOTHING = 0, 1, 2, 3
"""What is known of a reading; of two intervals that cover it, the greater number holds."""


class InvalidLabels(ValueError):  # noqa: N818 - it names the thing
    """A file that holds no labels; says what was expected."""


@dataclass(frozen=True)
class Interval:
    """What one device was between two times.

    Attributes:
        device: Its name.
        begin: In nanoseconds since 1970.
        end: Likewise, included.
        faulty: 1 or 0; None where the readings say nothing of the machine (a standstill, a broken sensor).
    """

    device: str
    begin: int
    end: int
    faulty: int | None


def read_intervals(path: Path) -> list[Interval]:
    """Read a file of labels.

    Raises:
        InvalidLabels: It cannot be read, a column is missing, or a cell is not what was expected.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except OSError as error:
        raise InvalidLabels(f"{path}: cannot be read: {error.strerror}") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InvalidLabels(f"{path}: is no CSV file in UTF-8 with a header: {error}") from error
    missing = [name for name in _COLUMNS if name not in frame.columns]
    if missing:
        raise InvalidLabels(
            f"{path}: no column {', '.join(missing)}; expected those that `fanwatch alarms labels` writes, "
            f"found {', '.join(map(str, frame.columns))}"
        )
    wrong = frame[~frame["faulty"].isin(["", "0", "1"])]
    if len(wrong):
        raise InvalidLabels(
            f"{path}: column faulty, line {int(wrong.index[0]) + 2}: expected 0, 1 or nothing, found "
            f"{wrong['faulty'].iloc[0]!r}"
        )
    begins, ends = (_times(path, frame[name]) for name in ("from", "to"))
    return [
        Interval(device, int(begin), int(end), int(faulty) if faulty else None)
        for device, begin, end, faulty in zip(frame["deviceID"], begins, ends, frame["faulty"], strict=True)
    ]


def label_readings(
    devices: npt.NDArray[np.object_],
    times: npt.NDArray[np.int64],
    intervals: list[Interval],
    *,
    others_are_healthy: bool = False,
    margin_ns: int = 0,
    in_doubt: Sequence[Interval] = (),
) -> npt.NDArray[np.float64]:
    """1, 0 or NaN (not known) of each reading: [n].

    Where intervals overlap, a standstill or a broken sensor holds before a fault, and a fault before a false alarm.

    Args:
        devices: [n] names.
        times: [n] nanoseconds since 1970.
        intervals: What technicians found.
        others_are_healthy: A reading that no interval covers is 0 rather than not known.
        margin_ns: But not one so close to a fault or to what says nothing of the machine.
        in_doubt: Nor one in or close to such an interval, in which an alarm stood that nobody has closed yet.
    """
    known = np.full(len(times), _HEALTHY if others_are_healthy else _NONE)
    near = np.zeros(len(times), dtype=np.bool_)
    covered = np.zeros(len(times), dtype=np.bool_)
    named = {one.device for one in (*intervals, *in_doubt)}
    rows_of = {device: np.flatnonzero(devices == device) for device in named}

    def about(one: Interval) -> npt.NDArray[np.int64]:
        rows = rows_of[one.device]
        return rows[(times[rows] >= one.begin - margin_ns) & (times[rows] <= one.end + margin_ns)]

    for one in intervals:
        rows = rows_of[one.device]
        inside = rows[(times[rows] >= one.begin) & (times[rows] <= one.end)]
        code = _NOTHING if one.faulty is None else _FAULTY if one.faulty else _HEALTHY
        known[inside] = np.maximum(known[inside], code)
        covered[inside] = True
        if code != _HEALTHY:
            near[about(one)] = True
    for one in in_doubt:
        near[about(one)] = True
    known[near & ~covered] = _NONE
    return np.asarray(np.select([known == _FAULTY, known == _HEALTHY], [1.0, 0.0], np.nan))


def _times(path: Path, cells: "pd.Series[str]") -> npt.NDArray[np.int64]:
    read = pd.to_datetime(cells, format="ISO8601", utc=True, errors="coerce")
    bad = read.isna()
    if bad.any():
        line = int(np.flatnonzero(bad)[0]) + 2
        raise InvalidLabels(
            f"{path}: column {cells.name}, line {line}: expected a time such as 2026-11-23T10:00:00.123Z, found "
            f"{cells.iloc[line - 2]!r}"
        )
    return read.dt.tz_localize(None).to_numpy(dtype="datetime64[ns]").astype(np.int64)
