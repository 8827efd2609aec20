"""Ports: the documented ones, or the next free ones."""

import socket
from dataclasses import astuple

from demo.ports import LOOPBACK, Ports, choose_ports, is_free, moved
from testbed.ports import free_port


def test_a_taken_port_moves_to_the_next_free_one_and_is_named() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        assert not is_free(port)
        chosen = choose_ports(Ports(page=port))
    assert chosen.page > port
    assert moved(chosen)["page"] == (8080, chosen.page)


def test_two_parts_never_get_the_same_port() -> None:
    port = free_port()
    chosen = choose_ports(Ports(port, port, port, port, port, port))
    assert len(set(astuple(chosen))) == 6


def test_a_server_on_every_address_takes_the_loopback_too() -> None:
    with socket.create_server(("", 0)) as taken:
        assert not is_free(taken.getsockname()[1])
