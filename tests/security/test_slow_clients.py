"""The live page against clients that never finish what they say."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from monitor.prompt_worker import WITHIN_S, Arrival, arrival_of
from testbed.mosquitto import Mosquitto
from testbed.waiting import wait_until
from tests.monitor.monitor_process import MonitorProcess

CONNECTIONS = 60
"""Of each kind; the page has 16 threads."""
UNFINISHED = {
    "silence": b"",
    "one byte": b"G",
    "a head without an end": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: 1\r\n",
    "a body that does not come": b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nname=",
    "a whole request and a piece": b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nG",
    "a connection that is not closed": b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "chunks that do not come": b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
}


@pytest.fixture(scope="module")
def page(mosquitto: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MonitorProcess]:
    with MonitorProcess(tmp_path_factory.mktemp("page"), mosquitto) as monitor:
        yield monitor


def connections(stack: ExitStack, page: MonitorProcess, sent: bytes) -> list[socket.socket]:
    made = []
    for _ in range(CONNECTIONS):
        made.append(
            stack.enter_context(socket.create_connection(("127.0.0.1", page.port), timeout=WITHIN_S * 4))
        )
        made[-1].sendall(sent)
    return made


@pytest.mark.parametrize("kind", UNFINISHED)
def test_the_page_answers_while_slow_clients_hold_their_connections(page: MonitorProcess, kind: str) -> None:
    with ExitStack() as stack:
        connections(stack, page, UNFINISHED[kind])
        # Gunicorn's own worker answers none of these: its 16 threads wait for the 60.
        for path in ("/metrics", "/", "/api/fans"):
            assert requests.get(f"{page.url}{path}", timeout=WITHIN_S / 2).ok


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (UNFINISHED["chunks that do not come"], b"411"),
        (b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"GET /" + b"x" * 20_000, b"413"),
    ],
)
def test_what_is_too_long_or_of_unknown_length_is_refused_and_logged_before_it_gets_a_thread(
    page: MonitorProcess, sent: bytes, status: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as client:
        client.sendall(sent)
        assert client.recv(12) == b"HTTP/1.1 " + status
    assert f"request refused: {status.decode()}" in page.log(last=100_000)


def test_a_client_that_sends_a_byte_now_and_then_is_cut_off(page: MonitorProcess) -> None:
    with socket.create_connection(("127.0.0.1", page.port), timeout=5) as slow:
        began = time.monotonic()
        slow.sendall(b"GET / HTTP/1.1\r\n")

        def is_cut_off() -> bool:
            slow.settimeout(0.5)
            try:
                slow.sendall(b"x")
                slow.recv(100)  # the refusal, or the end
            except TimeoutError:
                return False
            except ConnectionError:
                pass
            return True

        wait_until(is_cut_off, within_s=WITHIN_S * 3, what="the end of a slow client")
        assert time.monotonic() - began >= WITHIN_S


def test_a_slow_but_honest_client_is_served(page: MonitorProcess) -> None:
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as slow:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":
            slow.sendall(bytes([byte]))
        assert slow.recv(15) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (b"", Arrival.PART),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", Arrival.PART),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Arrival.WHOLE),
        (b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nab", Arrival.PART),
        (b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc", Arrival.WHOLE),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\nabc", Arrival.TOO_LONG),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", Arrival.WHOLE),  # gunicorn refuses it
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", Arrival.NO_LENGTH),
        (b"x" * 16 * 1024, Arrival.TOO_LONG),
    ],
)
def test_a_request_gets_a_thread_when_all_of_it_is_there(received: bytes, expected: Arrival) -> None:
    assert arrival_of(received) is expected
