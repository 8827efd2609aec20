"""A port stays a stopped server's own: nobody else is given it, not even by the system."""

import socket
import subprocess
import sys

from testbed.ports import free_port, is_usable
from testbed.process import REPOSITORY

MANY = 250
"""More than a block holds."""


def ports_of_another_process() -> set[int]:
    code = f"from testbed.ports import free_port; print(*(free_port() for _ in range({MANY})))"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    )
    return {int(port) for port in answer.stdout.split()}


def test_no_port_is_given_twice_not_even_in_another_process() -> None:
    ours = {free_port() for _ in range(MANY)}
    others = ports_of_another_process()
    assert len(ours) == len(others) == MANY
    assert not ours & others


def test_no_port_is_one_that_a_browser_refuses_to_open_or_that_is_taken() -> None:
    assert not is_usable(10_080)
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        assert not is_usable(taken.getsockname()[1])


def test_the_system_gives_a_port_of_ours_to_nobody_who_leaves_the_choice_to_it() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as chosen_by_the_system:
        assert chosen_by_the_system.getsockname()[1] > port
