"""How quick the drift watch is on simulated fans, how often it is wrong, and whether it tells a season from a sensor.

The fleet is mixed on purpose: four fans run well, one is broken and one wears out. Its readings are scored by the model
itself, so that what a drift does to the verdicts is in it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drift.findings import Finding, Kind
from drift.trained import read_trained
from drift.watch import LOOK_EVERY, Watch, WatchLimits
from drift.yardstick import Distance
from training.bundle import LITERT_FILE, litert_probabilities, read_manifest
from training.fan import FAULTY, HEALTHY

Rows = npt.NDArray[np.float64]

_WEAR_START = np.array([600.0, 40.0, 150.0, 48.5])
_WEAR_END = np.array([400.0, 55.0, 250.0, 60.0])
_WEAR_NOISE = 0.03
"""As the simulator's wearing fan (simulator/fan.py)."""


class Fan(StrEnum):
    """How a simulated fan is."""

    HEALTHY = "healthy"
    FAULTY = "faulty"
    WEARING = "wearing"


MIXED_FLEET = (*(Fan.HEALTHY,) * 4, Fan.FAULTY, Fan.WEARING)
FLEETS = {
    "six fans, one broken, one wearing": MIXED_FLEET,
    "six fans that run well": (Fan.HEALTHY,) * 6,
    "forty fans that run well": (Fan.HEALTHY,) * 40,
}


@dataclass(frozen=True)
class Stream:
    """Readings in the order of their arrival, the fans taking turns.

    Attributes:
        devices: [n] number of the fan.
        signals: [n, 4] in the order of the model.
        probabilities: [n] as the model gives them.
    """

    devices: npt.NDArray[np.int64]
    signals: Rows
    probabilities: Rows


class DriftTrial:
    """Streams and watches for one bundle.

    Args:
        bundle: Folder MODELS_DIR/NAME of the fan's model.
    """

    def __init__(self, bundle: Path) -> None:
        manifest = read_manifest(bundle)
        self.trained = read_trained(bundle.parent, manifest.model_id)
        self.names = tuple(spec.name for spec in manifest.signals)
        self._model = (bundle / LITERT_FILE).read_bytes()
        self._threshold = manifest.threshold

    def watch(self) -> Watch:
        """A watch that has seen nothing."""
        return Watch(self.trained, WatchLimits(), lambda: 0.0)

    def stream(
        self,
        readings: int,
        seed: int,
        fans: Sequence[Fan] = MIXED_FLEET,
        change: Callable[[Rows, npt.NDArray[np.int64]], None] = lambda _signals, _devices: None,
        wear: tuple[float, float] = (0.0, 0.1),
    ) -> Stream:
        """Draw readings and score them.

        Args:
            readings: n.
            seed: Of the generator.
            fans: Of the fleet.
            change: Drift: changes signals [n, 4] in place, given devices [n].
            wear: How far a wearing fan has gone at the first and at the last reading, 0 to 1.
        """
        rng = np.random.default_rng(seed)
        devices = np.arange(readings) % len(fans)
        signals = rng.uniform(HEALTHY.low, HEALTHY.high, (readings, len(HEALTHY.low)))
        for number, fan in enumerate(fans):
            own = devices == number
            shape = (int(own.sum()), len(HEALTHY.low))
            if fan is Fan.FAULTY:
                signals[own] = rng.uniform(FAULTY.low, FAULTY.high, shape)
            elif fan is Fan.WEARING:
                way = np.linspace(*wear, shape[0])[:, np.newaxis]
                noise = np.abs(_WEAR_END - _WEAR_START) * _WEAR_NOISE
                signals[own] = rng.normal(_WEAR_START + (_WEAR_END - _WEAR_START) * way, noise)
        change(signals, devices)
        signals = np.round(signals, 1)
        return Stream(devices, signals, litert_probabilities(self._model, signals))

    def run(self, watch: Watch, stream: Stream) -> Iterable[int]:
        """Feed a watch; yields the number of readings after each at which it may have looked."""
        healthy = stream.probabilities < self._threshold
        for row, device in enumerate(stream.devices.tolist()):
            watch.take(
                str(device + 1),
                dict(zip(self.names, stream.signals[row].tolist(), strict=True)),
                probability=float(stream.probabilities[row]),
                healthy=bool(healthy[row]),
            )
            yield row + 1

    def told(self, watch: Watch, stream: Stream) -> dict[Finding, int]:
        """Every finding of a run without its words, and after how many readings it was told first."""
        first: dict[Finding, int] = {}
        seen: tuple[Finding, ...] = ()
        for count in self.run(watch, stream):
            if watch.findings is not seen:
                seen = watch.findings
                for finding in seen:
                    first.setdefault(Finding(finding.kind, "", finding.signals, finding.device_id), count)
        return first


