"""The back-test: what the monitor would have said of recorded data, had it been set up as a configuration says."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.bundle import Manifest
from evaluation.config import BacktestConfig, ConfigError, HealthyTable
from evaluation.judgement import Fault, faults_of
from evaluation.recorded import Recorded
from evaluation.replay import LifeCycle, RaisedAlarm, replay, usable
from evaluation.usual_band import NotEnoughHealth, learn_usual_band, natural_flatness
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import EvidenceSettings, Plant, QualitySettings, SignalPlan
from monitor.diagnosis.shapley import Score
from training.bundle import LITERT_FILE, litert_probabilities, read_manifest

_BATCH_ROWS = 8192
_SILENT_INTERVALS = 10
_LEAST_SILENCE_S = 30.0
_FLAT_TIMES_NATURAL = 3
_FEWEST_FLAT_READINGS = 10

Bools = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Backtest:
    """What came of it.

    Attributes:
        recorded: The readings.
        probabilities: [n], as the detector or the model gave them.
        plant: What was known of the machine, what was learned included.
        learned: [n], the readings that were learned from.
        alarms: In order of their being raised.
        faults: What was true; None where there are no labels.
    """

    recorded: Recorded
    probabilities: Values
    plant: Plant
    learned: Bools
    alarms: list[RaisedAlarm]
    faults: list[Fault] | None

    def learned_until(self) -> dict[str, float]:
        """End of the stretch that was learned from, by device."""
        return {
            name: float(self.recorded.times[mine].max())
            for index, name in enumerate(self.recorded.devices)
            if (mine := self.learned & (self.recorded.device == index)).any()
        }


def run(
    config: BacktestConfig,
    recorded: Recorded,
    *,
    life_cycle: LifeCycle | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Backtest:
    """Learn or load, score in batches, replay.

    Args:
        config: Of the machine.
        recorded: Its readings.
        life_cycle: The alarms' on and off delay, see evaluation.replay.
        progress: Told how many readings more are done.

    Raises:
        ConfigError: The model's signals are others than the configuration's.
        NotEnoughHealth: The healthy stretch is too short.
        training.bundle.BundleError: The bundle cannot be used.
    """
    learned = _healthy_rows(config.healthy, recorded)
    plant = _plant(config, recorded, learned)
    score: Score | None = None
    plausible = [signal.plausible for signal in config.signals.values()]
    if config.model is None:
        good = usable(recorded.signals, plausible)
        probabilities = _by_usual_band(config, recorded, learned & good, good)
    else:
        manifest = read_manifest(config.model.bundle)
        _check_signals(config, manifest)
        plausible = [
            bounds or (spec.minimum, spec.maximum)
            for bounds, spec in zip(plausible, manifest.signals, strict=True)
        ]
        model = (config.model.bundle / LITERT_FILE).read_bytes()
        probabilities = _by_model(model, recorded.signals)

        def score(rows: object) -> list[float]:
            return [float(p) for p in litert_probabilities(model, np.asarray(rows, np.float64))]

    alarms = replay(
        recorded,
        probabilities,
        Knowledge(plant, score),
        plausible=plausible,
        life_cycle=life_cycle,
        progress=progress,
    )
    faults = None if config.labels is None else faults_of(config.labels, recorded)
    return Backtest(recorded, probabilities, plant, learned, alarms, faults)


def _healthy_rows(healthy: HealthyTable | None, recorded: Recorded) -> Bools:
    """Which readings [n] are to be learned from."""
    if healthy is None:
        return np.zeros(len(recorded), np.bool_)
    if healthy.start is not None and healthy.end is not None:
        times = recorded.times
        return np.asarray((times >= healthy.start.timestamp()) & (times < healthy.end.timestamp()))
    learned = np.zeros(len(recorded), np.bool_)
    for index in range(len(recorded.devices)):
        mine = np.flatnonzero(recorded.device == index)
        count = healthy.first_rows or int(len(mine) * (healthy.first_percent or 0) / 100)
        learned[mine[:count]] = True
    return learned


def _plant(config: BacktestConfig, recorded: Recorded, learned: Bools) -> Plant:
    """What the monitor would know: the configuration, and what the healthy stretch shows of the rest."""
    healthy = recorded.signals[learned]
    healthy = healthy[np.isfinite(healthy).all(axis=1)]
    flatness = natural_flatness(healthy) if len(healthy) else [0] * len(config.signals)
    signals = {}
    for index, (name, table) in enumerate(config.signals.items()):
        if table.usual is None and not len(healthy):
            raise NotEnoughHealth(
                "no complete reading in the healthy stretch; expected at least 60 to learn from"
            )
        usual = table.usual or _usual_range(healthy[:, index])
        flat = table.flat_readings
        if flat is None and config.quality.flat_readings is None:
            flat = max(_FEWEST_FLAT_READINGS, _FLAT_TIMES_NATURAL * flatness[index])
        try:
            signals[name] = SignalPlan(
                label=table.label,
                unit=table.unit,
                usual=usual,
                worn_low=table.worn_low,
                worn_high=table.worn_high,
                flat_readings=flat,
            )
        except ValueError as error:
            raise ConfigError(f"signals.{name}: {error}") from error
    interval = recorded.interval_s()
    quality = {
        "spike_widths": config.quality.spike_widths,
        "spikes": config.quality.spikes,
        "silent_after_s": config.quality.silent_after_s
        or max(_LEAST_SILENCE_S, _SILENT_INTERVALS * interval),
    }
    if config.quality.flat_readings is not None:
        quality["flat_readings"] = config.quality.flat_readings
    evidence = config.evidence or EvidenceSettings()
    if config.evidence is None and config.model is None:
        # A running mean says the same again until its time constant has passed.
        evidence = EvidenceSettings(independent_after_s=config.detector.smoothing_readings * interval)
    return Plant(
        signals=signals,
        mode=config.mode,
        inspect=config.inspect,
        maintenance=config.maintenance,
        evidence=evidence,
        quality=QualitySettings.model_validate(quality),
        trend=config.trend,
    )


def _usual_range(values: Values) -> tuple[float, float]:
    """All but one in two hundred at either end, widened by a tenth; a signal that never moved by a thousandth."""
    low, high = (float(bound) for bound in np.quantile(values, (0.005, 0.995)))
    margin = 0.1 * (high - low) or 1e-3 * max(1.0, abs(high))
    return low - margin, high + margin


def _by_usual_band(config: BacktestConfig, recorded: Recorded, learned: Bools, good: Bools) -> Values:
    """Each device is learned from its own healthy stretch; what is refused is no part of a running mean."""
    signals = np.where(good[:, np.newaxis], recorded.signals, np.nan)
    probabilities = np.full(len(recorded), 0.5)
    for index, name in enumerate(recorded.devices):
        mine = recorded.device == index
        healthy = mine & learned
        try:
            band = learn_usual_band(recorded.times[healthy], recorded.signals[healthy], config.detector)
        except NotEnoughHealth as error:
            raise NotEnoughHealth(f"device {name}: {error}") from error
        probabilities[mine] = band.probabilities(recorded.times[mine], signals[mine])
    return probabilities


def _by_model(model: bytes, rows: Values) -> Values:
    complete = np.nan_to_num(rows)  # a row with a gap is refused by the replay, whatever its score
    parts = [
        litert_probabilities(model, complete[begin : begin + _BATCH_ROWS])
        for begin in range(0, len(rows), _BATCH_ROWS)
    ]
    return np.concatenate(parts)


def _check_signals(config: BacktestConfig, manifest: Manifest) -> None:
    wanted = [spec.name for spec in manifest.signals]
    if list(config.signals) != wanted:
        raise ConfigError(
            f"signals are {', '.join(config.signals)}; the model {manifest.model_id} takes {', '.join(wanted)}, "
            "in this order"
        )
