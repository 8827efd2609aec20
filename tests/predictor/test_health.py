"""Health is progress, judged by a clock that the test moves."""

import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import requests
from prometheus_client import CollectorRegistry, Counter

from predictor.health import HealthServer, Progress, health_app
from testbed.waiting import wait_until


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def progress_on(clock: Clock) -> Progress:
    progress = Progress(clock, stall_s=30)
    progress.connection(up=True)
    progress.subscribed()
    return progress


def test_a_predictor_for_which_the_broker_keeps_nothing_yet_is_not_well() -> None:
    progress = Progress(Clock(), stall_s=30)
    assert "not subscribed" in str(progress.complaint())
    progress.connection(up=True)
    assert "not subscribed" in str(progress.complaint())
    progress.subscribed()
    assert progress.complaint() is None


def test_an_idle_predictor_with_a_connection_is_well_for_ever() -> None:
    clock = Clock()
    progress = progress_on(clock)
    clock.now += 1e6
    assert progress.complaint() is None


def test_a_lost_connection_is_borne_for_a_while_then_complained_of() -> None:
    clock = Clock()
    progress = progress_on(clock)
    progress.connection(up=False)
    clock.now += 30
    assert progress.complaint() is None
    clock.now += 1
    assert "no connection" in str(progress.complaint())
    progress.connection(up=True)
    assert progress.complaint() is None


def test_work_that_waits_without_progress_is_complained_of_with_its_cause() -> None:
    clock = Clock()
    progress = progress_on(clock)
    progress.busy()
    progress.trouble("connection refused")
    clock.now += 20
    progress.busy()
    clock.now += 11
    assert "connection refused" in str(progress.complaint())
    progress.moved(still_waiting=True)
    assert progress.complaint() is None
    clock.now += 31
    assert progress.complaint() is not None
    progress.moved(still_waiting=False)
    clock.now += 1e6
    assert progress.complaint() is None


def test_the_health_page_answers_503_with_the_reason_and_metrics_beside_it() -> None:
    clock = Clock()
    progress = progress_on(clock)
    progress.connection(up=False)
    registry = CollectorRegistry()
    Counter("fanwatch_test", "A counter.", registry=registry).inc(3)
    server = HealthServer(health_app(progress, registry), "127.0.0.1", 0)
    server.start()
    base = f"http://127.0.0.1:{server.port}"
    try:
        assert requests.get(f"{base}/health", timeout=5).status_code == 200
        clock.now += 31
        ill = requests.get(f"{base}/health", timeout=5)
        assert ill.status_code == 503
        assert "no connection" in ill.json()["complaint"]
        assert "fanwatch_test_total 3.0" in requests.get(f"{base}/metrics", timeout=5).text
        assert requests.get(f"{base}/elsewhere", timeout=5).status_code == 404
    finally:
        server.close()


def test_callers_that_wait_for_their_turn_write_no_line_of_another_form_into_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    both_served = threading.Barrier(3, timeout=30)
    go_on = threading.Event()

    def slow(_environment: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        if not go_on.is_set():
            both_served.wait()
            go_on.wait(30)
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    server = HealthServer(slow, "127.0.0.1", 0)
    server.start()
    waiting = server._server.task_dispatcher.queue
    with ThreadPoolExecutor(3) as callers:
        calls = [
            callers.submit(requests.get, f"http://127.0.0.1:{server.port}/", timeout=60) for _ in range(2)
        ]
        both_served.wait()
        calls.append(callers.submit(requests.get, f"http://127.0.0.1:{server.port}/", timeout=60))
        wait_until(lambda: len(waiting) == 1, within_s=30, what="a third that waits")
        go_on.set()
        assert [call.result().status_code for call in calls] == [200, 200, 200]
    server.close()
    assert [record.getMessage() for record in caplog.records if record.name.startswith("waitress")] == []


def test_it_closes_without_an_error_whoever_is_still_connected() -> None:
    """An error in its thread fails the test; once it came in about one of ten."""
    for _ in range(30):
        server = HealthServer(lambda *_: [b""], "127.0.0.1", 0)
        server.start()
        with socket.create_connection(("127.0.0.1", server.port)) as caller:
            caller.sendall(b"GET /health HTTP/1.1\r\n")
            server.close()
            with suppress(ConnectionResetError):
                assert caller.recv(1) == b""
        assert not server._thread.is_alive()
