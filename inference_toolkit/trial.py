"""A trial: the scoring service runs with the model, and is asked over HTTP, as the predictor asks it.

Nothing here computes a model: what is checked and measured is what will be served.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import requests

from contract.bundle import Manifest
from contract.scoring import FAULT_TENSOR, INPUT_TENSOR, PROBABILITY_TENSOR, InferResponse, ModelMetadata
from inference_toolkit.errors import ToolkitError
from inference_toolkit.processes import Service, scoring
from inference_toolkit.source import Packed
from inference_toolkit.table import Table

_TIMEOUT_S = 30
_WARM_UP = 50
_SAME = 1e-4


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        what: In a few words.
        found: What it is.
        passed: Whether that will do.
    """

    what: str
    found: str
    passed: bool


@dataclass(frozen=True)
class Scores:
    """What the service says of n rows: probability [n], fault [n]."""

    probability: npt.NDArray[np.float64]
    fault: npt.NDArray[np.int64]


class Client:
    """Asks a scoring service in the Open Inference Protocol, over one kept connection."""

    def __init__(self, service: Service, model: str) -> None:
        self._url = f"{service.url}/v2/models/{model}"
        self._session = requests.Session()

    def metadata(self) -> ModelMetadata:
        """What the service says of the model."""
        answer = self._session.get(self._url, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        return ModelMetadata.model_validate_json(answer.content)

    def infer(self, rows: npt.NDArray[np.float64]) -> Scores:
        """Score rows [n, k].

        Raises:
            ToolkitError: The service refuses them; with its reason.
        """
        tensor = {
            "name": INPUT_TENSOR,
            "datatype": "FP32",
            "shape": list(rows.shape),
            "data": rows.ravel().tolist(),
        }
        answer = self._session.post(f"{self._url}/infer", json={"inputs": [tensor]}, timeout=_TIMEOUT_S)
        if not answer.ok:
            raise ToolkitError(f"the service answers {answer.status_code}: {answer.text[:300]}")
        outputs = {
            output.name: output.data for output in InferResponse.model_validate_json(answer.content).outputs
        }
        return Scores(np.array(outputs[PROBABILITY_TENSOR]), np.array(outputs[FAULT_TENSOR], dtype=np.int64))


def try_out(packed: Packed, *, requests_of_one_row: int = 500) -> list[Check]:
    """Run the service with a bundle and look at everything that is promised of it.

    Args:
        packed: The bundle, with its sample.
        requests_of_one_row: So many are timed.

    Raises:
        ToolkitError: The service does not take the model, or refuses the sample.
    """
    if packed.sample is None:
        raise ToolkitError("a bundle is tried on rows of its machine: name a CSV with --sample")
    with scoring(packed) as service:
        client = Client(service, packed.manifest.name)
        checks = [
            _metadata(client.metadata(), packed.manifest),
            _ranges(packed.sample, packed.manifest),
            *_sample(client, packed.sample, packed.limits.agreement),
        ]
        seconds = _seconds(client, packed.sample.signals, requests_of_one_row)
        return [*checks, *_cost(seconds, service.memory_mib(), packed)]


def _metadata(told: ModelMetadata, manifest: Manifest) -> Check:
    same = (
        told.versions == [manifest.version]
        and told.parameters.signals == manifest.signals
        and told.parameters.threshold == manifest.threshold
    )
    return Check("served as", f"{manifest.model_id} by {told.platform}", same)


def _ranges(sample: Table, manifest: Manifest) -> Check:
    strangers = [
        spec.name
        for spec, column in zip(manifest.signals, sample.signals.T, strict=True)
        if column.min() < spec.minimum or column.max() > spec.maximum
    ]
    found = (
        f"out of range: {', '.join(strangers[:5])}" if strangers else f"{len(sample.signals)} rows in range"
    )
    return Check("sample", found, not strangers)


def _sample(client: Client, sample: Table, agreement: float) -> list[Check]:
    together = client.infer(sample.signals)
    alone = np.concatenate([client.infer(row[None]).probability for row in sample.signals[:20]])
    furthest = float(np.abs(together.probability[: len(alone)] - alone).max())
    checks = [Check("a row alone and among others", f"differ by {furthest:.1e}", furthest <= _SAME)]
    if sample.faults is None:
        return checks
    agrees = together.fault == sample.faults
    found = f"{int(agrees.sum())} of {len(agrees)} rows as the sample says (at least {agreement:.0%})"
    return [*checks, Check("fault", found, float(agrees.mean()) >= agreement)]


def _seconds(client: Client, rows: npt.NDArray[np.float64], count: int) -> list[float]:
    taken = []
    for number in range(_WARM_UP + count):
        row = rows[number % len(rows)][None]
        began = time.perf_counter()
        client.infer(row)
        taken.append(time.perf_counter() - began)
    return taken[_WARM_UP:]


def _cost(seconds: Sequence[float], memory_mib: float, packed: Packed) -> list[Check]:
    p50, p99 = (1000 * float(value) for value in np.percentile(seconds, (50, 99)))
    limits = packed.limits
    return [
        Check("latency p50", f"{p50:.2f} ms for a request of one row", passed=True),
        Check("latency p99", f"{p99:.2f} ms (at most {limits.p99_ms:g})", p99 <= limits.p99_ms),
        Check(
            "memory", f"{memory_mib:.0f} MiB (at most {limits.memory_mib:g})", memory_mib <= limits.memory_mib
        ),
    ]
