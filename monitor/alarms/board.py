"""Every device's alarms, and the one deadline that a service sleeps until: pure, no I/O, no walk over the fleet."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from contract.alarm import AlarmState
from monitor.alarms.lifecycle import DeviceAlarms, Occurrence, Record, Transition, Window
from monitor.alarms.policy import AlarmPolicy
from monitor.findings import Finding, FindingKind

_FEW = 64
"""Outdated deadlines that are not worth clearing away."""


class NoSuchAlarm(LookupError):  # noqa: N818 - it names the thing, as in "there is no such alarm"
    """The number names no alarm that is going on."""


@dataclass(slots=True)
class Changes:
    """What a step changed, for the store: rows to write, rows to delete, lines of the journal."""

    records: list[Record] = field(default_factory=list)
    gone: list[tuple[str, FindingKind]] = field(default_factory=list)
    devices: list[DeviceAlarms] = field(default_factory=list)
    occurrences: list[Occurrence] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.records or self.gone or self.devices or self.occurrences or self.transitions)


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What is kept of a device beside its alarms."""

    device_id: str
    stopped: bool
    windows: tuple[Window, ...]


class AlarmBoard:
    """The alarms of a fleet.

    Each method applies one step and leaves what changed to ``take_changes``. The cost of a step depends on the
    device that it is about, never on how many there are; deadlines wait in a heap, outdated ones until their turn.
    """

    def __init__(self, policy: AlarmPolicy, next_id: int = 1) -> None:
        self._policy = policy
        self._next_id = next_id
        self._devices: dict[str, DeviceAlarms] = {}
        self._index: dict[int, Record] = {}
        self._indexed: dict[tuple[str, FindingKind], int] = {}
        self._deadlines: list[tuple[datetime, str]] = []
        self._scheduled: dict[str, datetime] = {}
        self._changed: set[str] = set()
        self._planned: set[str] = set()
        """Devices that have a maintenance window."""

    # -- made anew from what was stored -----------------------------------------------------------------

    def restore(self, records: Iterable[Record], states: Iterable[DeviceState]) -> None:
        """Take up what was going on; nothing happens by it, what is due since happens with the next step."""
        for state in states:
            device = self._device(state.device_id)
            device.stopped, device.windows = state.stopped, list(state.windows)
            if device.windows:
                self._planned.add(state.device_id)
        for record in records:
            device = self._device(record.device_id)
            device.records[record.kind] = record
            device.now = max(device.now, record.since, record.changed_at)
            self._name(record)
        for device in self._devices.values():
            self._schedule(device)

    # -- steps --------------------------------------------------------------------------------------------

    def observe(self, finding: Finding) -> None:
        """Take one finding; a device that nothing is known of and nothing is wrong with leaves no trace."""
        if not finding.present and finding.device_id not in self._devices:
            return
        device = self._device(finding.device_id)
        device.observe(finding)
        self._settle(device)

    def advance(self, at: datetime) -> None:
        """Let happen what is due until then, on the devices that something is due on."""
        while self._deadlines and self._deadlines[0][0] <= at:
            due, device_id = heapq.heappop(self._deadlines)
            if self._scheduled.get(device_id) == due:
                del self._scheduled[device_id]
                device = self._devices[device_id]
                device.advance(at)
                self._settle(device)

    def next_deadline(self) -> datetime | None:
        """Until when nothing happens without an event; None when nothing is due at all."""
        while self._deadlines and self._scheduled.get(self._deadlines[0][1]) != self._deadlines[0][0]:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def on_alarm(self, alarm_id: int, step: Callable[[DeviceAlarms, FindingKind], None]) -> None:
        """Apply a person's step to the alarm of that number.

        Raises:
            NoSuchAlarm: The number names no alarm that is going on.
            NotPossible: The step does not fit its state.
        """
        record = self._index.get(alarm_id)
        if record is None:
            raise NoSuchAlarm(f"alarm {alarm_id} is over, or never was")
        self.on_device(record.device_id, lambda device: step(device, record.kind))

    def on_device(self, device_id: str, step: Callable[[DeviceAlarms], None]) -> None:
        """Apply a step to one device.

        Raises:
            NotPossible: The step does not fit its state; what was due before it has happened all the same.
        """
        device = self._device(device_id)
        try:
            step(device)
        finally:
            self._settle(device)

    # -- questions ----------------------------------------------------------------------------------------

    def records(self) -> list[Record]:
        """Every alarm that is not normal, the most urgent first."""
        found = [
            record
            for device in self._devices.values()
            for record in device.records.values()
            if record.state is not AlarmState.NORMAL
        ]
        return sorted(found, key=lambda record: record.urgency(self._policy.rules[record.kind].priority))

    def most_urgent(self, device_id: str) -> Record | None:
        """The alarm that stands for the device; None when all is normal."""
        device = self._devices.get(device_id)
        if device is None:
            return None
        return min(
            (record for record in device.records.values() if record.state is not AlarmState.NORMAL),
            key=lambda record: record.urgency(self._policy.rules[record.kind].priority),
            default=None,
        )

    def in_maintenance(self, at: datetime) -> frozenset[str]:
        """Devices that somebody planned maintenance of for that moment."""
        return frozenset(
            device_id
            for device_id in self._planned
            if any(window.start <= at < window.end for window in self._devices[device_id].windows)
        )

    def record_of(self, alarm_id: int) -> Record | None:
        """The alarm of that number, while it is going on."""
        return self._index.get(alarm_id)

    def take_changes(self) -> Changes:
        """What changed since this was asked last."""
        changes = Changes()
        for device_id in sorted(self._changed):
            device = self._devices[device_id]
            for kind in sorted(device.touched):
                record = device.records.get(kind)
                if record is None:
                    changes.gone.append((device_id, kind))
                else:
                    changes.records.append(record)
            changes.devices.append(device)
            changes.occurrences.extend(device.occurrences.values())
            changes.transitions.extend(device.transitions)
            device.touched, device.occurrences, device.transitions = set(), {}, []
            if device.trivial:
                del self._devices[device_id]
        self._changed.clear()
        changes.transitions.sort(key=lambda transition: transition.at)
        return changes

    # -- how --------------------------------------------------------------------------------------------

    def _device(self, device_id: str) -> DeviceAlarms:
        device = self._devices.get(device_id)
        if device is None:
            device = self._devices[device_id] = DeviceAlarms(device_id, self._policy, self._number)
        return device

    def _number(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _settle(self, device: DeviceAlarms) -> None:
        """After a step: remember that it changed, which alarms it has and when something is due."""
        self._changed.add(device.device_id)
        (self._planned.add if device.windows else self._planned.discard)(device.device_id)
        for kind in device.touched:
            record = device.records.get(kind)
            named = self._indexed.get((device.device_id, kind))
            if named is not None and (record is None or record.alarm_id != named):
                del self._index[named], self._indexed[device.device_id, kind]
            if record is not None:
                self._name(record)
        self._schedule(device)

    def _name(self, record: Record) -> None:
        if record.alarm_id is not None:
            self._index[record.alarm_id] = record
            self._indexed[record.device_id, record.kind] = record.alarm_id

    def _schedule(self, device: DeviceAlarms) -> None:
        due = device.next_deadline()
        if due is None:
            self._scheduled.pop(device.device_id, None)
        elif self._scheduled.get(device.device_id) != due:
            self._scheduled[device.device_id] = due
            heapq.heappush(self._deadlines, (due, device.device_id))
            if len(self._deadlines) > 2 * len(self._scheduled) + _FEW:
                self._deadlines = [(at, device_id) for device_id, at in self._scheduled.items()]
                heapq.heapify(self._deadlines)
