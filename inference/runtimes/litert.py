"""LiteRT: small and quick, the default."""

import threading

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from inference.bundle import Bundle
from inference.errors import ModelUnusable
from inference.runtimes import Rows, file_of

_FILE = "model.tflite"


class LiteRTRuntime:
    """One interpreter a thread: an interpreter owns its tensors and must not be shared (LiteRT's documentation).

    Each takes 0.3 ms to make and some kilobytes, so none is made before a thread needs it.
    """

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._own = threading.local()

    @property
    def platform(self) -> str:
        """As the protocol's metadata names it."""
        return "litert"

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Score rows [n, k]: [n]."""
        interpreter: _Interpreter | None = getattr(self._own, "interpreter", None)
        if interpreter is None:
            interpreter = self._own.interpreter = _Interpreter(self._model)
        return interpreter.probabilities(rows)


class _Interpreter:
    def __init__(self, model: bytes) -> None:
        # One thread of its own: batches are small, and the service's threads already share the cores.
        self._interpreter = Interpreter(model_content=model, num_threads=1)
        self.inputs = self._interpreter.get_input_details()
        self.outputs = self._interpreter.get_output_details()
        self._rows = 0

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float32]:
        source = self.inputs[0]["index"]
        if len(rows) != self._rows:
            self._rows = 0  # until the new size is allocated, there is none
            self._interpreter.resize_tensor_input(source, rows.shape)
            self._interpreter.allocate_tensors()
            self._rows = len(rows)
        self._interpreter.set_tensor(source, rows)
        self._interpreter.invoke()
        # get_tensor copies, so the next call does not overwrite what this one returned.
        scores: npt.NDArray[np.float32] = self._interpreter.get_tensor(self.outputs[0]["index"])
        return scores.reshape(-1)


def load(bundle: Bundle) -> LiteRTRuntime:
    """Load model.tflite.

    Raises:
        ModelUnusable: The file is missing, no LiteRT model, or not float32 [n, k] in and [n, 1] out.
    """
    model = file_of(bundle, _FILE, "litert")
    try:
        probe = _Interpreter(model)
    except (ValueError, RuntimeError) as error:
        raise ModelUnusable(f"{_FILE}: is no LiteRT model: {error}") from error
    columns = len(bundle.manifest.signals)
    inputs, outputs = ([_describe(tensor) for tensor in side] for side in (probe.inputs, probe.outputs))
    if inputs != [f"float32[-1, {columns}]"] or outputs not in (["float32[-1, 1]"], ["float32[-1]"]):
        raise ModelUnusable(
            f"{_FILE}: takes {inputs} and gives {outputs}; expected float32[-1, {columns}] (the manifest has "
            f"{columns} signals) and float32[-1, 1], -1 being the number of rows"
        )
    return LiteRTRuntime(model)


def _describe(tensor: dict[str, npt.NDArray[np.int32]]) -> str:
    return f"{np.dtype(tensor['dtype']).name}{tensor['shape_signature'].tolist()}"
