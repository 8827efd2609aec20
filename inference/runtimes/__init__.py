"""What computes a model: one small interface, and the runtimes behind it, each loaded when it is chosen."""

from importlib import import_module
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from inference.bundle import Bundle
from inference.errors import ModelUnusable

Rows = npt.NDArray[np.float32]
"""[n, k], each column in its signal's unit, in the manifest's order."""


class Runtime(Protocol):
    """A loaded model. Safe to call from several threads at a time."""

    @property
    def platform(self) -> str:
        """What GET /v2/models/NAME says of it."""

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Score rows [n, k], n at least 1: [n] probabilities of a fault."""


AUTO: Final = "auto"
HANDLER: Final = "handler"
RUNTIMES: Final = {
    "litert": ("inference.runtimes.litert", "inference"),
    "onnx": ("inference.runtimes.onnx", "onnx"),
    "tensorflow": ("inference.runtimes.tensorflow", "tensorflow"),
    HANDLER: ("inference.runtimes.handler", "inference"),
}
"""Each runtime's module, and the extra of the project that installs what it needs."""

_BY_FILE: Final = {"model.tflite": "litert", "model.onnx": "onnx", "model.keras": "tensorflow"}
"""What computes a bundle that holds such a file: the lightest first, where it holds several."""


def load_runtime(name: str, bundle: Bundle, *, allow_handlers: bool = False) -> Runtime:
    """Load the bundle's model with the named runtime, or with the one that fits what it holds (``auto``).

    Args:
        name: Of the runtime, or ``auto``.
        bundle: Verified.
        allow_handlers: Whether those whose signature is good may bring code.

    Raises:
        ModelUnusable: The runtime is unknown or not installed, it cannot use the bundle's file, or the bundle's code
            may not be run.
    """
    if name == AUTO:
        name = _fitting(bundle)
    if name not in RUNTIMES:
        raise ModelUnusable(f"runtime {name!r} is unknown; expected one of {', '.join((AUTO, *RUNTIMES))}")
    if name == HANDLER:
        _refuse_code(bundle, allow_handlers=allow_handlers)
    module, extra = RUNTIMES[name]
    try:
        load = import_module(module).load
    except ImportError as error:
        raise ModelUnusable(
            f"runtime {name} is not installed ({error}); install the extra: pip install 'fanwatch[{extra}]'"
        ) from error
    runtime: Runtime = load(bundle)
    return runtime


def _fitting(bundle: Bundle) -> str:
    if bundle.manifest.handler:
        return HANDLER  # never a model file beside it: that alone would give other scores
    for file, runtime in _BY_FILE.items():
        if file in bundle.files:
            return runtime
    raise ModelUnusable(
        f"bundle {bundle.manifest.model_id} holds {', '.join(sorted(bundle.files))}; expected one of "
        f"{', '.join(_BY_FILE)}, or a handler"
    )


def _refuse_code(bundle: Bundle, *, allow_handlers: bool) -> None:
    model = bundle.manifest.model_id
    if not bundle.manifest.handler:
        raise ModelUnusable(f"the manifest of {model} does not say that a handler computes it")
    if not bundle.is_signed:
        raise ModelUnusable(
            f"{model} is computed by a handler, which is code, and its signature was not looked at; code is run from "
            "signed bundles only: leave FANWATCH_ALLOW_UNSIGNED_MODELS off"
        )
    if not allow_handlers:
        raise ModelUnusable(
            f"{model} is computed by a handler, which is code; FANWATCH_ALLOW_HANDLERS=true lets those whose keys "
            "stand in FANWATCH_MODEL_PUBLIC_KEYS run code here"
        )


def file_of(bundle: Bundle, name: str, runtime: str) -> bytes:
    """The verified content of the file that a runtime needs.

    Raises:
        ModelUnusable: The bundle has no such file.
    """
    try:
        return bundle.files[name]
    except KeyError:
        raise ModelUnusable(
            f"bundle {bundle.manifest.model_id} holds no {name}, which runtime {runtime} needs; "
            f"it holds {', '.join(sorted(bundle.files))}"
        ) from None
