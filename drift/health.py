"""GET /health, /metrics and /drift, from a thread of its own."""

import json
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from drift.following import Snapshot

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def health_app(
    complaint: Callable[[], str | None], snapshot: Callable[[], Snapshot], registry: CollectorRegistry
) -> "WSGIApplication":
    """The three answers.

    Args:
        complaint: Why the service does not work, or None: /health is 503 with the reason, or 200.
        snapshot: What is known: /drift tells the findings in words.
        registry: For /metrics.
    """
    metrics = make_wsgi_app(registry)

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        if path == "/health":
            trouble = complaint()
            return _json(
                start_response, "503 Service Unavailable" if trouble else "200 OK", {"complaint": trouble}
            )
        if path == "/drift":
            return _json(start_response, "200 OK", drift_body(snapshot()))
        return _json(start_response, "404 Not Found", {"error": "expected /health, /metrics or /drift"})

    return app


def drift_body(known: Snapshot) -> dict[str, object]:
    """What GET /drift says."""
    return {
        "model": known.model,
        "trouble": known.trouble,
        "readings_compared": known.compared,
        "findings": [
            {
                "kind": finding.kind.value,
                "deviceID": finding.device_id,
                "signals": finding.signals,
                "words": finding.words,
            }
            for finding in known.findings
        ],
    }


def _json(start_response: "StartResponse", status: str, body: dict[str, object]) -> Iterable[bytes]:
    data = json.dumps(body).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """No line for each request, and none that waits for ever."""

    timeout = 10

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it that
        """Say nothing."""


class HealthServer:
    """Serves the app.

    Raises:
        OSError: The port is taken or the address is not this machine's.
    """

    def __init__(self, app: "WSGIApplication", host: str, port: int) -> None:
        self._server = _Server((host, port), _Quiet)
        self._server.set_app(app)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
