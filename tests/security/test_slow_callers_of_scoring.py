"""The scoring service against callers that never finish what they say."""

import contextlib
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from inference.worker import WITHIN_S
from testbed.services import Inference
from testbed.site import Site
from testbed.waiting import wait_until

ASK = b"POST /v2/models/fan/infer HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
SILENT = (
    [ASK],
    [ASK + b"Content-Length: 100\r\n\r\n{"],
    [b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n", ASK],
)
"""For three of its four threads: a head without an end, a body that does not come, a whole request and a piece."""


def is_cut_off(caller: socket.socket) -> bool:
    try:
        caller.sendall(b"x")
    except OSError:
        return True
    return False


@pytest.fixture(scope="module")
def inference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inference]:
    with Inference(Site(tmp_path_factory.mktemp("scoring"))) as service:
        yield service


def answers(inference: Inference) -> bool:
    try:
        return requests.get(f"{inference.url}/v2/health/ready", timeout=1).ok
    except requests.RequestException:
        return False


def test_callers_that_stop_in_the_middle_are_cut_off_and_the_service_answers_again(
    inference: Inference,
) -> None:
    """Without the deadline the service is silent for ever: four such callers hold all of its threads."""
    host, _, port = inference.url.removeprefix("http://").partition(":")
    with ExitStack() as stack:

        def caller(*parts: bytes) -> socket.socket:
            one = stack.enter_context(socket.create_connection((host, int(port)), timeout=5))
            for number, part in enumerate(parts):
                if number:
                    assert one.recv(12) == b"HTTP/1.1 200"
                one.sendall(part)
            return one

        for parts in SILENT:
            caller(*parts)
        dripping = caller(ASK)

        def answers() -> bool:
            with contextlib.suppress(OSError):  # it has been cut off
                dripping.sendall(b"x")
            try:
                return requests.get(f"{inference.url}/v2/health/ready", timeout=1).ok
            except requests.RequestException:
                return False

        wait_until(lambda: not answers(), within_s=5, what="every thread to be held")
        wait_until(answers, within_s=WITHIN_S * 1.5, what="the service to answer again")
        wait_until(lambda: is_cut_off(dripping), within_s=5, what="the end of who sends byte by byte")
    cut_off = "request cut off after 60 s: not whole, from 127.0.0.1"
    wait_until(lambda: inference.log(last=100_000).count(cut_off) == 4, within_s=5, what="a line for each")
