"""How good alarms were, where it is known what was true: found faults, lead time, false alarms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.announced import RaisedAlarm
from evaluation.config import LabelTable
from evaluation.recorded import Recorded

_DAY_S = 86_400.0


@dataclass(frozen=True)
class Fault:
    """A fault that there was, seconds since 1970 UTC.

    Attributes:
        device: None where it is not known whose it was.
        begin: From when on an alarm is right.
        end: Until when.
        failed: When the machine failed, where that is known: lead time is counted from there, else from begin.
    """

    device: str | None
    begin: float
    end: float
    failed: float | None


def faults_of(labels: LabelTable, recorded: Recorded) -> list[Fault]:
    """The faults that the labels name, as far as the recording covers them."""
    if labels.column is not None and recorded.labels is not None:
        return _from_column(recorded)
    first, last = float(recorded.times[0]), float(recorded.times[-1])
    faults = [
        Fault(labels.device, begin.timestamp(), end.timestamp(), None) for begin, end in labels.windows
    ] + [
        Fault(
            labels.device,
            moment.timestamp() - labels.within_days * _DAY_S,
            moment.timestamp(),
            moment.timestamp(),
        )
        for moment in labels.failures
    ]
    return [fault for fault in faults if fault.end >= first and fault.begin <= last]


def _from_column(recorded: Recorded) -> list[Fault]:
    """A fault lasts from the first labelled reading of a row of them to the last."""
    faults = []
    assert recorded.labels is not None  # noqa: S101 - for the type checker
    for index, device in enumerate(recorded.devices):
        mine = recorded.device == index
        times, labels = recorded.times[mine], recorded.labels[mine]
        edges = np.flatnonzero(np.diff(np.concatenate(([0], labels, [0]))))
        faults += [
            Fault(device, float(times[begin]), float(times[end - 1]), None)
            for begin, end in zip(edges[::2], edges[1::2], strict=True)
        ]
    return faults


def judge(
    alarms: Sequence[RaisedAlarm],
    faults: Sequence[Fault],
    recorded: Recorded,
    learned_until: dict[str, float],
) -> dict[str, Any]:
    """The figures.

    An alarm about the machine is right when it overlaps a fault of its device, and false otherwise; alarms about
    sensors are neither, for the labels do not speak of sensors. Nothing in a stretch that was learned from counts.

    Args:
        alarms: What was raised.
        faults: What was true.
        recorded: The readings.
        learned_until: End of the stretch that was learned from, by device.
    """
    end = float(recorded.times[-1])
    machine = [
        alarm
        for alarm in alarms
        if not alarm.kind.is_sensor_fault and alarm.raised > learned_until.get(alarm.device, float("-inf"))
    ]
    found, leads, false = [], [], []
    for fault in faults:
        mine = [alarm for alarm in machine if _overlap(alarm, fault, end)]
        found.append(bool(mine))
        if mine:
            first = min(alarm.raised for alarm in mine)
            leads.append((fault.begin if fault.failed is None else fault.failed) - first)
    false = [alarm for alarm in machine if not any(_overlap(alarm, fault, end) for fault in faults)]
    days = sum(_watched_s(recorded, index, learned_until) for index in range(len(recorded.devices))) / _DAY_S
    return {
        "faults": len(faults),
        "faults_found": sum(found),
        "lead_time_s": [round(lead, 3) for lead in leads],
        "median_lead_time_s": float(np.median(leads)) if leads else None,
        "false_alarms": len(false),
        "false_alarms_in_30_device_days": 30 * len(false) / days if days else None,
        "precision": (len(machine) - len(false)) / len(machine) if machine else None,
    }


def _watched_s(recorded: Recorded, index: int, learned_until: dict[str, float]) -> float:
    times = recorded.times[recorded.device == index]
    return float(times[-1] - max(times[0], learned_until.get(recorded.devices[index], times[0])))


def _overlap(alarm: RaisedAlarm, fault: Fault, end: float) -> bool:
    if fault.device is not None and fault.device != alarm.device:
        return False
    return alarm.raised <= fault.end and (alarm.cleared if alarm.cleared is not None else end) >= fault.begin
