"""What a page shows of every device: what arrived, and the condition that the diagnosis tells of it.

It judges nothing. It is told what arrived, and in which condition a device is, and asked what changed; each from any
thread. No network, no thread of its own.
"""

import threading
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Literal

from contract.rejection import Reason, Rejection
from contract.timestamp import parse_timestamp
from contract.verdict import Verdict
from monitor.clock import Clock
from monitor.condition import UNKNOWN, Condition, State
from monitor.loss_ledger import MAX_BOOTS, ROOM, Arrival, Losses, LossLedger, Number, number_of
from monitor.window import Point, Window

_MAX_SERVICES = 32
_MAX_DETAIL = 300
_SET_BACK_VERDICTS = 8


@dataclass(frozen=True, slots=True)
class FleetLimits:
    """What bounds the fleet's memory; see MonitorSettings for each."""

    forget_after_s: float = 7 * 86400
    window_points: int = 300
    max_devices: int = 500
    naive_time_zone: tzinfo = UTC
    clock_set_back_s: float = 30
    """Verdicts older than the newest, and nothing newer, for so long: the device's clock was set back."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The newest refusal of a device's reading."""

    reason: Reason
    detail: str
    received: float


@dataclass(frozen=True, slots=True)
class DeviceView:
    """What there is to show of one device; ages in seconds at the moment of asking."""

    device_id: str
    condition: Condition
    since: float | None
    """When the condition's state began; None when that was before the start of the monitor."""
    contact_age_s: float | None
    """None when nothing was heard since then."""
    newest: Point | None
    behind_s: float
    model: str | None
    rejected: int
    refusal: Refusal | None
    refused: bool
    """Whether the newest that was heard is a refusal."""
    losses: Losses
    restarted: bool
    """Whether points holds everything there is, in place of what was told before."""
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class FleetView:
    """The devices that changed after a cursor, and what is true of all."""

    cursor: int
    total: int
    counts: dict[State, int]
    services: dict[str, Literal["online", "offline"]]
    losses: Losses
    """Of every device since the start, those that are gone included."""
    devices: tuple[DeviceView, ...]


@dataclass(slots=True)
class _Device:
    device_id: str
    window: Window
    ledger: LossLedger
    contact: float
    since: float | None
    condition: Condition = UNKNOWN
    heard: bool = True
    has_verdict: bool = False
    changed: int = 0
    advanced: float = 0.0
    behind: int = 0
    restarted: int = 0
    names: tuple[str, ...] = ()
    model: str | None = None
    rejected: int = 0
    refusal: Refusal | None = None
    refused: bool = False


