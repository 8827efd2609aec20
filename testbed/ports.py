"""Loopback ports for servers that are stopped and started again on the same port.

A port of the system's choice (port 0) may be given to anybody else while its server is down: to the outgoing
connection of some client, or to another test's server. So ports are drawn below the system's range, each process of
tests from a block of its own, and none is given twice.
"""

import socket
from collections.abc import Iterator
from pathlib import Path

HOST = "127.0.0.1"
_LOWEST = 10_000
_BLOCK = 200
_REFUSED_BY_BROWSERS = {10_080}
"""Above the lowest; of the ports that no browser opens (WHATWG Fetch, "port blocking")."""
_SYSTEM_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")

_held: list[socket.socket] = []
"""The first port of each block, bound for as long as the process lives: so no other process takes the block."""


def _blocks() -> Iterator[range]:
    end = int(_SYSTEM_RANGE.read_text().split()[0]) if _SYSTEM_RANGE.exists() else 32_768
    for first in range(_LOWEST, end - _BLOCK, _BLOCK):
        holder = socket.socket()
        try:
            holder.bind((HOST, first))
        except OSError:
            holder.close()
            continue
        _held.append(holder)
        yield range(first + 1, first + _BLOCK)


def is_usable(port: int) -> bool:
    """Whether a server could listen on a loopback port now, and a browser would open it."""
    if port in _REFUSED_BY_BROWSERS:
        return False
    with socket.socket() as server:
        try:
            server.bind((HOST, port))
        except OSError:
            return False
    return True


def _numbers() -> Iterator[int]:
    for block in _blocks():
        yield from filter(is_usable, block)


_ports = _numbers()


def free_port() -> int:
    """A loopback port that nobody uses now, and that nobody else of ours is given.

    Raises:
        RuntimeError: Every block is taken.
    """
    port = next(_ports, None)
    if port is None:
        raise RuntimeError(
            f"no loopback port between {_LOWEST} and {_SYSTEM_RANGE} is free; end what holds them"
        )
    return port
