"""The model: a small network in Keras with its normalisation inside, and its calibration."""

from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from tqdm.keras import TqdmCallback

from contract.scoring import INPUT_TENSOR, PROBABILITY_TENSOR
from training.dataset import DataSet, Split
from training.recipe import Recipe, TrainingFailed

_LOGIT = "logit"


@dataclass(frozen=True)
class Trained:
    """A calibrated model (signals [n, k] to probability [n, 1]) and the loss of each epoch by the part's name."""

    model: keras.Model
    losses: dict[str, list[float]]


def train(parts: Split, recipe: Recipe, *, progress: bool = True) -> Trained:
    """Fit on parts.fit and calibrate on parts.validation; the same data and recipe give the same model.

    Args:
        parts: The data.
        recipe: How.
        progress: Show a progress bar on stderr.

    Raises:
        TrainingFailed: The fitted network does not rank faults above healthy rows.
    """
    keras.utils.set_random_seed(recipe.seed)
    tf.config.experimental.enable_op_determinism()
    logits = _network(parts.fit.signals, recipe)
    batch_rows = recipe.batch_for(len(parts.fit))
    steps = recipe.epochs * -(-len(parts.fit) // batch_rows)
    logits.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    history = logits.fit(
        *_arrays(parts.fit),
        validation_data=_arrays(parts.validation),
        batch_size=batch_rows,
        epochs=recipe.epochs,
        verbose=0,
        callbacks=[TqdmCallback(verbose=0, desc="training")] if progress else [],
    )
    _calibrate(logits, parts.validation)
    probability = keras.layers.Activation("sigmoid", name=PROBABILITY_TENSOR)(logits.output)
    return Trained(
        keras.Model(logits.input, probability, name="fanwatch"),
        {"fit": history.history["loss"], "validation": history.history["val_loss"]},
    )


def probabilities(model: keras.Model, signals: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scores of signals [n, k] by Keras itself: [n]."""
    return np.asarray(model(signals.astype(np.float32), training=False), dtype=np.float64)[:, 0]


def _network(signals: npt.NDArray[np.float64], recipe: Recipe) -> keras.Model:
    """Signals [n, k] to logit [n, 1].

    Each signal is scaled so that the fitted rows span -1 to 1, and clipped there: what lies outside of everything
    seen is judged as the nearest that was seen, where an unclipped network would extrapolate to anything.
    """
    low, high = signals.min(axis=0), signals.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    tensor = keras.Input((signals.shape[1],), name=INPUT_TENSOR)
    hidden = keras.layers.Rescaling(
        scale=(2 / span).tolist(), offset=(-1 - 2 * low / span).tolist(), name="normalisation"
    )(tensor)
    hidden = keras.ops.clip(hidden, -1.0, 1.0)
    for units in recipe.hidden:
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    return keras.Model(tensor, keras.layers.Dense(1, name=_LOGIT)(hidden))


def _calibrate(logits: keras.Model, validation: DataSet) -> None:
    """Platt scaling (Platt, 1999), folded into the last layer: logit becomes a*logit + b.

    The two numbers are a logistic regression of the labels on the logits of rows that were not fitted; its slight
    regularisation keeps them finite when those rows can be told apart without an error.
    """
    raw = np.asarray(logits(validation.signals.astype(np.float32), training=False), dtype=np.float64)
    regression = LogisticRegression(C=1.0).fit(raw, validation.labels)
    slope, shift = float(regression.coef_[0, 0]), float(regression.intercept_[0])
    if not slope > 0:
        raise TrainingFailed(
            f"the network does not rank faults above healthy rows (slope {slope:.3g}): "
            "check the labels, or train for more epochs"
        )
    layer = logits.get_layer(_LOGIT)
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel * slope, bias * slope + shift])


def _arrays(data: DataSet) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    return data.signals.astype(np.float32), data.labels.astype(np.float32)[:, np.newaxis]
