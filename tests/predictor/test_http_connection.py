"""The HTTP connection against a server that says byte for byte what a test wants it to say."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from predictor.http_connection import HttpConnection

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere"


@contextmanager
def server(*connections: Sequence[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """For each connection, the answers to its requests; then it is closed. Gives the address and what was asked."""
    asked: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        for answers in connections:
            connection, _ = listener.accept()
            with connection:
                for answer in answers:
                    asked.append(connection.recv(65_536))
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        thread.join(10)


def test_many_requests_go_over_one_connection_each_in_one_piece() -> None:
    with server([ANSWER] * 3) as (url, asked):
        connection = HttpConnection(url, 5)
        assert [connection.ask("POST", "/there", b"here") for _ in range(3)] == [(200, b"there")] * 3
        assert connection.is_open
        connection.close()
    assert [request.partition(b"\r\n")[0] for request in asked] == [b"POST /there HTTP/1.1"] * 3
    assert all(
        b"\r\nContent-Length: 4\r\n" in request and request.endswith(b"\r\n\r\nhere") for request in asked
    )


def test_an_answer_in_chunks_is_put_together() -> None:
    chunked = b"HTTP/1.1 503 Away\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nth\r\n3\r\nere\r\n0\r\n\r\n"
    with server([chunked]) as (url, _):
        connection = HttpConnection(url, 5)
        assert connection.ask("GET", "/") == (503, b"there")
        connection.close()


def test_a_server_that_announces_to_close_is_connected_to_anew() -> None:
    last = ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with server([last], [ANSWER]) as (url, _):
        connection = HttpConnection(url, 5)
        assert connection.ask("GET", "/") == (200, b"there")
        assert not connection.is_open
        assert connection.ask("GET", "/") == (200, b"there")
        connection.close()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (ANSWER[:-1], ConnectionError),
        (b"", ConnectionError),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ValueError),
    ],
    ids=["broken off", "closed", "not HTTP"],
)
def test_what_is_no_answer_is_an_error_and_the_next_request_connects_anew(
    answer: bytes, error: type[Exception]
) -> None:
    with server([answer], [ANSWER]) as (url, _):
        connection = HttpConnection(url, 5)
        with pytest.raises(error):
            connection.ask("GET", "/")
        assert not connection.is_open
        assert connection.ask("GET", "/") == (200, b"there")
        connection.close()


def test_a_server_that_says_nothing_is_given_up_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel connects, and nobody answers
        connection = HttpConnection(f"http://127.0.0.1:{listener.getsockname()[1]}", 0.2)
        with pytest.raises(TimeoutError, match=r"for 0\.2 s"):
            connection.ask("GET", "/")
        assert not connection.is_open
