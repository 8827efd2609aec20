"""What happened: occurrences and what technicians found, the journal, and the log of what people did."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from contract.alarm import AlarmPriority, AlarmState
from monitor.alarms.board import Changes
from monitor.alarms.database import AlarmDatabase, microseconds, moment_of
from monitor.alarms.lifecycle import Cause, Occurrence, Transition
from monitor.alarms.stored_record import contributions_from_json, contributions_to_json
from monitor.findings import FindingKind


class Outcome(StrEnum):
    """What a technician found an alarm to be."""

    REAL = "real"
    FALSE = "false"
    PLANNED = "planned"


@dataclass(frozen=True, slots=True)
class CloseOut:
    """What a technician said of an alarm."""

    outcome: Outcome
    note: str
    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PastAlarm:
    """One occurrence, going on or over, and what was said of it."""

    occurrence: Occurrence
    close_out: CloseOut | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that a person did."""

    number: int
    at: datetime
    who: str
    action: str
    subject: str
    detail: str


class AlarmHistory:
    """The past of the alarms, written once and never changed, a technician's word apart."""

    def __init__(self, database: AlarmDatabase) -> None:
        self._database = database

    def write(self, changes: Changes) -> None:
        """Write what happened in a step; inside a transaction."""
        self._database.run_many(
            "INSERT OR REPLACE INTO occurrence VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_occurrence_row(occurrence) for occurrence in changes.occurrences],
        )
        self._database.run_many(
            "INSERT INTO journal (alarm_id, device_id, kind, priority, at, before, after, cause, who, why) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_journal_row(line) for line in changes.transitions],
        )

    def occurrences(
        self, *, device_id: str | None = None, since: datetime | None = None, limit: int = -1
    ) -> list[PastAlarm]:
        """Occurrences, the newest first.

        Args:
            device_id: Of this device only.
            since: Those that were not over by then.
            limit: At most so many; all when negative.
        """
        rows = self._database.run(
            f"SELECT {_PAST} FROM occurrence LEFT JOIN close_out USING (alarm_id) "  # noqa: S608 - a constant
            "WHERE (?1 IS NULL OR device_id = ?1) AND (?2 IS NULL OR ended_at IS NULL OR ended_at >= ?2) "
            "ORDER BY raised_at DESC, alarm_id DESC LIMIT ?3",
            (device_id, None if since is None else microseconds(since), limit),
        )
        return [_past_alarm(row) for row in rows]

    def occurrence(self, alarm_id: int) -> PastAlarm | None:
        """The occurrence of that number."""
        row = self._database.run(
            f"SELECT {_PAST} FROM occurrence LEFT JOIN close_out USING (alarm_id) WHERE alarm_id = ?",  # noqa: S608
            (alarm_id,),
        ).fetchone()
        return None if row is None else _past_alarm(row)

    def closed_while_open(self) -> dict[int, CloseOut]:
        """What a technician said of occurrences that are not over yet, by their number."""
        rows = self._database.run(
            "SELECT alarm_id, outcome, note, close_out.who, close_out.at FROM close_out JOIN occurrence "
            "USING (alarm_id) WHERE ended_at IS NULL"
        )
        return {
            alarm_id: CloseOut(Outcome(outcome), str(note), str(who), moment_of(at))
            for alarm_id, outcome, note, who, at in rows
        }

    def closed(self) -> Iterator[PastAlarm]:
        """Every occurrence that a technician has closed, the oldest first."""
        rows = self._database.run(
            f"SELECT {_PAST} FROM occurrence JOIN close_out USING (alarm_id) ORDER BY began_at, alarm_id"  # noqa: S608
        )
        return (_past_alarm(row) for row in rows)

    def write_close_out(self, alarm_id: int, close_out: CloseOut) -> None:
        """Write what a technician said; a later word replaces an earlier one; inside a transaction."""
        self._database.run(
            "INSERT OR REPLACE INTO close_out VALUES (?, ?, ?, ?, ?)",
            (alarm_id, close_out.outcome.value, close_out.note, close_out.who, microseconds(close_out.at)),
        )

    def journal(
        self,
        *,
        device_id: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = -1,
    ) -> list[Transition]:
        """Lines of the journal in the order of their time; the newest, when limited."""
        rows = self._database.run(
            "SELECT alarm_id, device_id, kind, priority, at, before, after, cause, who, why FROM journal "
            "WHERE (?1 IS NULL OR device_id = ?1) AND (?2 IS NULL OR at >= ?2) AND (?3 IS NULL OR at < ?3) "
            "ORDER BY at DESC, number DESC LIMIT ?4",
            (
                device_id,
                None if start is None else microseconds(start),
                None if end is None else microseconds(end),
                limit,
            ),
        )
        return [_transition(row) for row in rows][::-1]

    def write_audit(self, at: datetime, who: str, action: str, subject: str, detail: str) -> None:
        """Write down what a person did; inside the transaction that does it."""
        self._database.run(
            "INSERT INTO audit (at, who, action, subject, detail) VALUES (?, ?, ?, ?, ?)",
            (microseconds(at), who, action, subject, detail),
        )

    def audit(self, limit: int = 200) -> list[AuditEntry]:
        """What people did, the newest first."""
        rows = self._database.run(
            "SELECT number, at, who, action, subject, detail FROM audit ORDER BY number DESC LIMIT ?",
            (limit,),
        )
        return [AuditEntry(number, moment_of(at), *rest) for number, at, *rest in rows]


