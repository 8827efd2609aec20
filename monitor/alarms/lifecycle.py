"""The life cycle of one device's alarms: pure, told what happens and when, asked what changed.

Sources: ANSI/ISA-18.2-2016 (alarm state transition diagram, states A to I) and IEC 62682:2022. As in OPC UA Part 9, an
alarm is a few independent facts (is it active, who acknowledged it, is it latched, who hid it), and its state is read
off them. So no sequence of events can make a state that is none.

Hiding (shelf, suppression, out of service) changes what people are shown and nothing else: the cause and its delays go
on below it, and what was shown and never acknowledged is back in view when the hiding ends.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from contract.alarm import AlarmPriority, AlarmState
from monitor.alarms.policy import AlarmPolicy, Rule
from monitor.findings import Contribution, Finding, FindingKind

HIDDEN = frozenset({AlarmState.SHELVED, AlarmState.SUPPRESSED, AlarmState.OUT_OF_SERVICE})
UNANSWERED = frozenset({AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED, AlarmState.LATCHED_UNACKNOWLEDGED})
_NOT_SHELVED = frozenset({AlarmState.NORMAL, AlarmState.SUPPRESSED, AlarmState.OUT_OF_SERVICE})

_BEGINNING = datetime.min.replace(tzinfo=UTC)


class NotPossible(ValueError):  # noqa: N818 - it names the thing, as in "acknowledging is not possible"
    """What a person asked for does not fit the alarm's state; the sentence says why."""


class Cause(StrEnum):
    """What made an alarm change."""

    RAISED = "raised"
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"
    RESET = "reset"
    CLOSED = "closed"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    SHELF_EXPIRED = "shelf_expired"
    SUPPRESSED = "suppressed"
    RELEASED = "released"
    TAKEN_OUT = "taken_out_of_service"
    RETURNED = "returned_to_service"


@dataclass(frozen=True, slots=True)
class Shelf:
    """Put aside by a person, until a time."""

    until: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Window:
    """A maintenance window of one device: from start until before end."""

    number: int
    start: datetime
    end: datetime


