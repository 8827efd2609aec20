"""Ports on the loopback: the documented ones, or the next free ones when those are taken."""

import socket
from dataclasses import dataclass, fields

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where each part listens; the defaults are the documented ports."""

    mqtt: int = 1883
    mqtt_old: int = 1884
    """MQTT 3.1.1, which the embedded broker serves on a port of its own."""
    inference: int = 8000
    page: int = 8080
    predictor: int = 9101
    simulator: int = 9102


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections that linger from an earlier run do not take a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen()
        except OSError:
            return False
        return True


def choose_ports(wanted: Ports | None = None) -> Ports:
    """The wanted ports, each moved up to the next one that is free and not chosen already.

    Raises:
        OSError: None is free below 65536.
    """
    wanted = wanted or Ports()
    chosen: dict[str, int] = {}
    for field in fields(wanted):
        port: int = getattr(wanted, field.name)
        while port < 65536 and (port in chosen.values() or not is_free(port)):
            port += 1
        if port == 65536:
            raise OSError(f"no port is free for {field.name}")
        chosen[field.name] = port
    return Ports(**chosen)


def moved(ports: Ports) -> dict[str, tuple[int, int]]:
    """The parts that could not have their documented port: name to (documented, chosen)."""
    documented = Ports()
    pairs = {
        field.name: (int(getattr(documented, field.name)), int(getattr(ports, field.name)))
        for field in fields(ports)
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
