"""ONNX Runtime: models of scikit-learn, PyTorch and others, exported as model.onnx.

Custom operators are code; no library of them is ever registered here, so a model that needs one does not load.
"""

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from inference.bundle import Bundle
from inference.errors import ModelUnusable
from inference.runtimes import Rows, file_of

_FILE = "model.onnx"
_FLOAT = "tensor(float)"
_ERRORS_ONLY = 3
_ROUNDING = 1e-5


class OnnxRuntime:
    """One session for all threads: run() may be called from several at a time (ONNX Runtime's documentation)."""

    def __init__(self, session: ort.InferenceSession, columns: int) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [_probability_output(session, columns).name]

    @property
    def platform(self) -> str:
        """As the protocol's metadata names it."""
        return "onnxruntime_onnx"

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Score rows [n, k]: [n]."""
        [scores] = self._session.run(self._outputs, {self._input: rows})
        # A classifier gives [n, 2], a probability for each class; the second is the fault.
        found: npt.NDArray[np.float32] = np.ascontiguousarray(scores.reshape(len(rows), -1)[:, -1])
        # A forest adds up the votes of its trees in float32, and may end at 1.0000001.
        np.copyto(found, np.clip(found, 0, 1), where=np.abs(found - np.float32(0.5)) <= 0.5 + _ROUNDING)
        return found


def load(bundle: Bundle) -> OnnxRuntime:
    """Load model.onnx.

    Raises:
        ModelUnusable: The file is missing, no ONNX model that this runtime knows, or not float32 [n, k] in and [n],
            [n, 1] or [n, 2] out.
    """
    content = file_of(bundle, _FILE, "onnx")
    options = ort.SessionOptions()
    # One thread: batches are small, and the service's threads already share the cores.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    try:
        session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no base of their own
        raise ModelUnusable(f"{_FILE}: is no ONNX model that can be used: {error}") from error
    return OnnxRuntime(session, len(bundle.manifest.signals))


def _probability_output(session: ort.InferenceSession, columns: int) -> ort.NodeArg:
    inputs = session.get_inputs()
    fitting = [output for output in session.get_outputs() if _gives_probabilities(output)]
    takes = inputs[0].shape if len(inputs) == 1 and inputs[0].type == _FLOAT else []
    if len(takes) != 2 or isinstance(takes[0], int) or takes[1] not in {columns, None} or len(fitting) != 1:
        raise ModelUnusable(
            f"{_FILE}: takes {_described(inputs)} and gives {_described(session.get_outputs())}; expected "
            f"{_FLOAT}[n, {columns}] (the manifest has {columns} signals), and one {_FLOAT} output [n], [n, 1] or "
            "[n, 2] (the second of two columns being the fault), n being free"
        )
    return fitting[0]


def _gives_probabilities(output: ort.NodeArg) -> bool:
    shape = output.shape
    return output.type == _FLOAT and len(shape) in {1, 2} and (len(shape) == 1 or shape[1] in {1, 2})


def _described(tensors: list[ort.NodeArg]) -> str:
    return ", ".join(f"{tensor.type}{tensor.shape}" for tensor in tensors)