_PAST = (
    "alarm_id, device_id, kind, priority, began_at, raised_at, cleared_at, ended_at, shown, acknowledged_by, "
    "why, inspect, contributions, outcome, note, close_out.who, close_out.at"
)

_Row = tuple[Any, ...]


def _occurrence_row(occurrence: Occurrence) -> _Row:
    return (
        occurrence.alarm_id,
        occurrence.device_id,
        occurrence.kind.value,
        int(occurrence.priority),
        microseconds(occurrence.began_at),
        microseconds(occurrence.raised_at),
        None if occurrence.cleared_at is None else microseconds(occurrence.cleared_at),
        None if occurrence.ended_at is None else microseconds(occurrence.ended_at),
        int(occurrence.shown),
        occurrence.acknowledged_by,
        occurrence.why,
        occurrence.inspect,
        contributions_to_json(occurrence.contributions),
    )


def _past_alarm(row: tuple[Any, ...]) -> PastAlarm:
    (alarm_id, device_id, kind, priority, began, raised, cleared, ended, shown, by, why, inspect, parts) = (
        row[:13]
    )
    outcome, note, who, at = row[13:]
    occurrence = Occurrence(
        alarm_id=alarm_id,
        device_id=str(device_id),
        kind=FindingKind(kind),
        priority=AlarmPriority(priority),
        began_at=moment_of(began),
        raised_at=moment_of(raised),
        cleared_at=None if cleared is None else moment_of(cleared),
        ended_at=None if ended is None else moment_of(ended),
        shown=bool(shown),
        acknowledged_by=None if by is None else str(by),
        why=str(why),
        inspect=str(inspect),
        contributions=contributions_from_json(str(parts)),
    )
    if outcome is None:
        return PastAlarm(occurrence, None)
    return PastAlarm(occurrence, CloseOut(Outcome(outcome), str(note), str(who), moment_of(at)))


def _journal_row(line: Transition) -> _Row:
    return (
        line.alarm_id,
        line.device_id,
        line.kind.value,
        int(line.priority),
        microseconds(line.at),
        line.before.value,
        line.after.value,
        line.cause.value,
        line.who,
        line.why,
    )


def _transition(row: tuple[Any, ...]) -> Transition:
    alarm_id, device_id, kind, priority, at, before, after, cause, who, why = row
    return Transition(
        alarm_id=None if alarm_id is None else alarm_id,
        device_id=str(device_id),
        kind=FindingKind(kind),
        priority=AlarmPriority(priority),
        at=moment_of(at),
        before=AlarmState(before),
        after=AlarmState(after),
        cause=Cause(cause),
        who=None if who is None else str(who),
        why=str(why),
    )
