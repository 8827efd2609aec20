"""Health from progress: work that waits and does not move is ill, whatever the connection says."""

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
from prometheus_client import CollectorRegistry, make_wsgi_app
from waitress.server import create_server
from waitress.trigger import trigger
from waitress.wasyncore import close_all

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


_LAST_ANSWERS_S = 1
"""What is being answered may take so long when the server closes."""


@dataclass(slots=True)
class Progress:
    """What the worker tells of itself; the clock gives monotonic seconds."""

    clock: Callable[[], float]
    stall_s: float
    _has_subscribed: bool = False
    _connected: bool = False
    _connected_changed_at: float = field(init=False)
    _busy_since: float | None = None
    _trouble: str = ""

    def __post_init__(self) -> None:
        self._connected_changed_at = self.clock()

    def connection(self, *, up: bool) -> None:
        """The broker connection came or went."""
        if up != self._connected:
            self._connected = up
            self._connected_changed_at = self.clock()
        self._busy_since = None

    def subscribed(self) -> None:
        """The broker keeps readings for us from now on, for as long as it keeps the session."""
        self._has_subscribed = True

    def busy(self) -> None:
        """Work waits; the stall clock runs from the first such call since the last progress."""
        if self._busy_since is None:
            self._busy_since = self.clock()

    def trouble(self, what: str) -> None:
        """Why the work does not move, for the person who asks."""
        self._trouble = what

    def moved(self, *, still_waiting: bool) -> None:
        """Something was finished."""
        self._trouble = ""
        self._busy_since = self.clock() if still_waiting else None

    def complaint(self) -> str | None:
        """Why the predictor does not work, or None when it does."""
        now = self.clock()
        if not self._has_subscribed:
            # Whoever sends when this is well must find somebody who keeps it: with no session there is nobody.
            return "not subscribed at the broker yet: it keeps no readings for this predictor"
        if not self._connected and now - self._connected_changed_at > self.stall_s:
            return f"no connection to the broker for {now - self._connected_changed_at:.0f} s"
        if self._busy_since is not None and now - self._busy_since > self.stall_s:
            return (
                f"readings wait and nothing was finished for {now - self._busy_since:.0f} s. {self._trouble}"
            )
        return None


def health_app(progress: Progress, registry: CollectorRegistry) -> "WSGIApplication":
    """GET /health (200, or 503 with the reason) and GET /metrics."""
    metrics = make_wsgi_app(registry)

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        if path == "/health":
            complaint = progress.complaint()
            return _json(
                start_response, "503 Service Unavailable" if complaint else "200 OK", {"complaint": complaint}
            )
        return _json(start_response, "404 Not Found", {"error": "expected /health or /metrics"})

    return app


def _json(start_response: "StartResponse", status: str, body: dict[str, str | None]) -> Iterable[bytes]:
    data = orjson.dumps(body)
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]


class HealthServer:
    """Serves the app from a thread of its own."""

    def __init__(self, app: "WSGIApplication", host: str, port: int) -> None:
        """Bind the port.

        Raises:
            OSError: The port is taken or the address is not this machine's.
        """
        listening = socket.create_server((host, port))
        self.port = int(listening.getsockname()[1])
        # Its only line for each request: a caller waits for its turn. It would stand unstructured in the log.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._connections: dict[int, socket.socket] = {}
        self._from_elsewhere = trigger(self._connections)  # type: ignore[arg-type] # the stubs are wrong
        self._server = create_server(
            app, map=self._connections, sockets=[listening], threads=2, ident="fanwatch-predictor"
        )
        self._thread = threading.Thread(target=self._server.run, name="health", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving; whoever is still connected is cut off."""
        if self._thread.is_alive():
            # In its own thread: it waits for these sockets, and whoever closes them from elsewhere ends it in an error,
            # or leaves it with the callers that are still there.
            self._from_elsewhere.pull_trigger(self._cut_off)  # type: ignore[arg-type] # called without any
            self._thread.join()
        self._server.close()
        self._server.task_dispatcher.shutdown(timeout=_LAST_ANSWERS_S)

    def _cut_off(self) -> None:
        close_all(self._connections, ignore_all=True)
