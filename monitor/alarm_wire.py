"""What the page is told of alarms, as JSON; times are milliseconds since 1970 UTC."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from monitor.alarms.desk import ActiveAlarm
from monitor.alarms.history import AuditEntry, CloseOut, Outcome, PastAlarm
from monitor.findings import Contribution


class ShelveOrder(BaseModel):
    """The body of POST /api/alarms/<id>/shelve."""

    model_config = ConfigDict(extra="forbid")

    hours: Annotated[float, Field(gt=0, le=24 * 366, allow_inf_nan=False)]


class CloseOrder(BaseModel):
    """The body of POST /api/alarms/<id>/close."""

    model_config = ConfigDict(extra="forbid")

    outcome: Outcome
    note: Annotated[str, Field(max_length=1000)] = ""


def alarm_body(alarm: ActiveAlarm, closed: CloseOut | None = None) -> dict[str, Any]:
    """An alarm that is not normal, and what was already found of it."""
    return {
        "id": alarm.alarm_id,
        "device": alarm.device_id,
        "kind": alarm.kind.value,
        "priority": alarm.priority.name.lower(),
        "state": alarm.state.value,
        "since": _milliseconds(alarm.since),
        "active": alarm.active,
        "began": _milliseconds(alarm.began_at),
        "raised": _milliseconds(alarm.raised_at),
        "why": alarm.why,
        "inspect": alarm.inspect,
        "contributions": [contribution_body(each) for each in alarm.contributions],
        "acknowledged_by": alarm.acknowledged_by,
        "shelved_until": _milliseconds(alarm.shelved_until),
        "shelved_by": alarm.shelved_by,
        "suppressed_by": list(alarm.suppressed_by),
        "out_of_service_by": alarm.out_of_service_by,
        "actions": list(alarm.actions),
        "outcome": None if closed is None else closed.outcome.value,
        "closed_by": None if closed is None else closed.who,
    }


def past_alarm_body(past: PastAlarm) -> dict[str, Any]:
    """One occurrence of the history, and what was said of it."""
    occurrence, closed = past.occurrence, past.close_out
    return {
        "id": occurrence.alarm_id,
        "device": occurrence.device_id,
        "kind": occurrence.kind.value,
        "priority": occurrence.priority.name.lower(),
        "raised": _milliseconds(occurrence.raised_at),
        "cleared": _milliseconds(occurrence.cleared_at),
        "ended": _milliseconds(occurrence.ended_at),
        "acknowledged_by": occurrence.acknowledged_by,
        "why": occurrence.why,
        "outcome": None if closed is None else closed.outcome.value,
        "note": "" if closed is None else closed.note,
        "closed_by": None if closed is None else closed.who,
    }


_ALARM = re.compile(r"alarm (\d+)")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+00:00")


def alarm_of(entry: AuditEntry) -> int | None:
    """The number of the alarm that somebody did something to."""
    found = _ALARM.fullmatch(entry.subject)
    return None if found is None else int(found[1])


def audit_row(entry: AuditEntry, alarm: PastAlarm | None) -> dict[str, Any]:
    """A line of the log as a person reads it: the alarm by its kind and device, and times apart from words."""
    device = entry.subject if entry.action.startswith("command") else None
    if alarm is not None:
        device = alarm.occurrence.device_id
    return {
        "at": entry.at,
        "who": entry.who,
        "action": entry.action,
        "subject": None if device == entry.subject else entry.subject,
        "kind": None if alarm is None else alarm.occurrence.kind.value,
        "device": device,
        "detail": _words_and_moments(entry.detail),
    }


def _words_and_moments(detail: str) -> list[str | datetime]:
    parts: list[str | datetime] = []
    begin = 0
    for found in _MOMENT.finditer(detail):
        parts += [detail[begin : found.start()], datetime.fromisoformat(found[0])]
        begin = found.end()
    return [*parts, detail[begin:]]


def contribution_body(part: Contribution) -> dict[str, Any]:
    """One signal's part in the decision."""
    return {
        "signal": part.signal,
        "value": part.value,
        "unit": part.unit,
        "usual": [part.usual_low, part.usual_high],
        "share": round(part.share, 4),
    }


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
