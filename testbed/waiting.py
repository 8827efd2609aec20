"""Waiting for something outside this process, bounded: what is asked often and answers soon."""

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE_S = 0.02


def wait_until(probe: Callable[[], T | None], *, within_s: float, what: str, pause_s: float = _PAUSE_S) -> T:
    """The first answer of probe that is true.

    Args:
        probe: Asked again and again; an OSError (nobody listens yet) counts as no.
        within_s: Seconds after which it is given up.
        what: What is waited for, for the error.
        pause_s: Seconds between two questions; more where a question costs.

    Raises:
        TimeoutError: It did not happen; with the last answer.
    """
    deadline = time.monotonic() + within_s
    while True:
        last: object
        try:
            answer = probe()
            if answer:
                return answer
            last = answer
        except OSError as error:
            last = error
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {within_s} s for {what}; last answer: {str(last)[:2000]}")
        time.sleep(pause_s)


def port_answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody accepts connections on that port of this machine."""
    with socket.create_connection((host, port), timeout=1):
        return True