def scaled(
    column: int, factor: float, device: int | None = None
) -> Callable[[Rows, npt.NDArray[np.int64]], None]:
    """A signal of all devices, or of one, is multiplied."""

    def change(signals: Rows, devices: npt.NDArray[np.int64]) -> None:
        signals[slice(None) if device is None else devices == device, column] *= factor

    return change


def creeping(column: int, factor: float) -> Callable[[Rows, npt.NDArray[np.int64]], None]:
    """A signal of all devices comes to be multiplied, little by little over the whole stream."""

    def change(signals: Rows, devices: npt.NDArray[np.int64]) -> None:
        signals[:, column] *= np.linspace(1.0, factor, len(devices))

    return change


def stuck(column: int, value: float, device: int) -> Callable[[Rows, npt.NDArray[np.int64]], None]:
    """A signal of one device shows the same value for ever."""

    def change(signals: Rows, devices: npt.NDArray[np.int64]) -> None:
        signals[devices == device, column] = value

    return change


def jumped(column: int, by: float, device: int) -> Callable[[Rows, npt.NDArray[np.int64]], None]:
    """A signal of one device is off by a constant."""

    def change(signals: Rows, devices: npt.NDArray[np.int64]) -> None:
        signals[devices == device, column] += by

    return change


SENSOR_FAULTS = ("jump", "stuck", "scale")
BROKEN_SENSOR_OF = 1


def sensor_fault(fault: str, column: int) -> Callable[[Rows, npt.NDArray[np.int64]], None]:
    """One fan's sensor breaks: off by a quarter of the healthy range, stuck in its middle, or 15 % too low."""
    low, high = HEALTHY.low[column], HEALTHY.high[column]
    if fault == "jump":
        return jumped(column, (high - low) / 4, BROKEN_SENSOR_OF)
    if fault == "stuck":
        return stuck(column, (low + high) / 2, BROKEN_SENSOR_OF)
    return scaled(column, 0.85, BROKEN_SENSOR_OF)


