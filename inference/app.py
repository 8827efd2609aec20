"""The Flask application: routes in, core called, answers and errors out."""

import time
from http import HTTPStatus

import orjson
import structlog
from flask import Flask, Response, g, request
from gunicorn.http.errors import ParseException
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from contract.scoring import (
    FAULT_TENSOR,
    INPUT_TENSOR,
    PROBABILITY_TENSOR,
    ModelMetadata,
    TensorMetadata,
)
from inference.decoding import decode_score
from inference.errors import BadBody, BodyTooLarge, RequestError, UnknownModel, UnsupportedBody
from inference.infer import ShortWay, answer_infer
from inference.metrics import InferenceMetrics
from inference.openapi import openapi_document
from inference.service import ScoringService, ServedModel

SERVER_NAME = "fanwatch"

_LOG = structlog.get_logger()
_JSON = "application/json"


def create_app(
    service: ScoringService,
    metrics: InferenceMetrics,
    *,
    max_body_bytes: int = 8 * 1024 * 1024,
    max_rows: int = 10_000,
    version: str = "unknown",
) -> Flask:
    """Build the WSGI application.

    Args:
        service: The core; may still be without a model, then scoring answers 503.
        metrics: Where requests are counted.
        max_body_bytes: A larger body is refused with 413, unread.
        max_rows: Most rows in one infer request.
        version: Of this software, for GET /v2.
    """
    app = Flask(__name__, static_folder=None)
    # One more than allowed: a body without a length is cut at this limit rather than refused (werkzeug's
    # LimitedStream), and the byte too many is how _body notices.
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes + 1
    document = openapi_document(version)
    _count_requests(app, metrics)
    _map_errors(app, max_body_bytes)

    def model_named(name: str, model_version: str | None) -> ServedModel:
        served = service.served
        manifest = served.manifest
        if name != manifest.name or model_version not in (None, manifest.version):
            asked = name if model_version is None else f"{name}:{model_version}"
            raise UnknownModel(f"model {asked!r} is not served here; expected {manifest.model_id}")
        return served

    @app.get("/v2")
    def server_metadata() -> Response:
        return _json({"name": SERVER_NAME, "version": version, "extensions": []})

    @app.get("/v2/health/live")
    def live() -> Response:
        return _json({"live": True})

    @app.get("/v2/health/ready")
    def ready() -> Response:
        _ = service.served
        return _json({"ready": True})

    @app.get("/v2/models/<name>/ready")
    @app.get("/v2/models/<name>/versions/<model_version>/ready")
    def model_ready(name: str, model_version: str | None = None) -> Response:
        served = model_named(name, model_version)
        return _json({"name": served.manifest.name, "ready": True})

    @app.get("/v2/models/<name>")
    @app.get("/v2/models/<name>/versions/<model_version>")
    def model_metadata(name: str, model_version: str | None = None) -> Response:
        return _json(_metadata(model_named(name, model_version)).model_dump())

    @app.post("/v2/models/<name>/infer")
    @app.post("/v2/models/<name>/versions/<model_version>/infer")
    def infer(name: str, model_version: str | None = None) -> Response:
        served = model_named(name, model_version)
        answer = answer_infer(service, served, _body(max_body_bytes), max_rows)
        metrics.count_rows(answer.rows, answer.faults)
        return Response(answer.body, content_type=_JSON)

    @app.post("/score")
    def score() -> Response:
        served = service.served
        fault = service.score(served, decode_score(_body(max_body_bytes), served.manifest.signals)).fault
        metrics.count_rows(1, int(fault[0]))
        return _json({"fault": str(fault[0])})

    @app.get("/metrics")
    def prometheus() -> Response:
        return Response(metrics.exposition(), content_type=CONTENT_TYPE_LATEST)

    @app.get("/openapi.json")
    def openapi() -> Response:
        return _json(document)

    app.wsgi_app = ShortWay(  # type: ignore[method-assign]  # Flask's own way to add a middleware
        app.wsgi_app, service, metrics, max_body_bytes=max_body_bytes, max_rows=max_rows
    )
    return app


def _metadata(served: ServedModel) -> ModelMetadata:
    manifest = served.manifest
    return ModelMetadata.model_validate(
        {
            "name": manifest.name,
            "versions": [manifest.version],
            "platform": served.runtime.platform,
            "inputs": [TensorMetadata(name=INPUT_TENSOR, datatype="FP32", shape=[-1, len(manifest.signals)])],
            "outputs": [
                TensorMetadata(name=PROBABILITY_TENSOR, datatype="FP32", shape=[-1]),
                TensorMetadata(name=FAULT_TENSOR, datatype="INT32", shape=[-1]),
            ],
            "parameters": {"signals": manifest.signals, "threshold": manifest.threshold},
        }
    )


def _body(max_bytes: int) -> bytes:
    """The request's body, JSON by its headers.

    Raises:
        UnsupportedBody: Another content type, or compressed.
        BadBody: It breaks off or is framed wrongly.
        BodyTooLarge: More than max_bytes.
    """
    if request.mimetype not in ("", _JSON):
        raise UnsupportedBody(f"Content-Type: expected {_JSON}; got {request.mimetype[:80]!r}")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedBody("Content-Encoding: expected none; send the body as it is")
    try:
        body = request.get_data(cache=False)
    except (
        ParseException,
        OSError,
    ) as error:  # from the server's reader: wrong chunks, a body that breaks off
        raise BadBody(f"body: cannot be read: {error}") from error
    if len(body) > max_bytes:
        raise BodyTooLarge(max_bytes)
    return body


def _json(content: object, status: int = HTTPStatus.OK) -> Response:
    return Response(
        orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), status=status, content_type=_JSON
    )


def _count_requests(app: Flask, metrics: InferenceMetrics) -> None:
    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        # The endpoint's name, not the path: a path is the caller's, and each new one would be a new series.
        endpoint = request.endpoint or "unknown"
        metrics.requests.labels(endpoint, response.status_code).inc()
        metrics.seconds.labels(endpoint).observe(time.perf_counter() - g.started)
        return response


def _map_errors(app: Flask, max_body_bytes: int) -> None:
    """The one place where an error becomes an answer."""

    @app.errorhandler(RequestError)
    def refused(error: RequestError) -> Response:
        return _json({"error": str(error)}, error.status)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        if isinstance(error, RequestEntityTooLarge):
            text = str(BodyTooLarge(max_body_bytes))
        elif isinstance(error, NotFound):
            text = f"{request.path[:120]}: no such path; GET /openapi.json lists what there is"
        elif isinstance(error, MethodNotAllowed):
            allowed = ", ".join(sorted(error.valid_methods or ()))
            text = f"{request.method} {request.path[:120]}: expected one of {allowed}"
        else:
            text = f"{error.name}: {error.description}"
        response = _json({"error": text}, error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return response

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        _LOG.error("request_failed", path=request.path, exc_info=error)
        return _json(
            {"error": "an error of the service, not of the request; its log says more"},
            HTTPStatus.INTERNAL_SERVER_ERROR,
        )
