"""What a page is told of a device's diagnosis: its health, its signals' limits, and the trend with its band.

The page asks through ``DiagnosisSource`` and knows no more of the diagnosis than what stands here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from monitor.diagnosis.device import Status
from monitor.diagnosis.plant import SignalPlan
from monitor.diagnosis.robust_line import MAD_EFFICIENCY, student_t
from monitor.diagnosis.time_left import TimeLeft

_LINE_POINTS = 48
_FURTHEST = 8.0
"""The line is drawn ahead for so many times the length of what it was fitted to, at most."""


@dataclass(frozen=True, slots=True)
class Prognosis:
    """The diagnosis of one device at a moment."""

    status: Status | None
    """None when nothing was heard of the device."""
    signals: Mapping[str, SignalPlan]
    """What is usual for each signal of the plant's machines."""
    time_left: TimeLeft | None
    """None is "no trend"."""
    confidence: float
    """Of the interval and the band, 0 to 1."""
    now: float
    """Seconds since 1970 UTC."""


class DiagnosisSource(Protocol):
    """As much of the diagnosis as a page asks for; from any thread."""

    @property
    def way_is_down(self) -> bool:
        """Whether no verdict of any machine arrives."""

    def prognosis(self, device_id: str) -> Prognosis:
        """The diagnosis of one device, whether it was ever heard or not."""

    def time_left(self, device_id: str) -> TimeLeft | None:
        """The trend of one device towards its limits; may be a few seconds old."""


def prognosis_body(prognosis: Prognosis) -> dict[str, Any]:
    """The answer to GET /api/fans/<id>/diagnosis; times are milliseconds since 1970 UTC."""
    status, left = prognosis.status, prognosis.time_left
    return {
        "health": None if status is None else status.health.value,
        "mode": None if status is None or status.mode is None else status.mode.value,
        "in_maintenance": status is not None and status.in_maintenance,
        "signals": [
            {
                "name": name,
                "label": plan.label or name,
                "unit": plan.unit,
                "usual": list(plan.usual),
                "worn": [limit for limit in (plan.worn_low, plan.worn_high) if limit is not None],
            }
            for name, plan in prognosis.signals.items()
        ],
        "confidence": prognosis.confidence,
        "trend": None if left is None else _trend_body(left, prognosis),
    }


def time_left_body(left: TimeLeft, now: float) -> dict[str, Any]:
    """How long a machine will do, in words and as an interval."""
    return {
        "words": left.words(now),
        "earliest": _milliseconds(left.earliest),
        "latest": _milliseconds(left.latest),
    }


def _trend_body(left: TimeLeft, prognosis: Prognosis) -> dict[str, Any]:
    name, plan = list(prognosis.signals.items())[left.signal]
    first, last = left.points.times[0], left.points.times[-1]
    end = min(left.latest, last + _FURTHEST * max(last - first, 1.0))
    grid = (first + (end - first) * step / (_LINE_POINTS - 1) for step in range(_LINE_POINTS))
    times = sorted({*grid, *left.points.times})  # those of the points too: a chart has one row of times
    # With as many degrees of freedom as the interval of the crossing (robust_line.Line.crossing).
    quantile = student_t(0.5 + prognosis.confidence / 2, MAD_EFFICIENCY * (left.line.count - 2))
    middle = [left.line.at(time) for time in times]
    error = [quantile * left.line.error_at(time) for time in times]
    return {
        **time_left_body(left, prognosis.now),
        "signal": name,
        "label": plan.label or name,
        "unit": plan.unit,
        "limit": left.limit,
        "level": left.level,
        "way": left.way,
        "points": {
            "at": [_milliseconds(time) for time in left.points.times],
            "value": [_short(value) for value in left.points.values],
        },
        "line": {
            "at": [_milliseconds(time) for time in times],
            "middle": [_short(value) for value in middle],
            "low": [_short(value - off) for value, off in zip(middle, error, strict=True)],
            "high": [_short(value + off) for value, off in zip(middle, error, strict=True)],
        },
    }


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _short(value: float) -> float:
    return float(f"{value:.6g}")
