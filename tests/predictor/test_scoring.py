"""The scoring service's client against a service that closes idle connections, as a real one does after a while."""

import socket
import threading

import orjson
import pytest

from predictor.scoring import HttpScorer, ScoringUnavailable

ANSWER = orjson.dumps(
    {
        "model_version": "3",
        "outputs": [{"name": "probability", "data": [0.25]}, {"name": "fault", "data": [0]}],
    }
)


def serve(server: socket.socket, connections: int, heads: list[bytes]) -> None:
    """Answer one request on each connection and close it."""
    for _ in range(connections):
        connection, _ = server.accept()
        with connection:
            heads.append(connection.recv(65_536))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)


def test_a_connection_that_the_service_has_closed_meanwhile_is_opened_again_and_nobody_notices() -> None:
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server, 3, heads))
        thread.start()
        scorer = HttpScorer(f"http://127.0.0.1:{server.getsockname()[1]}", "fan", 5)
        assert [scorer.score([[1.0, 2.0]]).probabilities for _ in range(3)] == [[0.25]] * 3
        thread.join()
        scorer.close()
    assert all(head.startswith(b"POST /v2/models/fan/infer HTTP/1.1\r\n") for head in heads)
    assert all(b'"data":[1.0,2.0]' in head for head in heads)  # head and body came in one piece


def test_a_service_that_is_not_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    scorer = HttpScorer(f"http://127.0.0.1:{port}", "fan", 5)
    with pytest.raises(ScoringUnavailable, match=f"POST http://127.0.0.1:{port}/v2/models/fan/infer"):
        scorer.score([[1.0]])
