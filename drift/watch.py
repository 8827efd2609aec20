"""The core of the drift watch: readings and verdicts of one version of a model in, findings out. No network, no clock.

The cost of a reading is flat: two rings of fixed size take it, and one reading in twenty looks at the fleet's ring, one
in twenty of a device at that device's.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drift.device import Device
from drift.findings import Finding, Shift, output, season, single
from drift.fleet_window import Fleet, measure_fleet
from drift.limits import Limits, chance_of_a_test
from drift.marginal import Marginal
from drift.trained import Trained
from drift.window import Window
from drift.yardstick import Distance, Yardstick

LOOK_EVERY = 20
"""Readings between two looks at a window."""


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """How much is looked at, and how sure one wants to be.

    Attributes:
        window: Readings of the fleet that are compared.
        device_window: Readings of one device that are compared.
        false_flags: Expected in 100,000 readings without drift.
        max_devices: Beyond it the longest unheard is forgotten.
        forget_after_s: A device not heard of for so long is forgotten.
    """

    window: int = 480
    device_window: int = 250
    false_flags: float = 0.02
    max_devices: int = 500
    forget_after_s: float = 86_400.0


class Watch:
    """Watches one version of a model.

    Args:
        trained: What it learned.
        limits: How much is looked at.
        clock: Monotonic seconds.
    """

    def __init__(self, trained: Trained, limits: WatchLimits, clock: Callable[[], float]) -> None:
        self._trained = trained
        self._limits = limits
        self._clock = clock
        reference = trained.reference
        self._names = tuple(trained.units)
        chance = chance_of_a_test(limits.false_flags, len(self._names), LOOK_EVERY)
        strict = Limits(chance)
        self._yardsticks = tuple(
            Yardstick(Marginal(reference.signals[name]), strict, reference.rows) for name in self._names
        )
        self._cell_of = tuple(yardstick.marginal.cell_of for yardstick in self._yardsticks)
        self._window = Window(limits.window, len(self._names))
        self._devices: OrderedDict[str, Device] = OrderedDict()
        self._numbered = 0
        self._fleet: tuple[Fleet | None, ...] = (None,) * len(self._names)
        self._in_season = frozenset[int]()
        # Kept up to date reading by reading, so that no look goes through all devices.
        self._known: set[str] = set()
        self._changed: dict[str, Device] = {}
        self._drifted: dict[str, Device] = {}
        self._findings: tuple[Finding, ...] = ()

    @property
    def model_id(self) -> str:
        """The version that it watches."""
        return self._trained.model_id

    @property
    def signals(self) -> tuple[str, ...]:
        """Of the model, in its order."""
        return self._names

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What has drifted, as of the last look."""
        return self._findings

    @property
    def readings_compared(self) -> int:
        """Readings in the fleet's window that the model calls healthy."""
        return len(self._window.healthy()[1])

    @property
    def devices(self) -> int:
        """Devices that are remembered."""
        return len(self._devices)

    def distances(self) -> dict[str, Distance]:
        """How far the fleet is from the training rows, by signal; without those that cannot be told yet."""
        return {
            name: fleet.distance
            for name, fleet in zip(self._names, self._fleet, strict=True)
            if fleet is not None
        }

    def take(
        self, device_id: str, signals: Mapping[str, float], *, probability: float, healthy: bool
    ) -> None:
        """One reading and what the model said of it.

        Args:
            device_id: Whose.
            signals: By name; those that the model does not have are left alone.
            probability: Of a fault.
            healthy: Whether the model calls it so.

        Raises:
            KeyError: One of the model's signals is missing.
        """
        cells = [cell_of(signals[name]) for name, cell_of in zip(self._names, self._cell_of, strict=True)]
        device = self._device(device_id)
        device.heard = self._clock()
        device.outputs.take(probability)
        if device.outputs.is_known:
            self._known.add(device_id)
        _keep(self._changed, device_id, device, kept=device.outputs.has_changed)
        device.window.add(cells, healthy=healthy)
        self._window.add(cells, healthy=healthy, device=device.number)
        looked = False
        if self._window.taken % LOOK_EVERY == 0:
            self._look_at_the_fleet()
            looked = True
        if device.window.taken % LOOK_EVERY == 0:
            device.look(self._fleet)
            _keep(self._drifted, device_id, device, kept=bool(device.drifted))
            looked = True
        if looked:
            self._findings = self._find()

    def _device(self, device_id: str) -> Device:
        device = self._devices.get(device_id)
        if device is None:
            if len(self._devices) >= self._limits.max_devices:
                self._forget_the_longest_unheard()
            self._numbered += 1
            device = Device(self._numbered, self._limits.device_window, self._yardsticks)
            self._devices[device_id] = device
        self._devices.move_to_end(device_id)
        return device

    def _look_at_the_fleet(self) -> None:
        oldest = self._clock() - self._limits.forget_after_s
        while self._devices and next(iter(self._devices.values())).heard < oldest:
            self._forget_the_longest_unheard()
        self._fleet = measure_fleet(self._window, self._yardsticks)
        before = self._in_season
        self._in_season = frozenset(
            column
            for column, fleet in enumerate(self._fleet)
            if fleet is not None
            and (fleet.has_drifted or (column in before and fleet.distance.is_conspicuous))
        )
        if before - self._in_season:
            # A device's own window reaches further back, into the season that is over.
            for device in self._devices.values():
                device.begin_anew()
            self._drifted.clear()

    def _find(self) -> tuple[Finding, ...]:
        found = []
        together = [
            self._shift(column, fleet.distance)
            for column, fleet in enumerate(self._fleet)
            if fleet is not None and column in self._in_season
        ]
        if together:
            found.append(season(together))
        if len(self._changed) > 1 and 2 * len(self._changed) > len(self._known):
            means = {name: device.outputs.mean for name, device in self._changed.items()}
            found.append(output(means, len(self._known)))
        for name, device in self._drifted.items():
            own = [
                self._shift(column, one) for column, one in device.drifted if column not in self._in_season
            ]
            if own:
                found.append(single(name, own))
        return tuple(found)

    def _forget_the_longest_unheard(self) -> None:
        device_id, _ = self._devices.popitem(last=False)
        self._known.discard(device_id)
        self._changed.pop(device_id, None)
        self._drifted.pop(device_id, None)

    def _shift(self, column: int, distance: Distance) -> Shift:
        name = self._names[column]
        trained = self._yardsticks[column].marginal.trained_middle
        return Shift(name, self._trained.units[name], trained, distance.middle)


def _keep(kept_devices: dict[str, Device], device_id: str, device: Device, *, kept: bool) -> None:
    if kept:
        kept_devices[device_id] = device
    else:
        kept_devices.pop(device_id, None)
