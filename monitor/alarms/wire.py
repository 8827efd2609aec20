"""What is said of alarms outside: the retained body, the journal, drafts of work orders, lines of notifications."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from contract.alarm import (
    MAX_CONTRIBUTIONS,
    MAX_SENTENCE,
    Alarm,
    AlarmContribution,
    AlarmPriority,
    AlarmState,
    AlarmTransition,
)
from contract.timestamp import format_timestamp
from monitor.alarms.lifecycle import Record, Transition

_NOT_CONTENT = {"device_id", "time_stamp", "seq"}
_SOME_TIME = "1970-01-01T00:00:00.000Z"


def published_alarm(
    record: Record | None, priority: AlarmPriority | None, *, device_id: str, at: datetime, seq: int
) -> Alarm:
    """The body of fan/alarms/<deviceID>; without a record, that all is normal."""
    said_at = format_timestamp(at)
    if record is None:
        return Alarm(
            deviceID=device_id, timeStamp=said_at, seq=seq, state=AlarmState.NORMAL, since=said_at, active=0
        )
    largest = sorted(record.contributions, key=lambda each: -each.share)[:MAX_CONTRIBUTIONS]
    return Alarm(
        deviceID=device_id,
        timeStamp=said_at,
        seq=seq,
        state=record.state,
        since=format_timestamp(record.since),
        active=1 if record.active else 0,
        alarmID=record.alarm_id,
        kind=record.kind.value,
        priority=priority,
        raisedAt=None if record.raised_at is None else format_timestamp(record.raised_at),
        why=record.why[:MAX_SENTENCE],
        inspect=record.inspect[:MAX_SENTENCE],
        contributions=tuple(
            AlarmContribution(
                signal=each.signal,
                value=each.value,
                unit=each.unit,
                usualLow=each.usual_low,
                usualHigh=each.usual_high,
                share=each.share,
            )
            for each in largest
        ),
        acknowledgedBy=record.acknowledged_by,
        shelvedUntil=None if record.shelf is None else format_timestamp(record.shelf.until),
    )


def alarm_content(record: Record | None, priority: AlarmPriority | None) -> str:
    """The body without who, when and its number: what must differ for it to be worth saying again."""
    if record is None:
        return ""
    body = published_alarm(record, priority, device_id=record.device_id, at=record.since, seq=0)
    return body.model_dump_json(exclude=_NOT_CONTENT, exclude_none=True)


def published_transition(line: Transition, seq: int) -> AlarmTransition:
    """The body of fan/alarms/<deviceID>/journal."""
    return AlarmTransition(
        deviceID=line.device_id,
        timeStamp=format_timestamp(line.at),
        seq=seq,
        kind=line.kind.value,
        priority=line.priority,
        alarmID=line.alarm_id,
        before=line.before,
        state=line.after,
        cause=line.cause.value,
        called=1 if line.annunciates else 0,
        who=line.who,
        why=line.why[:MAX_SENTENCE],
    )


class Call(BaseModel):
    """One line of a notification."""

    model_config = ConfigDict(frozen=True)

    alarm_id: int
    device_id: str
    kind: str
    priority: int
    at: datetime
    why: str

    @classmethod
    def of(cls, line: Transition) -> Self:
        """What people are called for."""
        return cls(
            alarm_id=line.alarm_id or 0,
            device_id=line.device_id,
            kind=line.kind.value,
            priority=int(line.priority),
            at=line.at,
            why=line.why,
        )

    @property
    def sentence(self) -> str:
        """Who, since when, what."""
        priority = AlarmPriority(self.priority).name.lower()
        kind = self.kind.replace("_", " ")
        return f"[{priority}] {self.device_id}, {self.at:%Y-%m-%d %H:%M:%S} UTC, {kind}: {self.why}"


class WorkOrderDraft(BaseModel):
    """The body that is posted to a maintenance system: a draft, for a planner to complete."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    key: Annotated[
        str, Field(description="The same at every attempt, so that a repeated post makes no second order.")
    ]
    alarm_id: int = Field(alias="alarmID")
    device_id: str = Field(alias="deviceID")
    kind: str
    priority: Literal["high", "medium", "low"]
    raised_at: str = Field(alias="raisedAt")
    title: str
    why: str
    inspect: str

    @classmethod
    def of(cls, line: Transition, record: Record | None) -> Self:
        """The draft for an alarm that was just raised."""
        kind = line.kind.value.replace("_", " ")
        return cls(
            key=f"fanwatch-{line.device_id}-{line.alarm_id}-{int(line.at.timestamp())}",
            alarm_id=line.alarm_id or 0,
            device_id=line.device_id,
            kind=line.kind.value,
            priority=line.priority.name.lower(),
            raised_at=format_timestamp(line.at),
            title=f"{line.device_id}: {kind}",
            why=line.why,
            inspect="" if record is None else record.inspect,
        )
