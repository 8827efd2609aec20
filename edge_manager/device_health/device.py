"""Where the facts come from: a device on Docker Compose, asked from the host. The tests have one of processes."""

import json
import platform
import socket
import ssl
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from contract.timestamp import format_timestamp
from edge_manager.device.compose import Compose
from edge_manager.device.docker import SiteError
from edge_manager.device.env_file import read_values
from edge_manager.device.machine import clock_is_synchronised, port_is_free
from edge_manager.device_health.disks import disks_of
from edge_manager.device_health.facts import Broker, Certificate, Disk, Facts, Port, Service
from edge_manager.device_health.figures import Figures

__all__ = ["ComposeDevice", "Device", "certificate_at", "gather", "subscriber"]

_ANSWER_WITHIN_S = 40.0
SYS_TOPICS = (
    "$SYS/broker/store/messages/count",
    "$SYS/broker/publish/messages/dropped",
    "$SYS/broker/retained messages/count",
)
"""What the health check's user may read besides the uptime (mosquitto/acl)."""


class Device(ABC):
    """One device, asked by commands: what they ask lies in networks that the host is not in.

    Attributes:
        encrypted_port: Where it shows devices its certificate.
        folder: Where its commands are run.
    """

    encrypted_port = 8883
    folder: Path

    def site(self) -> str:
        """What its people call the site; empty where nobody has said."""
        return ""

    @abstractmethod
    def services(self) -> tuple[Service, ...] | None:
        """Its services; None where nobody knows.

        Raises:
            SiteError: Nobody answers.
        """

    @abstractmethod
    def figures_command(self, *, write: bool) -> list[str]:
        """The command that writes edge_manager.device_health.figures' JSON."""

    @abstractmethod
    def broker_command(self) -> list[str]:
        """The command that writes each of SYS_TOPICS with its value."""

    @abstractmethod
    def disks(self) -> tuple[Disk, ...]:
        """The file systems that it needs."""

    @abstractmethod
    def published(self) -> list[tuple[str, str, int]]:
        """Service, address and number of each port that it publishes.

        Raises:
            SiteError: Nobody answers.
        """


class ComposeDevice(Device):
    """The stack of docker-compose.yml.

    Args:
        compose: Drives it.
    """

    def __init__(self, compose: Compose) -> None:
        self._compose = compose
        self.folder = compose.folder

    def site(self) -> str:
        """As .env has it."""
        file = self.folder / ".env"
        # A letter that cannot be read is no reason to say nothing of the device.
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        return read_values(text).get("FANWATCH_SITE", "")

    def services(self) -> tuple[Service, ...]:
        """The containers, those of one-off commands apart."""
        return tuple(
            Service(
                str(each["Service"]),
                str(each.get("State", "")),
                str(each.get("Health", "")),
                int(each.get("ExitCode", 0)),
            )
            for each in sorted(self._compose.containers(), key=lambda each: str(each["Service"]))
            if "-run-" not in str(each.get("Name", ""))
        )

    def figures_command(self, *, write: bool) -> list[str]:
        """In the history service, which reaches InfluxDB and has an account there."""
        options = ["--write"] if write else []
        return self._compose.command(
            "exec", "-T", "history", "python", "-m", "edge_manager.device_health.figures", *options
        )

    def broker_command(self) -> list[str]:
        """In the broker's container, as its health check's user."""
        return self._compose.command(
            "exec", "-T", "mosquitto", *subscriber("mosquitto_sub", 1883, "/run/fanwatch/probe_options")
        )

    def disks(self) -> tuple[Disk, ...]:
        """Where Docker keeps images and volumes, and where the volumes are that a folder was chosen for."""
        root: Path | None = None
        volumes: dict[str, Any] = {}
        with suppress(SiteError):
            root = self._compose.docker.root()
        with suppress(SiteError):
            volumes = self._compose.resolved().get("volumes") or {}
        return disks_of(root, volumes)

    def published(self) -> list[tuple[str, str, int]]:
        """As docker-compose.yml and .env have it."""
        services: dict[str, Any] = self._compose.resolved().get("services", {})
        return [
            (name, str(port.get("host_ip", "0.0.0.0")), int(port["published"]))  # noqa: S104 - Docker's default
            for name, service in services.items()
            for port in service.get("ports", [])
            if str(port.get("published", "")).isdigit()
        ]


