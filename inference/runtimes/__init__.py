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


RUNTIMES: Final = {
    "litert": ("inference.runtimes.litert", "inference"),
    "tensorflow": ("inference.runtimes.tensorflow", "tensorflow"),
}
"""Each runtime's module, and the extra of the project that installs what it needs."""


def load_runtime(name: str, bundle: Bundle) -> Runtime:
    """Load the bundle's model with the named runtime.

    Raises:
        ModelUnusable: The runtime is unknown or not installed, or it cannot use the bundle's file.
    """
    if name not in RUNTIMES:
        raise ModelUnusable(f"runtime {name!r} is unknown; expected one of {', '.join(RUNTIMES)}")
    module, extra = RUNTIMES[name]
    try:
        load = import_module(module).load
    except ImportError as error:
        raise ModelUnusable(
            f"runtime {name} is not installed ({error}); install the extra: pip install 'fanwatch[{extra}]'"
        ) from error
    runtime: Runtime = load(bundle)
    return runtime


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
