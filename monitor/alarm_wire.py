"""What the page is told of alarms, as JSON; times are milliseconds since 1970 UTC."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from monitor.alarms.desk import ActiveAlarm
from monitor.alarms.history import Outcome, PastAlarm
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


def alarm_body(alarm: ActiveAlarm) -> dict[str, Any]:
    """An alarm that is not normal, the most urgent first in a list of them."""
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