def gather(device: Device, now: Callable[[], datetime], *, thorough: bool) -> Facts:
    """Learns what can be learned; whoever does not answer is a fact too.

    Args:
        device: Who is asked.
        now: The clock.
        thorough: Also what only doctor wants: a point written to InfluxDB, and whether ports are taken.
    """
    with ThreadPoolExecutor(4) as pool:
        services = pool.submit(_services, device)
        figures = pool.submit(_figures, device, write=thorough)
        broker = pool.submit(_broker, device)
        disks = pool.submit(device.disks)
        known, why_services = services.result()
        stored, why_figures = figures.result()
        says, why_broker = broker.result()
        found_disks = disks.result()
    try:
        published = device.published()
    except SiteError:
        published = []
    running = {each.name for each in known or () if each.state in {"running", "restarting", "paused"}}
    ports = tuple(
        Port(service, address, number, why)
        for service, address, number in (published if thorough else ())
        if service not in running and (why := port_is_free(address, number)) is not None
    )
    certificate = next(
        (
            seen
            for service, address, number in published
            if number == device.encrypted_port
            and service in running
            and (seen := certificate_at(address, number, now()))
        ),
        None,
    )
    return Facts(
        at=format_timestamp(now()),
        host=platform.node(),
        site=device.site(),
        services=known,
        services_unknown=why_services,
        figures=stored,
        figures_unknown=why_figures,
        broker=says,
        broker_unknown=why_broker,
        disks=found_disks,
        clock_synchronised=clock_is_synchronised(),
        ports_taken=ports,
        certificate=certificate,
    )


def subscriber(program: str, port: int, options_file: str) -> list[str]:
    """The command that asks the broker for SYS_TOPICS; its password stands in the options file."""
    topics = [word for topic in SYS_TOPICS for word in ("-t", topic)]
    return [
        *(program, "-h", "127.0.0.1", "-p", str(port), "-o", options_file),
        *(*topics, "-C", str(len(SYS_TOPICS)), "-W", "5", "-F", "%t %p"),
    ]


def certificate_at(address: str, number: int, now: datetime) -> Certificate | None:
    """The certificate that a server shows to whoever connects; None when it shows none.

    It is not verified: an expired one shall be seen too.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - published everywhere
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, number), timeout=5) as connection,
            trusting.wrap_socket(connection) as encrypted,
        ):
            shown = encrypted.getpeercert(binary_form=True)
    except OSError:
        return None
    if shown is None:
        return None
    left = x509.load_der_x509_certificate(shown).not_valid_after_utc - now
    return Certificate(f"{host}:{number}", left.total_seconds() / 86400)


def _services(device: Device) -> tuple[tuple[Service, ...] | None, str]:
    try:
        return device.services(), ""
    except SiteError as error:
        return None, str(error)


def _figures(device: Device, *, write: bool) -> tuple[Figures | None, str]:
    try:
        ended = _answer(device.figures_command(write=write), device.folder)
    except SiteError as error:
        return None, str(error)
    try:
        found = json.loads(ended.stdout.strip().splitlines()[-1])
    except (json.JSONDecodeError, IndexError):
        return None, _last_line(ended.stderr)
    if "error" in found:
        return None, str(found["error"])
    found["offline"], found["models"] = tuple(found["offline"]), tuple(found["models"])
    return Figures(**found), ""


def _broker(device: Device) -> tuple[Broker | None, str]:
    try:
        ended = _answer(device.broker_command(), device.folder)
    except SiteError as error:
        return None, str(error)
    said = dict(line.rsplit(" ", 1) for line in ended.stdout.splitlines() if line.startswith("$SYS/"))
    try:
        return Broker(*(int(float(said[topic])) for topic in SYS_TOPICS)), ""
    except (KeyError, ValueError):
        return None, _last_line(ended.stderr)


def _answer(asking: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - a list, no shell
            asking,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_ANSWER_WITHIN_S,
        )
    except FileNotFoundError as error:
        raise SiteError(f"{error.filename} is not there") from error
    except subprocess.TimeoutExpired as error:
        raise SiteError(f"no answer within {_ANSWER_WITHIN_S:g} s") from error


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip().rstrip(".") if lines else "it said nothing"
