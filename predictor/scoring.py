"""The client of the scoring service, over the Open Inference Protocol (REST)."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

import orjson
from pydantic import ValidationError

from contract.bundle import ModelSignature
from contract.scoring import FAULT_TENSOR, INPUT_TENSOR, PROBABILITY_TENSOR, ModelMetadata
from predictor.http_connection import HttpConnection

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


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    of: str
    """The request, for an error."""

    def __str__(self) -> str:
        return f"{self.of} answered {self.status}: {self.body[:300].decode(errors='replace')}"


class HttpScorer:
    """The scoring service at the other end of one connection; used by one thread."""

    def __init__(self, base_url: str, model_name: str, timeout_s: float) -> None:
        url = urlsplit(base_url)
        self._connection = HttpConnection(base_url, timeout_s)
        self._model_path = f"{url.path.rstrip('/')}/v2/models/{model_name}"
        self._base_url = f"{url.scheme}://{url.netloc}"

    def served_model(self) -> ServedModel:
        """Read the served model's name, version and signature.

        Raises:
            ScoringUnavailable: No usable answer.
        """
        answer = self._request("GET", self._model_path)
        if answer.status != HTTPStatus.OK:
            raise ScoringUnavailable(str(answer))
        try:
            metadata = ModelMetadata.model_validate_json(answer.body)
        except ValidationError as error:
            raise ScoringUnavailable(f"{answer.of} gives no model of the protocol: {error}") from error
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
        answer = self._request("POST", f"{self._model_path}/infer", body)
        if 400 <= answer.status < 500 and answer.status not in _TRY_AGAIN:
            raise ScoringRefused(str(answer))
        if answer.status != HTTPStatus.OK:
            raise ScoringUnavailable(str(answer))
        return _read_scores(answer.body, len(rows))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _request(self, method: str, path: str, body: bytes = b"") -> _Answer:
        of = f"{method} {self._base_url}{path}"
        was_open = self._connection.is_open
        try:
            try:
                status, content = self._connection.ask(method, path, body)
            except ConnectionError:
                if not was_open:
                    raise
                # The service has closed an idle connection: scoring is pure, ask again.
                status, content = self._connection.ask(method, path, body)
        except (OSError, ValueError) as error:
            raise ScoringUnavailable(f"{of}: {error!r}") from error
        return _Answer(status, content, of)


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
