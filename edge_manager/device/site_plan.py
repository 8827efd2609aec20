"""What a person decides about a site, checked, and as variables of its environment file."""

import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from edge_manager.device.compose import COMPOSE_FILE
from edge_manager.site.certificates import server_names

__all__ = ["DATA_DIR_FILE", "OVERRIDE_FILE", "SitePlan", "this_machines_names"]

DATA_DIR_FILE = "docker-compose.data-dir.yml"
OVERRIDE_FILE = "docker-compose.override.yml"
RETENTION_DAYS = (2, 364)
"""A day is the smallest piece that is deleted; at 364 the raw data would outlive the minutes made of it."""
_NAME_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class SitePlan:
    """One site.

    Attributes:
        site: What people call it.
        bind: The address of the ports.
        hostnames: Names and addresses under which devices and people reach it.
        data_dir: Where its data lives; None for Docker's own volumes.
        retention_days: How long single readings are kept.
        demo: Whether simulated fans run and the live page may break them.
        unencrypted_bind: The address of MQTT in clear; None leaves it at this machine.

    Raises:
        ValueError: One of them is impossible; the sentence says what is expected.
    """

    site: str
    bind: str
    hostnames: tuple[str, ...] = ()
    data_dir: Path | None = None
    retention_days: int = 30
    demo: bool = False
    unencrypted_bind: str | None = None

    def __post_init__(self) -> None:
        if not self.site.strip() or len(self.site) > _NAME_CHARACTERS or not self.site.isprintable():
            raise ValueError(f"the site's name {self.site!r}: expected 1 to {_NAME_CHARACTERS} characters")
        for option, address in (("--bind", self.bind), ("--unencrypted-bind", self.unencrypted_bind)):
            if address is not None:
                _check_address(option, address)
        server_names(self.hostnames)
        if self.data_dir is not None and not self.data_dir.is_absolute():
            raise ValueError(
                f"--data-dir {self.data_dir}: expected a path from the root, such as /srv/fanwatch"
            )
        low, high = RETENTION_DAYS
        if not low <= self.retention_days <= high:
            raise ValueError(f"--retention-days {self.retention_days}: expected {low} to {high} days")

    def variables(
        self, held: Mapping[str, str] = MappingProxyType({}), files: tuple[str, ...] = ()
    ) -> dict[str, str]:
        """The variables of the environment file that this plan sets.

        Args:
            held: What the file says already.
            files: Compose files of the folder, besides docker-compose.yml, that Compose would read by itself.
        """
        names = [name for name in server_names(self.hostnames) if name in {n.lower() for n in self.hostnames}]
        found = {
            "FANWATCH_SITE": self.site,
            "FANWATCH_BIND": self.bind,
            "FANWATCH_HOSTNAMES": ",".join(names),
            # The live page asks by which name it is reached; addresses it knows by itself.
            "FANWATCH_ALLOWED_HOSTS": ",".join(name for name in names if not _is_address(name)),
            "FANWATCH_RETENTION_DAYS": str(self.retention_days),
            "FANWATCH_DEMO": "true" if self.demo else "false",
            "FANWATCH_SIMULATORS": "1" if self.demo else "0",
            "FANWATCH_DATA_DIR": "" if self.data_dir is None else str(self.data_dir),
        }
        if self.unencrypted_bind is not None:
            found["FANWATCH_UNENCRYPTED_MQTT_BIND"] = self.unencrypted_bind
        separator = held.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        named = [name for name in held.get("COMPOSE_FILE", "").split(separator) if name]
        others = [name for name in named if Path(name).name != DATA_DIR_FILE]
        # Naming files ends Compose's own search, so what it would have found is named too.
        kept = others or [COMPOSE_FILE, *files]
        if self.data_dir is None and others != named:
            found["COMPOSE_FILE"] = separator.join(kept)
        elif self.data_dir is not None and others == named:
            found["COMPOSE_FILE"] = separator.join([*kept, DATA_DIR_FILE])
        return found

    @classmethod
    def from_variables(cls, values: Mapping[str, str]) -> "SitePlan":
        """What an environment file says already, with the defaults of a new site for the rest.

        Raises:
            ValueError: It says something impossible.
        """
        names = tuple(
            name.strip() for name in values.get("FANWATCH_HOSTNAMES", "").split(",") if name.strip()
        )
        days = values.get("FANWATCH_RETENTION_DAYS") or "30"
        if not days.isdigit():
            raise ValueError(f"FANWATCH_RETENTION_DAYS={days}: expected a number of days")
        return cls(
            site=values.get("FANWATCH_SITE") or socket.gethostname(),
            bind=values.get("FANWATCH_BIND") or "127.0.0.1",
            hostnames=names,
            data_dir=Path(values["FANWATCH_DATA_DIR"]) if values.get("FANWATCH_DATA_DIR") else None,
            retention_days=int(days),
            demo=values.get("FANWATCH_DEMO", "false").lower() in {"true", "1", "yes"},
            unencrypted_bind=values.get("FANWATCH_UNENCRYPTED_MQTT_BIND") or None,
        )


def this_machines_names() -> tuple[str, ...]:
    """The name and the address by which others most likely reach this machine."""
    found = [socket.getfqdn()]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # A datagram socket sends nothing when it connects; the kernel picks the address it would send from.
            probe.connect(("192.0.2.1", 9))
            found.append(probe.getsockname()[0])
        except OSError:
            pass
    usable = []
    for name in found:
        try:
            server_names([name])
        except ValueError:
            continue
        if name not in {"localhost", "127.0.0.1"} and name not in usable:
            usable.append(name)
    return tuple(usable)


def _check_address(option: str, address: str) -> None:
    if not _is_address(address):
        raise ValueError(
            f"{option} {address}: expected an address of this machine, 127.0.0.1 for this machine alone, or 0.0.0.0 "
            "for every network"
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
