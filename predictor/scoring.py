"""The client of the scoring service, over the Open Inference Protocol (REST)."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import orjson
import requests
from pydantic import ValidationError

from contract.bundle import ModelSignature
from contract.scoring import FAULT_TENSOR, INPUT_TENSOR, PROBABILITY_TENSOR, ModelMetadata

_TRY_AGAIN = {HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


class ScoringUnavailable(Exception):  # noqa: N818 - a state of the service, not a mistake
    """No scores now: the service is away, not ready or failing. The same request may be tried again."""


class ScoringRefused(Exception):  # noqa: N818 - as above
    """The service says that these rows cannot be scored; the same request would be refused again."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What the service serves now."""

    name: str
    version: str
    signature: ModelSignature

    @property
    def model_id(self) -> str:
        """Name and version as verdicts carry them."""
        return f"{self.name}:{self.version}"


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of n rows."""

    version: str
    probabilities: Sequence[float]
    faults: Sequence[int]


class Scorer(Protocol):
    """What the predictor's core needs of a scoring service."""

    def served_model(self) -> ServedModel:
        """Ask what is served. Raises ScoringUnavailable."""

    def score(self, rows: Sequence[Sequence[float]]) -> Scores:
        """Score n rows of k values. Raises ScoringUnavailable or ScoringRefused."""


class HttpScorer:
    """One keep-alive connection to the scoring service; used by one thread."""

    def __init__(self, base_url: str, model_name: str, timeout_s: float) -> None:
        self._model_url = f"{base_url.rstrip('/')}/v2/models/{model_name}"
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.headers["Content-Type"] = "application/json"
        self._session.trust_env = False  # a proxy of the environment is not for the service next door

    def served_model(self) -> ServedModel:
        """Read the served model's name, version and signature.

        Raises:
            ScoringUnavailable: No usable answer.
        """
        response = self._request("GET", self._model_url)
        if response.status_code != HTTPStatus.OK:
            raise ScoringUnavailable(_describe(response))
        try:
            metadata = ModelMetadata.model_validate_json(response.content)
        except ValidationError as error:
            raise ScoringUnavailable(f"{self._model_url} is no model of the protocol: {error}") from error
        return ServedModel(metadata.name, metadata.versions[-1], metadata.parameters)

    def score(self, rows: Sequence[Sequence[float]]) -> Scores:
        """Score rows of shape [n, k], k in the order of the model's signature.

        Raises:
            ScoringUnavailable: No usable answer; try again.
            ScoringRefused: The service refused the rows.
        """
        body = orjson.dumps(
            {
                "inputs": [
                    {
                        "name": INPUT_TENSOR,
                        "datatype": "FP32",
                        "shape": [len(rows), len(rows[0])],
                        "data": [value for row in rows for value in row],
                    }
                ]
            }
        )
        response = self._request("POST", f"{self._model_url}/infer", body)
        status = response.status_code
        if 400 <= status < 500 and status not in _TRY_AGAIN:
            raise ScoringRefused(_describe(response))
        if status != HTTPStatus.OK:
            raise ScoringUnavailable(_describe(response))
        return _read_scores(response.content, len(rows))

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _request(self, method: str, url: str, body: bytes | None = None) -> requests.Response:
        try:
            return self._session.request(
                method, url, data=body, timeout=self._timeout_s, allow_redirects=False
            )
        except requests.RequestException as error:
            raise ScoringUnavailable(f"{method} {url}: {error}") from error


def _read_scores(body: bytes, n: int) -> Scores:
    try:
        answer = orjson.loads(body)
        tensors = {tensor["name"]: tensor["data"] for tensor in answer["outputs"]}
        scores = Scores(answer["model_version"], tensors[PROBABILITY_TENSOR], tensors[FAULT_TENSOR])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ScoringUnavailable(f"answer is not of the protocol: {error!r}") from error
    if len(scores.probabilities) != n or len(scores.faults) != n:
        raise ScoringUnavailable(f"answer holds {len(scores.probabilities)} scores for {n} rows")
    return scores


def _describe(response: requests.Response) -> str:
    return f"{response.request.method} {response.url} answered {response.status_code}: {response.text[:300]}"
