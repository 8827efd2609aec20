"""The desk that everybody comes to: the diagnosis with findings, people with answers, the page with questions.

Each step is one transaction: the alarms, the journal, the audit log and what must go out of it are on the disk when a
method returns, so a message may be acknowledged to the broker after ``on_findings`` and not before.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from contract.alarm import AlarmPriority, AlarmState
from monitor.alarms.board import AlarmBoard, Changes, NoSuchAlarm
from monitor.alarms.database import AlarmDatabase
from monitor.alarms.figures import Counts
from monitor.alarms.history import AlarmHistory, AuditEntry, CloseOut, Outcome, PastAlarm
from monitor.alarms.intake_store import IntakeStore
from monitor.alarms.lifecycle import HIDDEN, DeviceAlarms, NotPossible, Record, Transition
from monitor.alarms.outbox import JOURNAL, PUBLISH, WORK_ORDER, Outbox, notify_channel
from monitor.alarms.policy import AlarmPolicy
from monitor.alarms.quality import QualityReport, assess
from monitor.alarms.store import AlarmStore, PlannedMaintenance
from monitor.alarms.wire import Call, WorkOrderDraft, alarm_content, published_alarm, published_transition
from monitor.clock import Clock
from monitor.findings import Contribution, Finding, FindingKind
from monitor.intake import Kept, Step

_LOG = structlog.get_logger()
_WHO = re.compile(r"[^\x00-\x1f\x7f]{1,64}")
_MAX_NOTE = 1000


@dataclass(frozen=True, slots=True)
class ModeChange:
    """A machine came to a planned standstill, or runs again; at is aware, in UTC."""

    device_id: str
    stopped: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class ActiveAlarm:
    """An alarm that is not normal, and what a person may do with it now."""

    alarm_id: int | None
    device_id: str
    kind: FindingKind
    priority: AlarmPriority
    state: AlarmState
    since: datetime
    active: bool
    began_at: datetime | None
    raised_at: datetime | None
    why: str
    inspect: str
    contributions: tuple[Contribution, ...]
    acknowledged_by: str | None
    shelved_until: datetime | None
    shelved_by: str | None
    suppressed_by: tuple[str, ...]
    out_of_service_by: str | None
    actions: tuple[str, ...]
    """Names of this desk's methods that fit: acknowledge, reset, close, shelve, unshelve, return_to_service."""


