"""A machine beside the cluster: a network namespace of this host, on a cable of its own to the node."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["MACHINE", "STRANGER", "Machine", "machine_outside"]

MACHINE = "10.246.0.2"
"""In the networks that the trial's chart names machines by, and no pod's."""
STRANGER = "198.18.0.2"
"""The same machine by an address in none of them."""
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
def machine_outside() -> Iterator["Machine"]:
    """It is there under both addresses while the `with` lasts. Root only.

    A process holds its namespace, and no file of `ip netns add`, which mounts /run/netns anew over the pods' own
    namespaces: containerd could then take none of them away any more ("device or resource busy").
    """
    _remove_cable()
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo made; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        try:
            if holder.stdout is None or not holder.stdout.readline():
                raise RuntimeError("no network namespace could be made: is this root?")
            machine = Machine(holder.pid)
            _run(
                "ip", "link", "add", _CABLE, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid)
            )
            _run("ip", "link", "set", _CABLE, "up")
            machine.run("ip", "link", "set", "eth0", "up")
            for node, own in zip(_NODES_ENDS, (MACHINE, STRANGER), strict=True):
                _run("ip", "addr", "add", f"{node}/24", "dev", _CABLE)
                machine.run("ip", "addr", "add", f"{own}/24", "dev", "eth0")
            machine.run("ip", "route", "add", "default", "via", _NODES_ENDS[0])
            yield machine
        finally:
            holder.terminate()
            _remove_cable()


class Machine:
    """Its network namespace.

    Args:
        pid: Of a process in it.

    Attributes:
        enter: What a command that is to run there begins with.
    """

    def __init__(self, pid: int) -> None:
        self.enter = ("nsenter", f"--net=/proc/{pid}/ns/net")

    def run(self, *command: str) -> None:
        """Runs a program there.

        Raises:
            subprocess.CalledProcessError: It failed.
        """
        _run(*self.enter, *command)

    def reaches(self, sender: str, address: str, port: int) -> bool:
        """Whether a connection from one of its addresses is accepted within three seconds.

        Raises:
            RuntimeError: It could not be tried, or was refused and not dropped.
        """
        server = (address, str(port), str(_WITHIN_S))
        done = subprocess.run(
            [*self.enter, sys.executable, "-c", _PROGRAM, sender, *server],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in {0, 75}:
            raise RuntimeError(f"{sender} to {address}:{port}: {done.stderr}")
        return done.returncode == 0


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _remove_cable() -> None:
    subprocess.run(["ip", "link", "del", _CABLE], check=False, capture_output=True)
