"""Requests of one row over HTTP on one connection, so many a second, whatever became of those before."""

import http.client
import json
import statistics
import time

from benchmarks.comparison.forms import Service

__all__ = ["measure"]

_WARM_UP = 50
_BODY = json.dumps(
    {"inputs": [{"name": "signals", "shape": [1, 4], "datatype": "FP32", "data": [600.0, 40.0, 150.0, 48.0]}]}
)


def measure(service: Service, per_second: int, seconds: int, *, model: str = "fan") -> dict[str, float]:
    """CPU of the service's processes in per cent of one core, and the median time from when a request was due, ms.

    Raises:
        RuntimeError: A request was not answered with a verdict.
    """
    connection = http.client.HTTPConnection(service.host, service.port, timeout=10)
    for _ in range(_WARM_UP):
        _ask(connection, model)
    took: list[float] = []
    used, began = service.cpu_s(), time.monotonic()
    for number in range(per_second * seconds):
        due = began + number / per_second
        time.sleep(max(0.0, due - time.monotonic()))
        _ask(connection, model)
        took.append(time.monotonic() - due)
    spent, passed = service.cpu_s() - used, time.monotonic() - began
    connection.close()
    return {
        "per_second": per_second,
        "answered_per_second": len(took) / passed,
        "cpu_percent": 100 * spent / passed,
        "p50_ms": 1000 * statistics.median(took),
    }


def _ask(connection: http.client.HTTPConnection, model: str) -> None:
    connection.request("POST", f"/v2/models/{model}/infer", _BODY, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != http.client.OK:
        raise RuntimeError(f"the scoring service answered {answer.status}: {body[:200]!r}")