class Fleet:
    """Every device that was heard of.

    What is shown never depends on the order in which verdicts arrive: a window is sorted by the sensor's time.
    """

    def __init__(self, clock: Clock, limits: FleetLimits) -> None:
        self._clock = clock
        self._limits = limits
        self._lock = threading.Lock()
        self._devices: dict[str, _Device] = {}
        self._services: dict[str, Literal["online", "offline"]] = {}
        self._number = 0
        self._evicted = 0
        self._unattributed = 0
        self._arrivals: Counter[Arrival] = Counter()
        self._missing = 0

    @property
    def evicted(self) -> int:
        """Devices dropped because there were too many."""
        return self._evicted

    @property
    def unattributed(self) -> int:
        """Refusals that name no device."""
        return self._unattributed

    def take_verdict(self, verdict: Verdict) -> None:
        """A verdict arrived, in whatever order.

        Raises:
            ValueError: Its time has the right form and is none, such as a 31st of February.
        """
        measured = parse_timestamp(verdict.time_stamp, self._limits.naive_time_zone).timestamp()
        with self._lock:
            device = self._heard(verdict.device_id)
            device.has_verdict, device.refused = True, False
            boot_id, seq = verdict.boot_id, verdict.seq
            self._count(device, Number.of(boot_id, seq))
            self._bear_a_clock_set_back(device, measured)
            # A sensor ahead of our time is filed at its arrival: otherwise its next verdicts, once its clock is
            # right, would all count as older and hide behind the early one.
            at = min(measured, self._clock.now())
            signals = verdict.signals
            names = tuple(signals)
            if names == device.names:
                names = device.names  # one tuple for all points of a device
            number = device.changed = self._next()
            point = Point(
                number,
                at,
                (verdict.time_stamp, boot_id, seq),
                verdict.fault == 1,
                verdict.probability,
                names,
                array("d", signals.values()),
            )
            device.window.add(point)
            if device.window.newest is point:
                device.model = verdict.model
                if names is not device.names:
                    device.names, device.restarted = names, number - 1

    def take_rejection(self, rejection: Rejection) -> None:
        """A reading was refused: it is a contact, and no verdict."""
        with self._lock:
            if rejection.device_id is None:
                self._unattributed += 1
                return
            device = self._heard(rejection.device_id)
            device.rejected += 1
            self._count(device, number_of(rejection))
            device.refusal = Refusal(rejection.reason, rejection.detail[:_MAX_DETAIL], self._clock.now())
            device.refused = True
            device.changed = self._next()

    def take_conditions(self, conditions: Mapping[str, Condition]) -> None:
        """The diagnosis says in which condition devices are; a device that is not kept stays so."""
        with self._lock:
            for device_id, condition in conditions.items():
                device = self._devices.get(device_id)
                if device is None or device.condition == condition:
                    continue
                if device.condition.state is not condition.state:
                    device.since = self._clock.now()
                device.condition, device.changed = condition, self._next()

    def recall(self, conditions: Mapping[str, Condition]) -> None:
        """The diagnosis knows devices of the last run: they are shown unheard, as far as there is room."""
        with self._lock:
            for device_id, condition in conditions.items():
                if device_id not in self._devices and len(self._devices) < self._limits.max_devices:
                    device = self._new(device_id)
                    device.heard, device.since, device.condition = False, None, condition
                    device.has_verdict = condition.state is not State.UNKNOWN
                    device.changed = self._next()
        self.take_conditions(conditions)

    def take_status(self, service: str, status: Literal["online", "offline"]) -> None:
        """A service came or went."""
        with self._lock:
            if service in self._services or len(self._services) < _MAX_SERVICES:
                self._services[service] = status

    def begin_anew(self) -> None:
        """Verdicts may have passed by unheard: the ledgers must not take them for lost readings."""
        with self._lock:
            for device in self._devices.values():
                device.ledger.begin_anew()

    def view(self, after: int = 0, points: int | None = None) -> FleetView:
        """What changed.

        Args:
            after: Cursor of the view that the asker already has; 0 for everything.
            points: Most points told of each device; all when None.
        """
        with self._lock:
            self._forget()
            changed = [device for device in self._devices.values() if device.changed > after]
            return self._view(changed, after, points)

    def view_of(self, device_id: str, after: int = 0) -> FleetView:
        """The same of one device, with every point that is kept; it has no device when there is none of that name."""
        with self._lock:
            self._forget()
            device = self._devices.get(device_id)
            return self._view([device] if device is not None and device.changed > after else [], after, None)

    def counts(self) -> dict[State, int]:
        """Devices in each state."""
        with self._lock:
            self._forget()
            return self._counts()

    def losses(self) -> Losses:
        """What the ledgers say of all devices together, since the start."""
        with self._lock:
            return self._losses()

    def losses_by_device(self) -> dict[str, Losses]:
        """What the ledgers of the devices say of which readings are missing, the worst first."""
        with self._lock:
            lossy = [
                (device_id, device.ledger.losses)
                for device_id, device in self._devices.items()
                if device.ledger.missing
            ]
        return dict(sorted(lossy, key=lambda each: (-each[1].missing, each[0])))

    def _heard(self, device_id: str) -> _Device:
        device = self._devices.get(device_id)
        if device is None:
            if len(self._devices) >= self._limits.max_devices:
                # Names that never had a verdict go first: a flood of them must not push out a real device.
                victim = min(self._devices.values(), key=lambda each: (each.has_verdict, each.contact))
                del self._devices[victim.device_id]
                self._evicted += 1
            device = self._new(device_id)
        device.contact, device.heard = self._clock.elapsed(), True
        return device

    def _new(self, device_id: str) -> _Device:
        elapsed = self._clock.elapsed()
        device = self._devices[device_id] = _Device(
            device_id,
            Window(self._limits.window_points),
            LossLedger(max(MAX_BOOTS, ROOM // self._limits.max_devices)),
            contact=elapsed,
            since=self._clock.now(),
            advanced=elapsed,
            restarted=self._number,
        )
        return device

    def _count(self, device: _Device, number: Number | None) -> None:
        before = device.ledger.missing
        self._arrivals[device.ledger.take(number)] += 1
        self._missing += device.ledger.missing - before

    def _losses(self) -> Losses:
        return Losses(dict(self._arrivals), self._missing)

    def _bear_a_clock_set_back(self, device: _Device, measured: float) -> None:
        """Start a new window when a device's clock was set back, else its present would look like its past.

        One late verdict, or a backlog beside newer ones, is no such case: it needs several, and nothing newer
        for a while.
        """
        newest, elapsed = device.window.newest, device.contact
        if newest is None or measured >= newest.at:
            device.advanced, device.behind = elapsed, 0
            return
        device.behind += 1
        stale = elapsed - device.advanced > self._limits.clock_set_back_s
        if stale and device.behind > _SET_BACK_VERDICTS:
            device.window.clear()
            device.advanced, device.behind, device.restarted = elapsed, 0, self._number

    def _forget(self) -> None:
        """A device that was taken away says nothing of it, so it is looked for whenever somebody asks."""
        heard_since = self._clock.elapsed() - self._limits.forget_after_s
        for device_id in [each.device_id for each in self._devices.values() if each.contact < heard_since]:
            del self._devices[device_id]

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _counts(self) -> dict[State, int]:
        counted = Counter(device.condition.state for device in self._devices.values())
        return {state: counted[state] for state in State}

    def _view(self, devices: Iterable[_Device], after: int, points: int | None) -> FleetView:
        return FleetView(
            cursor=self._number,
            total=len(self._devices),
            counts=self._counts(),
            services=dict(sorted(self._services.items())),
            losses=self._losses(),
            devices=tuple(self._device_view(device, after, points) for device in devices),
        )

    def _device_view(self, device: _Device, after: int, points: int | None) -> DeviceView:
        restarted = device.restarted >= after
        fresh = [point for point in device.window if restarted or point.number > after]
        newest = device.window.newest
        return DeviceView(
            device_id=device.device_id,
            condition=device.condition,
            since=device.since,
            contact_age_s=self._clock.elapsed() - device.contact if device.heard else None,
            newest=newest,
            behind_s=0.0 if newest is None else max(0.0, self._clock.now() - newest.at),
            model=device.model,
            rejected=device.rejected,
            refusal=device.refusal,
            refused=device.refused,
            losses=device.ledger.losses,
            restarted=restarted,
            points=tuple(fresh if points is None else fresh[-points:]),
        )