@dataclass
class DriftFigures:
    """What the study found.

    Attributes:
        delays: Readings until a season was told, by "signal +10 %", one for each seed; None where it never was.
        wrong: Findings that were wrong while the drift lasted or before it, in the same trials.
        false_flags: Findings without any drift, by fleet.
        readings: So many readings of each fleet had no drift.
        nearest: The nearest that each stretch of them came to a limit of the fleet's, 1 is the limit, by fleet.
        sensors: Of the trials with one broken sensor: how many said so, named it and said nothing else, by fault.
        sensor_trials: Of so many, by fault.
        sensor_delays: Readings of that fan until its sensor was told, by fault.
        creeping: Of the trials with a slow season: how many told a season and no single sensor, by signal.
        creeping_trials: Of so many, by signal.
    """

    delays: dict[str, list[int | None]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    false_flags: dict[str, list[str]] = field(default_factory=dict)
    readings: dict[str, int] = field(default_factory=dict)
    nearest: dict[str, list[float]] = field(default_factory=dict)
    sensors: dict[str, int] = field(default_factory=dict)
    sensor_trials: dict[str, int] = field(default_factory=dict)
    sensor_delays: dict[str, list[int]] = field(default_factory=dict)
    creeping: dict[str, int] = field(default_factory=dict)
    creeping_trials: dict[str, int] = field(default_factory=dict)

    def figures(self) -> dict[str, object]:
        """As they are written down."""
        delays = {
            name: {
                "trials": len(found),
                "missed": sum(delay is None for delay in found),
                "median": float(np.median([delay for delay in found if delay is not None])),
                "within_500": sum(delay is not None and delay <= 500 for delay in found),
                "slowest": max((delay for delay in found if delay is not None), default=None),
            }
            for name, found in self.delays.items()
        }
        return {
            "look_every": LOOK_EVERY,
            "readings_until_a_season_is_told": delays,
            "wrong_beside_it": self.wrong,
            "readings_without_drift": self.readings,
            "false_flags": self.false_flags,
            "nearest_to_a_limit": {name: round(max(found), 3) for name, found in self.nearest.items()},
            "sensor_told_as_such": {
                fault: f"{told} of {self.sensor_trials[fault]}, median after "
                f"{int(np.median(self.sensor_delays[fault]))} readings of the fan"
                for fault, told in self.sensors.items()
            },
            "slow_season_told_as_such": {
                signal: f"{told} of {self.creeping_trials[signal]}" for signal, told in self.creeping.items()
            },
        }


def _share_of_the_limit(distance: Distance) -> float:
    return max(distance.psi / distance.psi_limit, distance.ks / distance.ks_limit)


_BEFORE = 1500
_AFTER = 1500
_SLOW = 60_000


def _is_ill(finding: Finding, fans: Sequence[Fan]) -> bool:
    """Whether a machine was told that does run otherwise than in training."""
    ill = {str(number + 1) for number, fan in enumerate(fans) if fan is not Fan.HEALTHY}
    return finding.kind is Kind.MACHINE and finding.device_id in ill


def study_delays(trial: DriftTrial, figures: DriftFigures, seeds: Iterable[int], percent: float) -> None:
    """A season begins at once: how long until it is told, and is anything wrong told before or beside it?

    Args:
        trial: Of which model.
        figures: Take what is found.
        seeds: One trial of each signal for each.
        percent: Of the drift.
    """
    for seed in seeds:
        for column, name in enumerate(trial.names):
            watch = trial.watch()
            before = trial.told(watch, trial.stream(_BEFORE, 2 * seed))
            change = scaled(column, 1 + percent / 100)
            after = trial.told(watch, trial.stream(_AFTER, 2 * seed + 1, change=change, wear=(0.1, 0.2)))
            right = Finding(Kind.SEASON, "", (name,))
            figures.delays.setdefault(f"{name} {percent:+g} %", []).append(after.get(right))
            figures.wrong += [
                f"{name} {percent:+g} %, seed {seed}: {finding.kind} {finding.device_id or ''} {finding.signals}"
                for finding in [*before, *after]
                if finding != right and finding.kind is not Kind.OUTPUT and not _is_ill(finding, MIXED_FLEET)
            ]
            figures.wrong += [
                f"{name}, seed {seed}: {f.kind} before" for f in before if f.kind is Kind.OUTPUT
            ]


def study_false_flags(
    trial: DriftTrial, figures: DriftFigures, name: str, fans: Sequence[Fan], seed: int, readings: int
) -> None:
    """No drift at all: every season, sensor and output that is told is wrong; so is a machine that runs well.

    Args:
        trial: Of which model.
        figures: Take what is found.
        name: Of the fleet.
        fans: In it.
        seed: Of the stream.
        readings: In it.
    """
    watch = trial.watch()
    told: dict[Finding, int] = {}
    nearest = 0.0
    for count in trial.run(watch, trial.stream(readings, seed, fans, wear=(0.0, 0.5))):
        if count % LOOK_EVERY == 0:
            nearest = max(nearest, *map(_share_of_the_limit, watch.distances().values()), 0.0)
        for finding in watch.findings:
            told.setdefault(Finding(finding.kind, "", finding.signals, finding.device_id), count)
    figures.nearest.setdefault(name, []).append(nearest)
    figures.readings[name] = figures.readings.get(name, 0) + readings
    figures.false_flags.setdefault(name, []).extend(
        f"seed {seed}, after {count}: {finding.kind} {finding.device_id or ''} {finding.signals}"
        for finding, count in told.items()
        if not _is_ill(finding, fans)
    )


def study_sensors(trial: DriftTrial, figures: DriftFigures, seeds: Iterable[int]) -> None:
    """One sensor of one fan breaks, in each way and each signal.

    Args:
        trial: Of which model.
        figures: Take what is found.
        seeds: One trial of each for each.
    """
    broken = str(BROKEN_SENSOR_OF + 1)
    for seed in seeds:
        for fault in SENSOR_FAULTS:
            for column, name in enumerate(trial.names):
                watch = trial.watch()
                trial.told(watch, trial.stream(_BEFORE, 2 * seed))
                change = sensor_fault(fault, column)
                told = trial.told(
                    watch, trial.stream(4 * _AFTER, 2 * seed + 1, change=change, wear=(0.1, 0.2))
                )
                right = Finding(Kind.SENSOR, "", (name,), broken)
                others = [
                    f for f in told if f != right and not (f.kind is Kind.MACHINE and f.device_id != broken)
                ]
                case = f"{fault} of {name}"
                figures.sensor_trials[case] = figures.sensor_trials.get(case, 0) + 1
                is_right = right in told and not others
                figures.sensors[case] = figures.sensors.get(case, 0) + is_right
                delays = figures.sensor_delays.setdefault(case, [])
                if right in told:
                    delays.append(told[right] // len(MIXED_FLEET))


def study_slow_season(trial: DriftTrial, figures: DriftFigures, seeds: Iterable[int], percent: float) -> None:
    """A season that takes 60,000 readings to come: it must not be taken for a single sensor on its way.

    Args:
        trial: Of which model.
        figures: Take what is found.
        seeds: One trial of each signal for each.
        percent: Of the drift at its end.
    """
    fans = (Fan.HEALTHY,) * len(MIXED_FLEET)
    for seed in seeds:
        for column, name in enumerate(trial.names):
            change = creeping(column, 1 + percent / 100)
            told = trial.told(trial.watch(), trial.stream(_SLOW, seed, fans, change))
            seasons = [finding for finding in told if finding.kind is Kind.SEASON]
            sensors = [finding for finding in told if finding.kind in {Kind.SENSOR, Kind.MACHINE}]
            figures.creeping_trials[name] = figures.creeping_trials.get(name, 0) + 1
            is_right = [f.signals for f in seasons] == [(name,)] and not sensors
            figures.creeping[name] = figures.creeping.get(name, 0) + is_right
