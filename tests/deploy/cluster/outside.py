"""A machine beside the cluster: a network namespace of this host, on a cable of its own to the node."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["MACHINE", "STRANGER", "machine_outside", "reaches"]

MACHINE = "10.246.0.2"
"""In the networks that the trial's chart names machines by, and no pod's."""
STRANGER = "198.18.0.2"
"""The same machine by an address in none of them."""
_SPACE = "fanwatch-outside"
_CABLE = "fanwatch-out"
_NODES_ENDS = ("10.246.0.1", "198.18.0.1")
_WITHIN_S = 3
_PROGRAM = """
import socket, sys
try:
    socket.create_connection((sys.argv[2], int(sys.argv[3])), float(sys.argv[4]), (sys.argv[1], 0)).close()
except TimeoutError:
    sys.exit(75)
"""


@contextmanager
def machine_outside() -> Iterator[None]:
    """It is there under both addresses while the `with` lasts. Root only."""
    _remove()
    try:
        _ip("netns", "add", _SPACE)
        _ip("link", "add", _CABLE, "type", "veth", "peer", "name", "eth0", "netns", _SPACE)
        _ip("link", "set", _CABLE, "up")
        _ip("-n", _SPACE, "link", "set", "eth0", "up")
        for node, machine in zip(_NODES_ENDS, (MACHINE, STRANGER), strict=True):
            _ip("addr", "add", f"{node}/24", "dev", _CABLE)
            _ip("-n", _SPACE, "addr", "add", f"{machine}/24", "dev", "eth0")
        _ip("-n", _SPACE, "route", "add", "default", "via", _NODES_ENDS[0])
        yield
    finally:
        _remove()


def reaches(sender: str, address: str, port: int) -> bool:
    """Whether a connection from one of its addresses is accepted within three seconds.

    Raises:
        RuntimeError: It could not be tried, or was refused and not dropped.
    """
    server = (address, str(port), str(_WITHIN_S))
    done = subprocess.run(
        ["ip", "netns", "exec", _SPACE, sys.executable, "-c", _PROGRAM, sender, *server],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in {0, 75}:
        raise RuntimeError(f"{sender} to {address}:{port}: {done.stderr}")
    return done.returncode == 0


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _remove() -> None:
    for what in (("link", "del", _CABLE), ("netns", "del", _SPACE)):
        subprocess.run(["ip", *what], check=False, capture_output=True)
