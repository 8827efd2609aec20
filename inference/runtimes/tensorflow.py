"""TensorFlow: the model as it was trained, where LiteRT has no build or lacks an operator."""

import os
import tempfile
from pathlib import Path
from typing import Any

# Before the import: its notes about instruction sets are no JSON log lines.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from inference.bundle import Bundle
from inference.errors import ModelUnusable
from inference.runtimes import Rows, file_of

_FILE = "model.keras"


class TensorFlowRuntime:
    """A Keras model traced into one graph; a graph may be called from any thread.

    ``model.predict`` would cost 90 ms a call: it builds a data pipeline each time.
    """

    def __init__(self, model: keras.Model, columns: int) -> None:
        signature = [tf.TensorSpec([None, columns], tf.float32)]
        self._graph: Any = tf.function(
            lambda rows: model(rows, training=False), input_signature=signature
        ).get_concrete_function()

    @property
    def platform(self) -> str:
        """As the protocol's metadata names it."""
        return "tensorflow_keras"

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Score rows [n, k]: [n]."""
        scores: npt.NDArray[np.float32] = self._graph(tf.constant(rows)).numpy()
        return scores.reshape(-1)


def load(bundle: Bundle) -> TensorFlowRuntime:
    """Load model.keras.

    Raises:
        ModelUnusable: The file is missing, no Keras model, or not [n, k] in and [n, 1] out.
    """
    content = file_of(bundle, _FILE, "tensorflow")
    columns = len(bundle.manifest.signals)
    try:
        # Keras loads from a path only. The copy holds the bytes whose digest was checked.
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch, _FILE)
            path.write_bytes(content)
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        why = str(error).rsplit("Exception encountered: ", 1)[-1]  # before it Keras quotes the whole model
        raise ModelUnusable(f"{_FILE}: is no Keras model: {why[:300]}") from error
    if model.input_shape != (None, columns) or model.output_shape not in ((None, 1), (None,)):
        raise ModelUnusable(
            f"{_FILE}: takes {model.input_shape} and gives {model.output_shape}; expected (None, {columns}) "
            f"(the manifest has {columns} signals) and (None, 1)"
        )
    return TensorFlowRuntime(model, columns)
