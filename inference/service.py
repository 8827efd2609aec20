"""The core: one model, loaded and tried, scoring rows. Knows nothing of HTTP."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from contract.bundle import Manifest
from inference.bundle import Bundle
from inference.errors import BadBody, ModelUnusable, NotReady
from inference.runtimes import Rows, Runtime, load_runtime

Faults = npt.NDArray[np.int32]
"""[n], 1 where a reading is called a fault, else 0."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that has scored a row."""

    manifest: Manifest
    runtime: Runtime

    def score(self, rows: Rows) -> tuple[npt.NDArray[np.float32], Faults]:
        """Score rows, float32 [n, k] and finite.

        Returns:
            Probability of a fault, float32 [n]; fault, int32 [n], 1 where it reaches the manifest's threshold.

        Raises:
            BadBody: The model gives no probability for a row, which only values far from anything real bring about.
        """
        probability = self.runtime.probabilities(rows)
        # Ufuncs stay in C, where .all() and its like pass through Python; a NaN is neither.
        if not (np.minimum.reduce(probability) >= 0 and np.maximum.reduce(probability) <= 1):
            valid = (probability >= 0) & (probability <= 1)
            row = int(np.argmin(valid))
            raise BadBody(
                f"row {row}: the model gives {probability[row]} instead of a probability; "
                "expected values within the plausible ranges of GET /v2/models/" + self.manifest.name
            )
        return probability, (probability >= np.float32(self.manifest.threshold)).astype(np.int32)


def load_model(bundle: Bundle, runtime_name: str, *, allow_handlers: bool = False) -> ServedModel:
    """Load the bundle's model and let it score one row (runtimes/__init__.py describes the arguments).

    Raises:
        ModelUnusable: The runtime cannot use it, or it gives no probability for a reading in mid-range.
    """
    model = ServedModel(bundle.manifest, load_runtime(runtime_name, bundle, allow_handlers=allow_handlers))
    middle = [(spec.minimum + spec.maximum) / 2 for spec in bundle.manifest.signals]
    try:
        model.score(np.array([middle], dtype=np.float32))
    except (BadBody, RuntimeError, ValueError) as error:
        raise ModelUnusable(
            f"model {bundle.manifest.model_id} cannot score a reading in the middle of its ranges, "
            f"{middle}: {error}"
        ) from error
    return model


class Witness(Protocol):
    """Sees what the served model does, in the thread that answers the request."""

    def scored(self, model: ServedModel, rows: Rows, fault: Faults, seconds: float) -> None:
        """It has scored rows, and took so long."""

    def failed(self, model: ServedModel, rows: Rows, seconds: float) -> None:
        """It gave no probabilities for rows."""


class ScoringService:
    """Holds the model that one process serves, from the moment on which there is one.

    Args:
        witnesses: Who sees every call of it.
        on_switch: Told of the model that is served from now on, and of the one before.
    """

    def __init__(
        self,
        witnesses: Sequence[Witness] = (),
        on_switch: Callable[[ServedModel, ServedModel | None], None] = lambda _model, _before: None,
    ) -> None:
        self._witnesses = witnesses
        self._on_switch = on_switch
        self._served: ServedModel | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there is a model."""
        return self._served is not None

    @property
    def served(self) -> ServedModel:
        """The model. Who has asked once keeps it for the whole of a request, whatever is served meanwhile.

        Raises:
            NotReady: There is none yet.
        """
        if self._served is None:
            raise NotReady("the model is still being loaded; ask GET /v2/health/ready and try again")
        return self._served

    def serve(self, model: ServedModel) -> None:
        """Serve this model from the next request on."""
        before, self._served = self._served, model
        self._on_switch(model, before)

    def score(self, model: ServedModel, rows: Rows) -> tuple[npt.NDArray[np.float32], Faults]:
        """Score rows with the model that the request has taken; see ServedModel.score."""
        began = time.perf_counter()
        try:
            probability, fault = model.score(rows)
        except Exception:
            for witness in self._witnesses:
                witness.failed(model, rows, time.perf_counter() - began)
            raise
        for witness in self._witnesses:
            witness.scored(model, rows, fault, time.perf_counter() - began)
        return probability, fault
