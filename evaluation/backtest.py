"""The back-test: what the monitor would have said of recorded data, had it been set up as a configuration says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from contract.bundle import Manifest
from evaluation.announced import RaisedAlarm
from evaluation.config import BacktestConfig, ConfigError
from evaluation.healthy_stretch import (
    FEWEST_READINGS,
    gathering_settings,
    healthy_rows,
    known_since,
    natural_flatness,
    usual_range,
)
from evaluation.judgement import Fault, faults_of
from evaluation.recorded import Recorded
from evaluation.replay import replay, usable
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import (
    EvidenceKind,
    GatheringSettings,
    HealthPlan,
    Plant,
    QualitySettings,
    SignalPlan,
)
from monitor.diagnosis.shapley import Score
from training.baseline import NotEnoughHealth, learn_baseline
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
    config: BacktestConfig, recorded: Recorded, *, progress: Callable[[int], object] = lambda _: None
) -> Backtest:
    """Learn or load, score in batches, replay.

    Args:
        config: Of the machine.
        recorded: Its readings.
        progress: Told how many readings more are done.

    Raises:
        ConfigError: The model's signals are others than the configuration's.
        NotEnoughHealth: The healthy stretch is too short.
        training.bundle.BundleError: The bundle cannot be used.
    """
    learned = healthy_rows(config.healthy, recorded)
    if config.gathers and config.healthy is not None:
        # What came before was told to nobody who knew the machine.
        known = known_since(learned, recorded)
        recorded, learned = recorded.only(known), learned[known]
    score: Score | None = None
    plausible = [signal.plausible for signal in config.signals.values()]
    if config.model is None:
        good = usable(recorded.signals, plausible)
        probabilities = _by_baseline(config, recorded, learned & good)
    else:
        manifest = read_manifest(config.model.bundle)
        _check_signals(config, manifest)
        plausible = [
            bounds or (spec.minimum, spec.maximum)
            for bounds, spec in zip(plausible, manifest.signals, strict=True)
        ]
        good = usable(recorded.signals, plausible)
        model = (config.model.bundle / LITERT_FILE).read_bytes()
        probabilities = _by_model(model, recorded.signals)

        def score(rows: object) -> list[float]:
            return [float(p) for p in litert_probabilities(model, np.asarray(rows, np.float64))]

    plant = _plant(config, recorded, learned & good)
    alarms = replay(
        recorded,
        probabilities,
        Knowledge(plant, score),
        plausible=plausible,
        policy=config.policy(),
        progress=progress,
    )
    faults = None if config.labels is None else faults_of(config.labels, recorded)
    return Backtest(recorded, probabilities, plant, learned, alarms, faults)


def _plant(config: BacktestConfig, recorded: Recorded, healthy: Bools) -> Plant:
    """What the monitor would know: the configuration, and what the healthy stretch shows of the rest."""
    rows = recorded.signals[healthy]
    flatness = natural_flatness(rows) if len(rows) else [0] * len(config.signals)
    signals = {}
    for index, (name, table) in enumerate(config.signals.items()):
        if table.usual is None and not len(rows):
            raise NotEnoughHealth(
                f"no complete reading in the healthy stretch; expected at least {FEWEST_READINGS} to learn from"
            )
        flat = table.flat_readings
        if flat is None and config.quality.flat_readings is None:
            flat = max(_FEWEST_FLAT_READINGS, _FLAT_TIMES_NATURAL * flatness[index])
        try:
            signals[name] = SignalPlan(
                label=table.label,
                unit=table.unit,
                usual=table.usual or usual_range(rows[:, index]),
                worn_low=table.worn_low,
                worn_high=table.worn_high,
                flat_readings=flat,
            )
        except ValueError as error:
            raise ConfigError(f"signals.{name}: {error}") from error
    quality = {
        "spike_widths": config.quality.spike_widths,
        "spikes": config.quality.spikes,
        "silent_after_s": config.quality.silent_after_s
        or max(_LEAST_SILENCE_S, _SILENT_INTERVALS * recorded.interval_s()),
    }
    if config.quality.flat_readings is not None:
        quality["flat_readings"] = config.quality.flat_readings
    return Plant(
        signals=signals,
        mode=config.mode,
        inspect=config.inspect,
        maintenance=config.maintenance,
        quality=QualitySettings.model_validate(quality),
        trend=config.trend,
        **_evidence(config, recorded, healthy),
    )


def _evidence(config: BacktestConfig, recorded: Recorded, healthy: Bools) -> dict[str, Any]:
    """The tables of a plant's file that say how health is told."""
    if not config.gathers:
        return {} if config.evidence is None else {"evidence": config.evidence}
    settings = config.gathering or GatheringSettings()
    if config.healthy is not None:
        settings = gathering_settings(settings, healthy, recorded)
    return {"health": HealthPlan(evidence=EvidenceKind.GATHERING), "gathering": settings}


def _by_baseline(config: BacktestConfig, recorded: Recorded, healthy: Bools) -> Values:
    """Each device is learned from its own healthy stretch, as `fanwatch learn` learns a bundle."""
    # A row with a gap is refused by the replay, whatever its score.
    complete = np.nan_to_num(recorded.signals, posinf=0.0, neginf=0.0)
    probabilities = np.full(len(recorded), 0.5)
    for index, name in enumerate(recorded.devices):
        mine = recorded.device == index
        try:
            baseline = learn_baseline(recorded.signals[mine & healthy], tuple(config.signals))
        except NotEnoughHealth as error:
            raise NotEnoughHealth(f"device {name}: {error}") from error
        # Inference answers in float32.
        probabilities[mine] = baseline.probabilities(complete[mine]).astype(np.float32)
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