class AlarmDesk:
    """Alarms of a fleet, with their store.

    Args:
        database: Used by this desk alone; others open their own.
        policy: How findings become alarms, and who is told.
        clock: Says when people act and what is due.

    Every method may be called from any thread. Methods that change something raise StoreError when the disk did not
    take it; then nothing has changed, in memory neither.
    """

    def __init__(self, database: AlarmDatabase, policy: AlarmPolicy, clock: Clock) -> None:
        self._database = database
        self._store = AlarmStore(database)
        self._history = AlarmHistory(database)
        self._outbox = Outbox(database)
        self._intake = IntakeStore(database)
        self._policy = policy
        self._clock = clock
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._loaded: AlarmBoard | None = self._load()

    @property
    def policy(self) -> AlarmPolicy:
        """How findings become alarms."""
        return self._policy

    def listen(self, listener: Callable[[], None]) -> None:
        """Be called after each commit; quickly, and from any thread."""
        self._listeners.append(listener)

    # -- the diagnosis ----------------------------------------------------------------------------------

    def on_findings(
        self,
        findings: Iterable[Finding],
        modes: Iterable[ModeChange] = (),
        intake: Step | None = None,
    ) -> None:
        """Take what a batch of messages amounts to, in one commit; where there is nothing to write there is none.

        Args:
            findings: In any order; each counts from its own time, and none from a time that has not come.
            modes: Machines that came to a planned standstill or run again.
            intake: What the diagnosis wants to have back after a restart.
        """
        # At one moment, standstill and sensor faults before what they keep from being raised.
        events: list[tuple[datetime, int, ModeChange | Finding]] = [
            *((mode.at, 0, mode) for mode in modes),
            *((each.at, 1 if each.kind.is_sensor_fault else 2, each) for each in findings),
        ]
        if not events and intake is None:
            return
        events.sort(key=lambda event: event[:2])
        with self._step() as (board, now):
            stopped: dict[str, bool] = {}
            for _, _, event in events:
                at = min(event.at, now)
                if isinstance(event, Finding):
                    board.observe(event if event.at <= now else replace(event, at=at))
                else:
                    stopped[event.device_id] = event.stopped
                    board.on_device(event.device_id, _stop(event.stopped, at))
            board.advance(now)
            changes = board.take_changes()
            if changes or intake or stopped:
                with self._database.transaction():
                    self._write(board, changes, now)
                    for device_id, is_stopped in stopped.items():
                        self._store.write_stopped(device_id, is_stopped)
                    if intake is not None:
                        self._intake.write(intake)
        if changes:
            self._tell(changes)

    def tick(self, now: datetime | None = None) -> None:
        """Let happen what is due; costs nothing when nothing is."""
        with self._step() as (board, clock_now):
            now = now or clock_now
            due = board.next_deadline()
            if due is None or due > now:
                return
            board.advance(now)
            changes = board.take_changes()
            with self._database.transaction():
                self._write(board, changes, now)
        self._tell(changes)

    def next_deadline(self) -> datetime | None:
        """Until when a service may sleep: before it, nothing happens without an event; None for ever."""
        with self._step() as (board, _):
            return board.next_deadline()

    @contextmanager
    def kept(self) -> Iterator[Kept]:
        """What the diagnosis wanted to have back, to be read while the context lasts."""
        with AlarmDatabase(self._database.path, read_only=True) as reader:
            yield IntakeStore(reader).kept()

    # -- people -----------------------------------------------------------------------------------------
    #
    # Each of these is written to the audit log in the transaction that does it. They raise
    #   NoSuchAlarm: the number names no alarm that is going on;
    #   NotPossible: it does not fit the alarm's state, and why;
    #   ValueError: a name, note or time is not of the form that is expected.

    def acknowledge(self, alarm_id: int, who: str) -> None:
        """Somebody knows of the alarm."""
        self._by_hand(
            who, "acknowledge", f"alarm {alarm_id}", "", self._on_alarm(alarm_id, _acknowledge(who))
        )

    def reset(self, alarm_id: int, who: str) -> None:
        """Let go of a latched alarm."""
        self._by_hand(who, "reset", f"alarm {alarm_id}", "", self._on_alarm(alarm_id, _reset(who)))

    def shelve(self, alarm_id: int, who: str, until: datetime) -> None:
        """Put an alarm aside until an aware time, at most the policy's longest shelf ahead."""
        _check_aware(until)
        step = self._on_alarm(alarm_id, _shelve(who, until))
        self._by_hand(who, "shelve", f"alarm {alarm_id}", f"until {until.isoformat()}", step)

    def unshelve(self, alarm_id: int, who: str) -> None:
        """Take an alarm back before its time."""
        self._by_hand(who, "unshelve", f"alarm {alarm_id}", "", self._on_alarm(alarm_id, _unshelve(who)))

    def close(self, alarm_id: int, who: str, outcome: Outcome | str, note: str = "") -> None:
        """Say what an alarm was, while it is going on or later; a later word corrects an earlier one.

        What is going on is acknowledged by it and let go of; while its cause is there it stays in view.
        """
        found = CloseOut(Outcome(outcome), _checked_note(note), who, self._now())

        def step(board: AlarmBoard, now: datetime) -> None:
            record = board.record_of(alarm_id)
            if record is not None and record.open:
                board.on_alarm(alarm_id, lambda device, kind: device.close(kind, who, now))
            elif self._history.occurrence(alarm_id) is None:
                raise NoSuchAlarm(f"alarm {alarm_id} never was")
            self._history.write_close_out(alarm_id, found)

        self._by_hand(who, "close", f"alarm {alarm_id}", f"{found.outcome.value}: {found.note}", step)

    def take_out_of_service(self, device_id: str, kind: FindingKind | str, who: str, note: str = "") -> None:
        """Take one kind of alarm away from one device, until somebody returns it."""
        which = FindingKind(kind)

        def step(board: AlarmBoard, now: datetime) -> None:
            board.on_device(device_id, lambda device: device.take_out_of_service(which, who, now))

        self._by_hand(who, "take out of service", f"{device_id} {which.value}", _checked_note(note), step)

    def return_to_service(self, device_id: str, kind: FindingKind | str, who: str) -> None:
        """Give one kind of alarm back to one device."""
        which = FindingKind(kind)

        def step(board: AlarmBoard, now: datetime) -> None:
            board.on_device(device_id, lambda device: device.return_to_service(which, who, now))

        self._by_hand(who, "return to service", f"{device_id} {which.value}", "", step)

    def plan_maintenance(
        self, device_id: str, who: str, start: datetime, end: datetime, note: str = ""
    ) -> int:
        """Keep every alarm of a device from view between two aware times.

        Returns:
            The number by which it is cancelled.

        Raises:
            ValueError: It would end before it begins, or has ended.
        """
        _check_aware(start)
        _check_aware(end)
        if not max(start, self._now()) < end:
            raise ValueError(
                f"maintenance from {start} to {end}: expected an end after its start, in the future"
            )
        numbers: list[int] = []

        def step(board: AlarmBoard, now: datetime) -> None:
            window = self._store.add_maintenance(device_id, start, end, who, _checked_note(note))
            numbers.append(window.number)
            board.on_device(device_id, lambda device: device.add_window(window, now))

        detail = f"{start.isoformat()} to {end.isoformat()}: {note}"
        self._by_hand(who, "plan maintenance", device_id, detail, step)
        return numbers[0]

    def cancel_maintenance(self, number: int, who: str) -> None:
        """Take a maintenance window back, or end it now.

        Raises:
            NoSuchAlarm: There is no window of that number.
        """

        def step(board: AlarmBoard, now: datetime) -> None:
            device_id = self._store.remove_maintenance(number)
            if device_id is None:
                raise NoSuchAlarm(f"there is no maintenance window {number}")
            board.on_device(device_id, lambda device: device.remove_window(number, now))

        self._by_hand(who, "cancel maintenance", f"window {number}", "", step)

    def write_audit(self, who: str, action: str, subject: str, detail: str = "") -> None:
        """Write down what a person did elsewhere: signed in, broke a simulated fan."""
        self._by_hand(who, action, subject, _checked_note(detail), lambda _board, _now: None)

    # -- questions --------------------------------------------------------------------------------------

    def active(self) -> tuple[ActiveAlarm, ...]:
        """Every alarm that is not normal, the most urgent first; hidden ones last."""
        with self._step() as (board, _):
            return tuple(self._view(record) for record in board.records())

    def counts(self) -> Counts:
        """How many alarms there are, by priority."""
        with self._step() as (board, _):
            records = board.records()
        hidden = sum(record.state in HIDDEN for record in records)
        shown = [record for record in records if record.active and record.state not in HIDDEN]
        return Counts(
            active=Counter(self._policy.rules[record.kind].priority for record in shown),
            unacknowledged=Counter(
                self._policy.rules[record.kind].priority
                for record in shown
                if record.state is AlarmState.UNACKNOWLEDGED
            ),
            hidden=hidden,
        )

    def state_of(self, alarm_id: int) -> AlarmState:
        """The state of the alarm of that number; normal when it is over."""
        with self._step() as (board, _):
            record = board.record_of(alarm_id)
            return AlarmState.NORMAL if record is None else record.state

    def history(self, device_id: str | None = None, limit: int = 100) -> list[PastAlarm]:
        """Occurrences of a device, or of all, the newest first."""
        with AlarmDatabase(self._database.path, read_only=True) as reader:
            return AlarmHistory(reader).occurrences(device_id=device_id, limit=limit)

    def occurrences(self, alarm_ids: Iterable[int]) -> dict[int, PastAlarm]:
        """Occurrences by their number; one that never was is left out."""
        with AlarmDatabase(self._database.path, read_only=True) as reader:
            found = {alarm_id: AlarmHistory(reader).occurrence(alarm_id) for alarm_id in set(alarm_ids)}
        return {alarm_id: past for alarm_id, past in found.items() if past is not None}

    def closed_while_open(self) -> dict[int, CloseOut]:
        """What was said of alarms that are going on, by their number."""
        with AlarmDatabase(self._database.path, read_only=True) as reader:
            return AlarmHistory(reader).closed_while_open()

    def journal(self, device_id: str | None = None, limit: int = 200) -> list[Transition]:
        """The newest lines of the journal, in the order of their time."""
        with AlarmDatabase(self._database.path, read_only=True) as reader:
            return AlarmHistory(reader).journal(device_id=device_id, limit=limit)

    def report(self, window: timedelta, operators: int = 1) -> QualityReport:
        """How good the alarms of the last while were."""
        end = self._now()
        with AlarmDatabase(self._database.path, read_only=True) as reader:
            return assess(
                AlarmHistory(reader).journal(start=end - window, end=end),
                AlarmHistory(reader).occurrences(since=end - window),
                start=end - window,
                end=end,
                operators=operators,
            )

    def maintenance(self) -> list[PlannedMaintenance]:
        """Maintenance windows that are not over."""
        with AlarmDatabase(self._database.path, read_only=True) as reader:
            return AlarmStore(reader).maintenance(self._now())

    def in_maintenance(self) -> frozenset[str]:
        """Devices whose planned maintenance goes on now; cheap enough to be asked with each batch."""
        with self._step() as (board, now):
            return board.in_maintenance(now)

    def audit_log(self, limit: int = 200) -> list[AuditEntry]:
        """What people did, the newest first."""
        with AlarmDatabase(self._database.path, read_only=True) as reader:
            return AlarmHistory(reader).audit(limit)

    # -- how --------------------------------------------------------------------------------------------

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def _load(self) -> AlarmBoard:
        board = AlarmBoard(self._policy, self._store.next_alarm_id())
        board.restore(self._store.records(), self._store.device_states(self._now()))
        return board

    @contextmanager
    def _step(self) -> Iterator[tuple[AlarmBoard, datetime]]:
        """The alarms, for one step. After an error memory is what the disk has, and never ahead of it."""
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            board, self._loaded = self._loaded, None
            try:
                yield board, self._now()
                self._loaded = board
            except (NotPossible, NoSuchAlarm):
                self._loaded = board  # refused before anything was done
                raise

    def _by_hand(
        self, who: str, action: str, subject: str, detail: str, step: Callable[[AlarmBoard, datetime], None]
    ) -> None:
        if not _WHO.fullmatch(who):
            raise ValueError(f"name {who[:80]!r}: expected 1 to 64 printable characters")
        with self._step() as (board, now):
            board.advance(now)
            due = board.take_changes()
            if due:  # it has happened, and stays when this is refused
                with self._database.transaction():
                    self._write(board, due, now)
            with self._database.transaction():
                step(board, now)
                changes = board.take_changes()
                self._write(board, changes, now)
                self._history.write_audit(now, who, action, subject, detail)
        _LOG.info("alarm_action", who=who, action=action, subject=subject)
        self._tell(due)
        self._tell(changes)

    @staticmethod
    def _on_alarm(
        alarm_id: int, step: Callable[[DeviceAlarms, FindingKind, datetime], None]
    ) -> Callable[[AlarmBoard, datetime], None]:
        return lambda board, now: board.on_alarm(alarm_id, lambda device, kind: step(device, kind, now))

    def _write(self, board: AlarmBoard, changes: Changes, now: datetime) -> None:
        """Everything that a step changed and made, inside its transaction."""
        self._store.write(changes)
        self._history.write(changes)
        newest: dict[str, datetime] = {line.device_id: line.at for line in changes.transitions}
        for device in changes.devices:
            self._say(board, device.device_id, newest.get(device.device_id, now))
        for line in changes.transitions:
            body = published_transition(line, self._outbox.next_number()).to_json().decode()
            self._outbox.post(JOURNAL, line.device_id, line.alarm_id, body, line.at)
            if not line.annunciates or line.alarm_id is None:
                continue
            if line.priority <= self._policy.notified:
                call = Call.of(line).model_dump_json()
                for number in range(self._policy.destinations):
                    self._outbox.post(notify_channel(number), line.device_id, line.alarm_id, call, now)
            if self._policy.work_orders and self._policy.rules[line.kind].work_order:
                self._draft(board, line, now)

    def _say(self, board: AlarmBoard, device_id: str, at: datetime) -> None:
        """Publish the device's most urgent alarm, if it is not what was said last."""
        record = board.most_urgent(device_id)
        priority = None if record is None else self._policy.rules[record.kind].priority
        content = alarm_content(record, priority)
        said = self._outbox.said(device_id)
        if content == (said[1] if said else alarm_content(None, None)):
            return
        at = max(at, said[0]) if said else at
        number = self._outbox.next_number()
        body = published_alarm(record, priority, device_id=device_id, at=at, seq=number)
        self._outbox.write_said(device_id, at, content)
        self._outbox.post(PUBLISH, device_id, None, body.to_json().decode(), at)

    def _draft(self, board: AlarmBoard, line: Transition, now: datetime) -> None:
        if line.alarm_id is None or not self._outbox.draft_once(
            line.alarm_id, line.device_id, now, self._policy.work_order_cooldown
        ):
            return
        record = board.record_of(line.alarm_id)
        draft = WorkOrderDraft.of(line, record).model_dump_json(by_alias=True)
        self._outbox.post(WORK_ORDER, line.device_id, line.alarm_id, draft, now)

    def _tell(self, changes: Changes) -> None:
        for line in changes.transitions:
            if line.annunciates:
                _LOG.info(
                    "alarm_raised",
                    alarm=line.alarm_id,
                    device=line.device_id,
                    kind=line.kind.value,
                    priority=line.priority.name.lower(),
                    why=line.why,
                )
        for listener in self._listeners:
            listener()

    def _view(self, record: Record) -> ActiveAlarm:
        return ActiveAlarm(
            alarm_id=record.alarm_id,
            device_id=record.device_id,
            kind=record.kind,
            priority=self._policy.rules[record.kind].priority,
            state=record.state,
            since=record.since,
            active=record.active,
            began_at=record.began_at,
            raised_at=record.raised_at,
            why=record.why,
            inspect=record.inspect,
            contributions=record.contributions,
            acknowledged_by=record.acknowledged_by,
            shelved_until=None if record.shelf is None else record.shelf.until,
            shelved_by=None if record.shelf is None else record.shelf.by,
            suppressed_by=record.suppressed_by,
            out_of_service_by=record.out_of_service_by,
            actions=record.possible_actions(),
        )


def _acknowledge(who: str) -> Callable[[DeviceAlarms, FindingKind, datetime], None]:
    return lambda device, kind, now: device.acknowledge(kind, who, now)


def _reset(who: str) -> Callable[[DeviceAlarms, FindingKind, datetime], None]:
    return lambda device, kind, now: device.reset(kind, who, now)


def _shelve(who: str, until: datetime) -> Callable[[DeviceAlarms, FindingKind, datetime], None]:
    return lambda device, kind, now: device.shelve(kind, who, until, now)


def _unshelve(who: str) -> Callable[[DeviceAlarms, FindingKind, datetime], None]:
    return lambda device, kind, now: device.unshelve(kind, who, now)


def _stop(stopped: bool, at: datetime) -> Callable[[DeviceAlarms], None]:
    return lambda device: device.set_stopped(stopped, at)


def _check_aware(moment: datetime) -> None:
    if moment.tzinfo is None:
        raise ValueError(f"time {moment} has no zone: expected one with its offset, such as +00:00")


def _checked_note(note: str) -> str:
    if len(note) > _MAX_NOTE:
        raise ValueError(f"note of {len(note)} characters: expected at most {_MAX_NOTE}")
    return note
