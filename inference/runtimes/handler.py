"""Handler: a model that brings its own Python, handler.py in the bundle, for what no model format can say.

It is code that runs with the rights of this service, so it is asked for three times: the manifest says ``handler``,
one of our keys has signed the bundle, and FANWATCH_ALLOW_HANDLERS says that the signers may bring code. What is
compiled are the bytes whose signature was checked; handler.py is never imported from the disk, and no folder of the
bundle is searched for modules. It may import what is installed beside the service.
"""

import hashlib
import sys
import threading
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.bundle import Bundle
from inference.errors import ModelUnusable
from inference.runtimes import Rows, file_of

_FILE = "handler.py"
_CLASS = "Handler"
_METHODS = ("load", "preprocess", "predict", "postprocess")


class HandlerFailed(RuntimeError):  # noqa: N818 - it names the state
    """The bundle's own code raised something, or gave something else than probabilities."""


class HandlerRuntime:
    """One handler, called by one thread at a time: few people write code that bears more."""

    def __init__(self, handler: Any, name: str) -> None:  # noqa: ANN401 - the bundle's own class
        self._handler = handler
        self._name = name
        self._one_at_a_time = threading.Lock()

    @property
    def platform(self) -> str:
        """As the protocol's metadata names it."""
        return "fanwatch_handler"

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Score rows [n, k]: [n].

        Raises:
            HandlerFailed: The handler did.
        """
        handler = self._handler
        try:
            with self._one_at_a_time:
                scores = np.asarray(
                    handler.postprocess(handler.predict(handler.preprocess(rows))), dtype=np.float32
                )
        except (Exception, SystemExit) as error:
            raise HandlerFailed(f"{self._name}: {type(error).__name__}: {error}") from error
        if scores.shape not in {(len(rows),), (len(rows), 1)}:
            raise HandlerFailed(
                f"{self._name}: postprocess gave {list(scores.shape)} for {len(rows)} rows; "
                f"expected [{len(rows)}], one probability a row"
            )
        return scores.reshape(-1)


def load(bundle: Bundle) -> HandlerRuntime:
    """Run handler.py of a bundle, and let its Handler load what else the bundle holds.

    The caller has made sure that it may be run (inference/runtimes/__init__.py).

    Raises:
        ModelUnusable: The file is missing, cannot be run, or has no Handler as described in docs/toolkit.md.
    """
    name = f"{_FILE} of {bundle.manifest.model_id}"
    source = file_of(bundle, _FILE, "handler")
    try:
        handler = _made(source, name)
        handler.load({file: content for file, content in bundle.files.items() if file != _FILE})
    except ModelUnusable:
        raise
    except (Exception, SystemExit) as error:
        raise ModelUnusable(f"{name}: cannot be loaded: {type(error).__name__}: {error}") from error
    return HandlerRuntime(handler, name)


def _made(source: bytes, name: str) -> Any:  # noqa: ANN401 - the bundle's own class
    # Under a name of its own: a champion and its challenger may both have one, and dataclasses look their module up.
    module = ModuleType(f"fanwatch_handler_{hashlib.sha256(source).hexdigest()[:16]}")
    sys.modules[module.__name__] = module
    exec(compile(source, name, "exec"), module.__dict__)  # noqa: S102 - what this runtime is for; see above
    handler_class = getattr(module, _CLASS, None)
    if handler_class is None:
        raise ModelUnusable(f"{name}: has no class {_CLASS}")
    handler = handler_class()
    missing = [method for method in _METHODS if not callable(getattr(handler, method, None))]
    if missing:
        raise ModelUnusable(
            f"{name}: class {_CLASS} has no {', '.join(missing)}; expected {', '.join(_METHODS)}"
        )
    return handler
