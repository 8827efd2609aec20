"""The short way of an infer request: the answers of the whole way, and the same connection for both."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson
import pytest
import requests
from flask.testing import FlaskClient

from tests.inference.inference_process import ServiceProcess

PATH = "/v2/models/fan/infer"
HEALTHY = [600.0, 40.0, 150.0, 48.0]


def body(**changes: object) -> bytes:
    tensor = {"name": "signals", "datatype": "FP32", "shape": [1, 4], "data": HEALTHY} | changes
    return orjson.dumps({"inputs": [tensor]})


BODIES = {
    "one row": body(),
    "three rows": body(shape=[3, 4], data=[HEALTHY] * 3),
    "an id": orjson.dumps(orjson.loads(body()) | {"id": "7"}),
    "one output": orjson.dumps(orjson.loads(body()) | {"outputs": [{"name": "fault"}]}),
    "not JSON": b"{",
    "empty": b"",
    "another shape": body(shape=[2, 4]),
    "not finite as FP32": body(data=[1e39, 40.0, 150.0, 48.0]),
    "no number": body(data=["600", 40.0, 150.0, 48.0]),
    "too many rows": body(shape=[1001, 4], data=[HEALTHY] * 1001),
    "too large": b" " * 65_537,
}


@pytest.mark.parametrize("name", BODIES)
def test_both_ways_give_the_same_answer(client: FlaskClient, name: str) -> None:
    short = client.post(PATH, data=BODIES[name], content_type="application/json")
    whole = client.post(PATH, data=BODIES[name], content_type="application/json; charset=utf-8")
    assert (short.status_code, short.json) == (whole.status_code, whole.json)
    assert short.content_type == whole.content_type


def test_both_ways_count_alike(client: FlaskClient) -> None:
    for kind in ("application/json", "application/json; charset=utf-8"):
        assert client.post(PATH, data=body(), content_type=kind).status_code == 200
    metrics = client.get("/metrics").text
    assert 'fanwatch_inference_requests_total{endpoint="infer",status="200"} 2.0' in metrics
    assert 'fanwatch_inference_request_seconds_count{endpoint="infer"} 2.0' in metrics
    assert "fanwatch_inference_rows_scored_total 2.0" in metrics
    assert "fanwatch_inference_batch_rows_count 2.0" in metrics


class Caller:
    """A connection that is kept, over which a test says what it wants, in the pieces it wants."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answers = connection.makefile("rb")

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._connection.sendall(piece)

    def answer(self) -> tuple[int, bytes]:
        status = int(self._answers.readline().split()[1])
        length = 0
        while (line := self._answers.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return status, self._answers.read(length)


@contextmanager
def calling(service: ServiceProcess) -> Iterator[Caller]:
    host, port = service.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Caller(connection)


def http(content: bytes, length: int | None = None) -> bytes:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
    return head.encode() + b"%d\r\n\r\n" % (len(content) if length is None else length) + content


def test_a_repeated_request_is_answered_as_the_first_and_a_wrong_body_under_the_same_head_is_refused(
    served: ServiceProcess,
) -> None:
    good = body()
    bad = b"x" + good[1:]
    faulty = body(data=[999.9, 99.9, 249.9, 99.9])
    with calling(served) as caller:
        answers = []
        for content in (good, good, good, bad, good, faulty, good):
            caller.send(http(content))
            answers.append(caller.answer())
    assert [status for status, _ in answers] == [200, 200, 200, 400, 200, 200, 200]
    assert len({answers[i] for i in (0, 1, 2, 4, 6)}) == 1
    assert answers[5] != answers[0]


def test_requests_in_odd_pieces_are_all_answered_in_order(served: ServiceProcess) -> None:
    request = http(body())
    with calling(served) as caller:
        for _ in range(3):  # by now the head is known
            caller.send(request)
            assert caller.answer()[0] == 200
        caller.send(request[:40], request[40:-20], request[-20:])
        assert caller.answer()[0] == 200
        caller.send(request + request + request[:50], request[50:])
        assert [caller.answer()[0] for _ in range(3)] == [200, 200, 200]
        caller.send(http(body(), length=5))  # what follows the five bytes is no request
        assert caller.answer()[0] == 400


def test_more_callers_than_threads_are_all_served_while_each_keeps_its_connection(
    start_service: Callable[..., ServiceProcess],
) -> None:
    service = start_service(threads=2)
    service.await_event("model_ready")
    sessions = [requests.Session() for _ in range(6)]
    for _ in range(20):
        for session in sessions:
            answer = session.post(
                f"{service.url}{PATH}", data=body(), headers={"Content-Type": "application/json"}, timeout=20
            )
            assert answer.status_code == 200
    metrics = requests.get(f"{service.url}/metrics", timeout=20).text
    assert "fanwatch_inference_rows_scored_total 120.0" in metrics
    for session in sessions:
        session.close()
