"""The core: one model, loaded and tried, scoring rows. Knows nothing of HTTP."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.bundle import Manifest
from inference.bundle import Bundle, ModelUnusable
from inference.errors import BadBody, NotReady
from inference.runtimes import Rows, Runtime, load_runtime


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that has scored a row."""

    manifest: Manifest
    runtime: Runtime

    def score(self, rows: Rows) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
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


class ScoringService:
    """Holds the model of one process from the moment on which it can be served."""

    def __init__(self) -> None:
        self._served: ServedModel | None = None

    @property
    def is_ready(self) -> bool:
        """Whether a model is loaded and has scored a row."""
        return self._served is not None

    @property
    def served(self) -> ServedModel:
        """The model.

        Raises:
            NotReady: There is none yet.
        """
        if self._served is None:
            raise NotReady("the model is still being loaded; ask GET /v2/health/ready and try again")
        return self._served

    def load(self, bundle: Bundle, runtime_name: str) -> ServedModel:
        """Load the bundle's model, let it score one row, and serve it from now on.

        Raises:
            ModelUnusable: The runtime cannot use it, or it gives no probability for a reading in mid-range.
        """
        served = ServedModel(bundle.manifest, load_runtime(runtime_name, bundle))
        middle = [(spec.minimum + spec.maximum) / 2 for spec in bundle.manifest.signals]
        try:
            served.score(np.array([middle], dtype=np.float32))
        except (BadBody, RuntimeError, ValueError) as error:
            raise ModelUnusable(
                f"model {bundle.manifest.model_id} cannot score a reading in the middle of its ranges, "
                f"{middle}: {error}"
            ) from error
        self._served = served
        return served
