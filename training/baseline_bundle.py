"""A baseline as a bundle: the same formula as a Keras graph of fixed weights, so that inference serves it as it is."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from contract.bundle import Manifest, ModelSignature, SignalSpec
from contract.scoring import INPUT_TENSOR, PROBABILITY_TENSOR
from training.baseline import Baseline
from training.bundle import write_bundle

THRESHOLD = 0.5


def baseline_network(baseline: Baseline) -> keras.Model:
    """Signals [n, k] in their units to probability [n, 1], float32."""
    signals = len(baseline.names)
    tensor = keras.Input((signals,), name=INPUT_TENSOR)
    # The center is subtracted first: scaled by a small tolerance, a float32 would lose the last digits of 230 V.
    centered = keras.layers.Rescaling(1.0, offset=(-baseline.center).tolist(), name="center")(tensor)
    scaled = keras.layers.Rescaling((1 / baseline.tolerance).tolist(), name="tolerance")(centered)
    whitened = keras.layers.Dense(signals, use_bias=False, name="whitening")(scaled)
    distance = keras.ops.mean(keras.ops.square(whitened), axis=1, keepdims=True)
    odds = keras.layers.Rescaling(baseline.odds_scale, offset=baseline.odds_shift, name="log_odds")(
        keras.ops.log(distance + 1.0)
    )
    probability = keras.layers.Activation("sigmoid", name=PROBABILITY_TENSOR)(odds)
    network = keras.Model(tensor, probability, name="baseline")
    network.get_layer("whitening").set_weights([baseline.whitening.astype(np.float32)])
    return network


def write_baseline_bundle(
    folder: Path,
    baseline: Baseline,
    healthy: npt.NDArray[np.float64],
    signals: Sequence[SignalSpec],
    *,
    name: str,
    version: str = "1",
    metrics: Mapping[str, float] | None = None,
    overwrite: bool = False,
) -> Manifest:
    """Write the bundle that serves a baseline.

    Args:
        folder: Where to.
        baseline: What was learned.
        healthy: The rows [n, k] that it was learned from; the manifest holds their digest.
        signals: Names, units and plausible ranges, in the order of the columns.
        name: Of the model.
        version: Of the model.
        metrics: Figures by name; the share of healthy rows that it calls a fault is added.
        overwrite: Replace what stands there.

    Raises:
        ValueError: The signals are not those of the baseline.
        training.bundle.BundleError: The folder is there already and overwrite is false.
    """
    if tuple(spec.name for spec in signals) != baseline.names:
        raise ValueError(
            f"the baseline knows {', '.join(baseline.names)}; expected the same signals in the same order, "
            f"got {', '.join(spec.name for spec in signals)}"
        )
    false_alarms = float(np.mean(baseline.probabilities(healthy) >= THRESHOLD))
    return write_bundle(
        folder,
        baseline_network(baseline),
        name=name,
        version=version,
        signature=ModelSignature(signals=tuple(signals), threshold=THRESHOLD),
        metrics={"healthy_rows": float(len(healthy)), "false_alarm_rate_healthy": false_alarms}
        | dict(metrics or {}),
        training_data_sha256=hashlib.sha256(np.ascontiguousarray(healthy).tobytes()).hexdigest(),
        training_rows=healthy,
        overwrite=overwrite,
    )