@dataclass(slots=True)
class Record:
    """What is known of one kind of alarm on one device."""

    device_id: str
    kind: FindingKind
    condition: bool = False
    """What the newest finding says; the delays decide when it counts."""
    changed_at: datetime = _BEGINNING
    """Since when the newest finding says so."""
    active: bool = False
    alarm_id: int | None = None
    """Names the newest occurrence."""
    open: bool = False
    """Whether that occurrence is going on."""
    began_at: datetime | None = None
    """Since when its cause was there, before the on-delay."""
    raised_at: datetime | None = None
    cleared_at: datetime | None = None
    ended_at: datetime | None = None
    shown: bool = False
    """Whether people have been shown this occurrence: it was not hidden all the time."""
    acknowledged_by: str | None = None
    latched: bool = False
    closed: bool = False
    shelf: Shelf | None = None
    suppressed_by: tuple[str, ...] = ()
    out_of_service_by: str | None = None
    why: str = ""
    inspect: str = ""
    contributions: tuple[Contribution, ...] = ()
    state: AlarmState = AlarmState.NORMAL
    since: datetime = _BEGINNING

    def read_state(self) -> AlarmState:  # noqa: PLR0911 - one line for each state
        """The state that the facts amount to."""
        if self.out_of_service_by is not None:
            return AlarmState.OUT_OF_SERVICE
        if self.suppressed_by and self.open:
            return AlarmState.SUPPRESSED
        if self.shelf is not None:
            return AlarmState.SHELVED
        if not self.open:
            return AlarmState.NORMAL
        known = self.acknowledged_by is not None
        if self.active:
            return AlarmState.ACKNOWLEDGED if known else AlarmState.UNACKNOWLEDGED
        if self.latched:
            return AlarmState.LATCHED_ACKNOWLEDGED if known else AlarmState.LATCHED_UNACKNOWLEDGED
        return AlarmState.RETURNED

    def urgency(self, priority: AlarmPriority) -> tuple[bool, bool, int, bool, datetime, str, str]:
        """Sorts the most urgent first: in view, active, by priority, not yet acknowledged, oldest; then by name.

        The names decide between what began at one moment, so that it is the same one after a restart.
        """
        return (
            self.state in HIDDEN or self.state is AlarmState.NORMAL,
            not self.active,
            priority,
            self.acknowledged_by is not None,
            self.since,
            self.device_id,
            self.kind.value,
        )

    def possible_actions(self) -> tuple[str, ...]:
        """What a person may do with it now, by the name of the step."""
        at_hand = {
            "acknowledge": self.state in UNANSWERED,
            "reset": self.state is AlarmState.LATCHED_ACKNOWLEDGED,
            "close": self.open,
            "shelve": self.state not in _NOT_SHELVED,
            "unshelve": self.shelf is not None,
            "return_to_service": self.out_of_service_by is not None,
        }
        return tuple(name for name, possible in at_hand.items() if possible)

    @property
    def trivial(self) -> bool:
        """Whether forgetting it loses nothing."""
        return not (
            self.condition or self.active or self.open or self.shelf is not None or self.out_of_service_by
        )


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that an alarm was raised, from then until it is over."""

    alarm_id: int
    device_id: str
    kind: FindingKind
    priority: AlarmPriority
    began_at: datetime
    """Since when its cause was there, before the on-delay."""
    raised_at: datetime
    cleared_at: datetime | None
    """Since when its cause is gone, after the off-delay; None while it is there."""
    ended_at: datetime | None
    """When it was over: its cause gone, answered, and held by nothing."""
    shown: bool
    acknowledged_by: str | None
    why: str
    inspect: str
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True)
class Transition:
    """One line of the journal."""

    alarm_id: int | None
    device_id: str
    kind: FindingKind
    priority: AlarmPriority
    at: datetime
    before: AlarmState
    after: AlarmState
    cause: Cause
    who: str | None
    why: str

    @property
    def annunciates(self) -> bool:
        """Whether people are called: it is now active, in view and unacknowledged, and was not before."""
        return self.after is AlarmState.UNACKNOWLEDGED and self.before is not AlarmState.UNACKNOWLEDGED


@dataclass(slots=True)
class DeviceAlarms:
    """Every alarm of one device, on one time that never runs backwards.

    An event that is told late counts from the device's newest event on. All methods add what happened to
    ``transitions``, ``occurrences`` and ``touched`` (the kinds whose record changed or went); the caller takes them.
    """

    device_id: str
    policy: AlarmPolicy
    next_id: Callable[[], int]
    records: dict[FindingKind, Record] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)
    stopped: bool = False
    now: datetime = _BEGINNING
    transitions: list[Transition] = field(default_factory=list)
    occurrences: dict[int, Occurrence] = field(default_factory=dict)
    touched: set[FindingKind] = field(default_factory=set)

    @property
    def trivial(self) -> bool:
        """Whether forgetting the device loses nothing."""
        return not (self.records or self.windows or self.stopped)

    def next_deadline(self) -> datetime | None:
        """When something happens without an event: a delay is over, a shelf expires, a window begins or ends."""
        return min(self._deadlines(), default=None)

    def advance(self, at: datetime) -> None:
        """Let everything happen that is due until then, each at its own time."""
        while (due := self.next_deadline()) is not None and due <= at:
            self._happen(max(due, self.now))
        self.now = max(self.now, at)

    # -- what the diagnosis says ---------------------------------------------------------------------

    def observe(self, finding: Finding) -> None:
        """Something is, or is no longer, the case; the same said twice changes nothing but its words."""
        self.advance(finding.at)
        record = self.records.get(finding.kind)
        if record is None:
            if not finding.present:
                return
            record = self.records[finding.kind] = Record(self.device_id, finding.kind)
        if finding.present:
            said = (finding.why, finding.inspect, finding.contributions)
            if said != (record.why, record.inspect, record.contributions):
                record.why, record.inspect, record.contributions = said
                self._touch(record)
        if record.condition != finding.present:
            record.condition, record.changed_at = finding.present, self.now
            self.touched.add(finding.kind)
            self._settle_all()
            self.advance(self.now)  # a delay of zero is over
        self._forget_trivial()

    def set_stopped(self, stopped: bool, at: datetime) -> None:
        """The machine stands still, as planned, or runs again."""
        self.advance(at)
        if stopped != self.stopped:
            self.stopped = stopped
            self._settle_all()

    def add_window(self, window: Window, at: datetime) -> None:
        """Maintenance is planned."""
        self.advance(at)
        self.windows.append(window)
        self._settle_all()

    def remove_window(self, number: int, at: datetime) -> None:
        """Maintenance is over, or will not be."""
        self.advance(at)
        self.windows = [window for window in self.windows if window.number != number]
        self._settle_all()

    # -- what people say -----------------------------------------------------------------------------

    def acknowledge(self, kind: FindingKind, who: str, at: datetime) -> None:
        """Somebody knows.

        Raises:
            NotPossible: It is acknowledged already, hidden, or there is no alarm.
        """
        record = self._record(kind, at)
        if record.state not in UNANSWERED:
            raise NotPossible(self._cannot("be acknowledged", record))
        record.acknowledged_by = who
        self._answered(record, Cause.ACKNOWLEDGED, who)

    def reset(self, kind: FindingKind, who: str, at: datetime) -> None:
        """Let go of a latched alarm.

        Raises:
            NotPossible: It is not latched, or not acknowledged yet.
        """
        record = self._record(kind, at)
        if record.state is not AlarmState.LATCHED_ACKNOWLEDGED:
            raise NotPossible(self._cannot("be reset", record))
        record.latched = False
        self._answered(record, Cause.RESET, who)

    def close(self, kind: FindingKind, who: str, at: datetime) -> None:
        """Somebody has been there and says what it was: acknowledged, and not latched any more.

        While its cause is there it stays in view, acknowledged; an alarm that is active cannot be closed away.

        Raises:
            NotPossible: There is no alarm.
        """
        record = self._record(kind, at)
        if not record.open:
            raise NotPossible(self._cannot("be closed", record))
        record.acknowledged_by = record.acknowledged_by or who
        record.closed, record.latched = True, False
        self._answered(record, Cause.CLOSED, who)

    def shelve(self, kind: FindingKind, who: str, until: datetime, at: datetime) -> None:
        """Put an alarm aside for a while; shelving it again changes the time.

        Raises:
            NotPossible: There is no alarm, logic or a person hides it already, or the time is not in the allowed span.
        """
        record = self._record(kind, at)
        if not self.now < until <= self.now + self.policy.longest_shelf:
            raise NotPossible(
                f"shelving until {until:%Y-%m-%d %H:%M:%S} is not possible: expected a time from now on, "
                f"at most {self.policy.longest_shelf} ahead"
            )
        if record.state in _NOT_SHELVED:
            raise NotPossible(self._cannot("be shelved", record))
        record.shelf = Shelf(until, who)
        self._answered(record, Cause.SHELVED, who)

    def unshelve(self, kind: FindingKind, who: str, at: datetime) -> None:
        """Take an alarm back before its time.

        Raises:
            NotPossible: It is not shelved.
        """
        record = self._record(kind, at)
        if record.shelf is None:
            raise NotPossible(self._cannot("be taken off the shelf", record))
        record.shelf = None
        self._answered(record, Cause.UNSHELVED, who)

    def take_out_of_service(self, kind: FindingKind, who: str, at: datetime) -> None:
        """Take this kind of alarm away from this device, until somebody returns it.

        Raises:
            NotPossible: It is out of service already.
        """
        self.advance(at)
        record = self.records.setdefault(kind, Record(self.device_id, kind))
        if record.out_of_service_by is not None:
            raise NotPossible(self._cannot("be taken out of service", record))
        record.out_of_service_by = who
        self._answered(record, Cause.TAKEN_OUT, who)

    def return_to_service(self, kind: FindingKind, who: str, at: datetime) -> None:
        """Give it back.

        Raises:
            NotPossible: It is not out of service.
        """
        record = self._record(kind, at)
        if record.out_of_service_by is None:
            raise NotPossible(self._cannot("be returned to service", record))
        record.out_of_service_by = None
        self._answered(record, Cause.RETURNED, who)

    # -- how --------------------------------------------------------------------------------------------

    def _deadlines(self) -> Iterator[datetime]:
        for record in self.records.values():
            if record.condition != record.active:
                rule = self.policy.rules[record.kind]
                yield record.changed_at + (rule.on_delay if record.condition else rule.off_delay)
            if record.shelf is not None:
                yield record.shelf.until
        for window in self.windows:
            yield window.start if window.start > self.now else window.end

    def _happen(self, at: datetime) -> None:
        """Let happen what is due at this very moment."""
        self.now = at
        self.windows = [window for window in self.windows if window.end > at]
        self._settle_all()
        for record in list(self.records.values()):
            rule = self.policy.rules[record.kind]
            if record.shelf is not None and record.shelf.until <= at:
                record.shelf = None
                self._settle(record, Cause.SHELF_EXPIRED, always=True)
            if record.condition and not record.active and record.changed_at + rule.on_delay <= at:
                self._raise(record)
            elif record.active and not record.condition and record.changed_at + rule.off_delay <= at:
                self._clear(record, rule)
        self._settle_all()
        self._forget_trivial()

    def _raise(self, record: Record) -> None:
        record.active = True
        record.acknowledged_by = None
        if not record.open:
            record.alarm_id, record.open = self.next_id(), True
            record.shown = record.closed = record.latched = False
            record.began_at, record.raised_at = record.changed_at, self.now
            record.ended_at = None
        record.cleared_at = None
        self._settle(record, Cause.RAISED, always=True)

    def _clear(self, record: Record, rule: Rule) -> None:
        record.active, record.cleared_at = False, self.now
        record.latched = rule.latching and record.shown and not record.closed
        self._end_if_resolved(record)
        self._settle(record, Cause.CLEARED, always=True)

    @staticmethod
    def _end_if_resolved(record: Record) -> None:
        """An occurrence is over when its cause is gone, nothing holds it and whoever was shown it knows."""
        answered = record.acknowledged_by is not None or not record.shown
        if not record.active and not record.latched and answered:
            record.open = False

    def _answered(self, record: Record, cause: Cause, who: str) -> None:
        self._end_if_resolved(record)
        self._settle(record, cause, who, always=True)
        self._forget_trivial()

    def _settle_all(self) -> None:
        """Something that suppresses came or went."""
        for record in list(self.records.values()):
            self._settle(record, Cause.SUPPRESSED)

    def _settle(self, record: Record, cause: Cause, who: str | None = None, *, always: bool = False) -> None:
        """Read the state off the facts, and write a change down; always, if something happened below the state."""
        suppressed_by = tuple(self._suppressions(record))
        if suppressed_by != record.suppressed_by:
            record.suppressed_by = suppressed_by
            self._touch(record)
        state, before = record.read_state(), record.state
        if state == before and not always:
            return
        if state is AlarmState.UNACKNOWLEDGED or state is AlarmState.ACKNOWLEDGED:
            record.shown = True
        if cause is Cause.SUPPRESSED and state is not AlarmState.SUPPRESSED:
            cause = Cause.RELEASED
        if state != before:
            record.state, record.since = state, self.now
        self._touch(record)
        self.transitions.append(
            Transition(
                alarm_id=record.alarm_id,
                device_id=self.device_id,
                kind=record.kind,
                priority=self.policy.rules[record.kind].priority,
                at=self.now,
                before=before,
                after=state,
                cause=cause,
                who=who,
                why=record.why,
            )
        )

    def _touch(self, record: Record) -> None:
        self.touched.add(record.kind)
        if record.alarm_id is None or record.began_at is None or record.raised_at is None:
            return
        if not record.open:
            if record.ended_at is not None:
                return  # it was written down when it ended; what comes now belongs to the next one
            record.ended_at = self.now
        self.occurrences[record.alarm_id] = Occurrence(
            alarm_id=record.alarm_id,
            device_id=self.device_id,
            kind=record.kind,
            priority=self.policy.rules[record.kind].priority,
            began_at=record.began_at,
            raised_at=record.raised_at,
            cleared_at=record.cleared_at,
            ended_at=record.ended_at,
            shown=record.shown,
            acknowledged_by=record.acknowledged_by,
            why=record.why,
            inspect=record.inspect,
            contributions=record.contributions,
        )

    def _suppressions(self, record: Record) -> Iterator[str]:
        rule = self.policy.rules[record.kind]
        if any(window.start <= self.now < window.end for window in self.windows):
            yield "maintenance"
        if record.shown and record.open:
            return
        if self.stopped and rule.suppressed_when_stopped:
            yield "stopped"
        for other in sorted(rule.suppressed_by):
            broken = self.records.get(other)
            if broken is not None and (broken.condition or broken.active):
                yield other.value

    def _record(self, kind: FindingKind, at: datetime) -> Record:
        self.advance(at)
        record = self.records.get(kind)
        if record is None:
            raise NotPossible(f"device {self.device_id} has no alarm {kind.value} any more")
        return record

    def _forget_trivial(self) -> None:
        for kind in [kind for kind, record in self.records.items() if record.trivial]:
            del self.records[kind]
            self.touched.add(kind)

    @staticmethod
    def _cannot(wish: str, record: Record) -> str:
        known = f" by {record.acknowledged_by}" if record.state is AlarmState.ACKNOWLEDGED else ""
        return (
            f"alarm {record.kind.value} of device {record.device_id} cannot {wish}: "
            f"it is {record.state.value.replace('_', ' ')}{known}"
        )
