"""What people would have been told: findings through the alarms' own life cycle, with its delays and suppressions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from monitor.alarms.board import AlarmBoard
from monitor.alarms.lifecycle import Cause, DeviceAlarms, Transition
from monitor.alarms.policy import AlarmPolicy
from monitor.findings import Finding, FindingKind

_WORTH_NAMING = 0.05
_WHO = "back-test"


@dataclass(slots=True)
class RaisedAlarm:
    """One alarm; times in seconds since 1970 UTC, ``cleared`` is None while it stands at the end."""

    device: str
    kind: FindingKind
    raised: float
    cleared: float | None
    signals: tuple[str, ...]
    why: str
    inspect: str


class AnnouncedAlarms:
    """The alarms of a replay.

    An alarm is taken to be answered as soon as it is raised: so each one is told of, and none stays in view for want of
    an answer.

    Args:
        policy: The alarms' rules.
    """

    def __init__(self, policy: AlarmPolicy) -> None:
        self._board = AlarmBoard(policy)
        self._open: dict[tuple[str, FindingKind], RaisedAlarm] = {}
        self._due: datetime | None = None
        self.found: list[RaisedAlarm] = []
        """In order of their being raised."""
        self.next_deadline = float("inf")
        """When a delay is over, seconds since 1970 UTC."""

    def take(self, findings: Sequence[Finding], now: float) -> None:
        """Take what was found at that second; in the desk's order, sensor faults before what they suppress."""
        for finding in sorted(findings, key=lambda each: (each.at, not each.kind.is_sensor_fault)):
            self._board.observe(finding)
        self.advance(now)

    def set_stopped(self, device: str, stopped: bool, now: float) -> None:
        """A machine came to a planned standstill, or runs again."""
        at = datetime.fromtimestamp(now, UTC)
        self._board.on_device(device, lambda alarms: alarms.set_stopped(stopped, at))
        self.advance(now)

    def advance(self, now: float) -> None:
        """Let the delays be over that are by then."""
        at = datetime.fromtimestamp(now, UTC)
        if self._due is not None and self.next_deadline <= now:
            at = max(at, self._due)  # a float may have been cut by a microsecond
        self._board.advance(at)
        for transition in self._board.take_changes().transitions:
            self._note(transition)
        self._board.take_changes()  # the answers
        self._due = self._board.next_deadline()
        self.next_deadline = float("inf") if self._due is None else self._due.timestamp()

    def _note(self, transition: Transition) -> None:
        key = transition.device_id, transition.kind
        if transition.annunciates and transition.alarm_id is not None:
            record = self._board.record_of(transition.alarm_id)
            parts = () if record is None else record.contributions
            alarm = RaisedAlarm(
                transition.device_id,
                transition.kind,
                transition.at.timestamp(),
                None,
                tuple(part.signal for part in parts if part.share > _WORTH_NAMING),
                transition.why,
                "" if record is None else record.inspect,
            )
            self._open[key] = alarm
            self.found.append(alarm)
            if record is not None:
                self._board.on_alarm(transition.alarm_id, _answer(transition.at))
        elif transition.cause is Cause.CLEARED and key in self._open:
            self._open.pop(key).cleared = transition.at.timestamp()


def _answer(at: datetime) -> Callable[[DeviceAlarms, FindingKind], None]:
    def step(alarms: DeviceAlarms, kind: FindingKind) -> None:
        if "acknowledge" in alarms.records[kind].possible_actions():
            alarms.acknowledge(kind, _WHO, at)

    return step
