"""One infer request, body in and body out; and the short way to it, past the framework that serves all the rest.

Flask's own work for a request, an empty one too, takes 0.04 ms, and 0.4 ms on a machine that has cooled down since the
last (docs/performance.md). So the call that comes hundreds of times a second is answered in a WSGI middleware of the
application when nothing about it is unusual. Whatever is, an error included, goes to Flask, which knows every answer.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from contract.scoring import FAULT_TENSOR, PROBABILITY_TENSOR
from inference.decoding import decode_infer
from inference.errors import RequestError
from inference.metrics import InferenceMetrics
from inference.service import ScoringService, ServedModel

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ENDPOINT: Final = "infer"
"""As the metrics name it, whichever way it goes."""


@dataclass(frozen=True, slots=True)
class Inference:
    """An answer, and what the metrics say of it."""

    body: bytes
    rows: int
    faults: int


def answer_infer(service: ScoringService, served: ServedModel, body: bytes, max_rows: int) -> Inference:
    """Answer the body of POST /v2/models/NAME/infer.

    Raises:
        RequestError: It cannot be answered; with what was expected.
    """
    call = decode_infer(body, served.manifest.signals, max_rows)
    probability, fault = service.score(served, call.rows)
    n = len(fault)
    tensors = (
        {"name": PROBABILITY_TENSOR, "datatype": "FP32", "shape": [n], "data": probability},
        {"name": FAULT_TENSOR, "datatype": "INT32", "shape": [n], "data": fault},
    )
    answer: dict[str, Any] = {
        "model_name": served.manifest.name,
        "model_version": served.manifest.version,
        "outputs": [tensor for tensor in tensors if call.outputs is None or tensor["name"] in call.outputs],
    }
    if call.request_id is not None:
        answer["id"] = call.request_id
    return Inference(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), n, int(np.count_nonzero(fault)))


class ShortWay:
    """The WSGI middleware."""

    def __init__(
        self,
        flask: "WSGIApplication",
        service: ScoringService,
        metrics: InferenceMetrics,
        *,
        max_body_bytes: int,
        max_rows: int,
    ) -> None:
        self._flask = flask
        self._service = service
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._max_rows = max_rows
        self._answered = metrics.requests.labels(ENDPOINT, 200)
        self._seconds = metrics.seconds.labels(ENDPOINT)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer, or let Flask."""
        started = time.perf_counter()
        length = self._length(environ)
        if length is None:
            return self._flask(environ, start_response)
        body = environ["wsgi.input"].read(length)
        try:
            answer = answer_infer(self._service, self._service.served, body, self._max_rows)
        except RequestError:
            return self._flask({**environ, "wsgi.input": BytesIO(body)}, start_response)
        start_response(
            "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer.body)))]
        )
        self._metrics.count_rows(answer.rows, answer.faults)
        self._answered.inc()
        self._seconds.observe(time.perf_counter() - started)
        return [answer.body]

    def _length(self, environ: "WSGIEnvironment") -> int | None:
        """The length of the body when this is a plain infer request for the model that is served."""
        length = environ.get("CONTENT_LENGTH", "")
        if (
            environ["REQUEST_METHOD"] == "POST"
            and self._service.is_ready
            and environ["PATH_INFO"] == f"/v2/models/{self._service.served.manifest.name}/infer"
            and environ.get("CONTENT_TYPE") == "application/json"
            and "HTTP_CONTENT_ENCODING" not in environ
            and length.isdecimal()
            and int(length) <= self._max_body_bytes
        ):
            return int(length)
        return None
