"""Whether a machine can carry a site: room, memory, clock, ports, Docker. What is measured here is judged here too."""

import ctypes
import errno
import os
import re
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge_manager.device.compose import Compose
from edge_manager.device.docker import SiteError

__all__ = [
    "BYTES_PER_READING",
    "PORTS",
    "Finding",
    "Room",
    "State",
    "as_table",
    "clock_is_synchronised",
    "judge_clock",
    "judge_compose",
    "judge_disks",
    "judge_memory",
    "judge_ports",
    "memory_bytes",
    "port_is_free",
    "survey",
]

GIB = 1024**3
DISK_NEEDED, DISK_GOOD = 5 * GIB, 20 * GIB
"""Where the data lies. Images take about 3 GB."""
IMAGES_NEEDED, IMAGES_GOOD = 4 * GIB, 8 * GIB
"""Where images alone lie. An upgrade has two sets of them."""
BYTES_PER_READING = 113
"""In InfluxDB, with its verdict, as measured for docs/sizing.md; a test compares."""
MEMORY_NEEDED, MEMORY_GOOD = 2 * GIB, 4 * GIB
"""The whole stack uses under 1.5 GB with six fans; its limits add up to 4."""
COMPOSE_NEEDED = (2, 24)
PORTS = {8883: "MQTT, encrypted", 1883: "MQTT in clear", 8080: "the live page", 3000: "Grafana"}
_IMAGES = 3 * GIB
_DOCKER_ROOT = Path("/var/lib/docker")
_TIME_ERROR = 5
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - asked for, or what a port is tried on


class State(StrEnum):
    """How a finding is."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table: what was looked at, how it is, what was found, and what to do unless it is good."""

    what: str
    state: State
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """What is free on the file system under a folder.

    Attributes:
        place: The folder.
        disk: The file system's number.
        free_bytes: For data of whoever is not root.
    """

    place: Path
    disk: int
    free_bytes: int

    @classmethod
    def at(cls, place: Path) -> "Room":
        """The room where a folder is, or will be."""
        # Not Path.exists, which raises where a folder above may not be looked into.
        while not os.path.exists(place):  # noqa: PTH110
            place = place.parent
        return cls(place, place.stat().st_dev, shutil.disk_usage(place).free)


def survey(
    folder: Path, data_dir: Path | None, bind: str, unencrypted_bind: str, retention_days: int
) -> list[Finding]:
    """Looks at this machine.

    Args:
        folder: The site's.
        data_dir: Where its data shall live; None for Docker's own place.
        bind: The address of the ports.
        unencrypted_bind: The address of MQTT in clear.
        retention_days: How long single readings are kept.
    """
    findings, running, root = _survey_docker(folder)
    binds = {port: unencrypted_bind if port == 1883 else bind for port in PORTS}
    return [
        *findings,
        *judge_disks(Room.at(data_dir or root), Room.at(root), retention_days),
        judge_memory(memory_bytes()),
        judge_clock(clock_is_synchronised()),
        *([_ports_of_our_own()] if running else judge_ports(binds, port_is_free)),
    ]


def judge_disks(data: Room, images: Room, retention_days: int) -> list[Finding]:
    """Whether there is room for data and images: one finding where they share a disk, else one for each.

    Args:
        data: Where the data lives.
        images: Where Docker keeps images.
        retention_days: How long single readings are kept.
    """
    shared = data.disk == images.disk
    left = max(0, data.free_bytes - (_IMAGES if shared else 0))
    fans = left // (BYTES_PER_READING * 86_400 * retention_days)
    found = (
        f"{data.free_bytes / GIB:.1f} GiB free under {data.place}: {retention_days} days of about {fans:,} fans at a "
        "reading a second"
    )
    advice = {
        State.BAD: f"at least {DISK_NEEDED // GIB} GiB are needed: make room, or choose another place with --data-dir",
        State.WARNING: "more fans take more room, fewer --retention-days take less: docs/sizing.md",
        State.GOOD: "",
    }
    state = _judge(data.free_bytes, DISK_NEEDED, DISK_GOOD)
    findings = [Finding("disk", state, found, advice[state])]
    if not shared:
        found = f"{images.free_bytes / GIB:.1f} GiB free under {images.place}, Docker's own"
        advice = {
            State.BAD: f"at least {IMAGES_NEEDED // GIB} GiB are needed for images: make room (`docker system df`)",
            State.WARNING: f"an upgrade keeps the old images beside the new: {IMAGES_GOOD // GIB} GiB hold both",
            State.GOOD: "",
        }
        state = _judge(images.free_bytes, IMAGES_NEEDED, IMAGES_GOOD)
        findings.append(Finding("image disk", state, found, advice[state]))
    return findings


def _judge(free_bytes: int, needed: int, good: int) -> State:
    if free_bytes < needed:
        return State.BAD
    return State.WARNING if free_bytes < good else State.GOOD


def judge_memory(total_bytes: int) -> Finding:
    """Whether the services fit."""
    found = f"{total_bytes / GIB:.1f} GiB"
    if total_bytes < MEMORY_NEEDED:
        return Finding("memory", State.BAD, found, f"at least {MEMORY_NEEDED // GIB} GiB are needed")
    # A machine sold with 4 GiB shows a little less.
    if total_bytes < MEMORY_GOOD * 0.9:
        return Finding(
            "memory", State.WARNING, found, f"{MEMORY_GOOD // GIB} GiB leave room for a full queue"
        )
    return Finding("memory", State.GOOD, found)


def judge_clock(synchronised: bool | None) -> Finding:
    """Whether times mean anything: a reading is refused when its time is 5 minutes ahead, and alarms carry times."""
    if synchronised:
        return Finding("clock", State.GOOD, "synchronised")
    if synchronised is None:
        return Finding("clock", State.WARNING, "cannot be asked here", "see that something like chrony runs")
    # No more than a warning: the kernel of a virtual machine does not know that its host keeps the clock.
    advice = (
        "minutes behind, it refuses readings of fans with a right clock: start chrony or systemd-timesyncd"
    )
    return Finding("clock", State.WARNING, "nobody in this machine keeps it right", advice)


def judge_ports(binds: dict[int, str], is_free: Callable[[str, int], str | None]) -> list[Finding]:
    """Whether the site's ports can be had.

    Args:
        binds: The address of each port.
        is_free: Why a port cannot be had at an address; None when it can.
    """
    found = []
    for port, bind in binds.items():
        why = is_free(bind, port)
        what = f"port {port}"
        if why is None:
            found.append(Finding(what, State.GOOD, f"free at {bind} ({PORTS[port]})"))
        else:
            advice = f"`ss -ltnp 'sport = :{port}'` names who has it; stop that, or choose another address with --bind"
            found.append(Finding(what, State.BAD, f"{why} at {bind} ({PORTS[port]})", advice))
    return found


def judge_compose(version: str) -> Finding:
    """Whether Compose understands docker-compose.yml."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    needed = ".".join(map(str, COMPOSE_NEEDED))
    if numbers < COMPOSE_NEEDED:
        advice = f"{needed} or later is needed: see https://docs.docker.com/compose/install"
        return Finding("Compose", State.BAD, version, advice)
    return Finding("Compose", State.GOOD, version)


def as_table(findings: list[Finding]) -> str:
    """The findings for a person, one a line, each that is not good with what to do below."""
    lines = []
    for each in findings:
        lines.append(f"  {each.state.value:8} {each.what:10} {each.found}")
        if each.advice:
            lines.append(f"  {'':8} {'':10} {each.advice}")
    return "\n".join(lines)


def memory_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def clock_is_synchronised() -> bool | None:
    """Whether somebody keeps the kernel's clock right; None where the kernel does not say.

    Source: adjtimex(2): the call's result is TIME_ERROR while the clock is not synchronised.
    """
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    # struct timex is 208 bytes; modes = 0 reads and changes nothing.
    state = int(adjtimex(ctypes.create_string_buffer(256)))
    return None if state < 0 else state != _TIME_ERROR


def port_is_free(bind: str, port: int) -> str | None:
    """Why a TCP port cannot be listened on at an address; None when it can."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as server:
        # As the engine does: a connection of a stopped site that still lingers is in nobody's way.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((bind, port))
            server.listen()
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                return "this machine has no such address"
            return "somebody else listens" if error.errno == errno.EADDRINUSE else str(error.strerror)
    return None


def _survey_docker(folder: Path) -> tuple[list[Finding], bool, Path]:
    """What there is of Docker, whether this site runs already, and where Docker keeps what it keeps."""
    try:
        site = Compose(folder)
        compose = judge_compose(site.compose_version())
    except SiteError as error:
        return [Finding("Docker", State.BAD, "not usable", str(error))], False, _DOCKER_ROOT
    try:
        engine = site.docker.engine_version()
    except SiteError as error:
        return [Finding("Docker", State.BAD, "no engine", str(error)), compose], False, _DOCKER_ROOT
    try:
        running = "mosquitto" in site.running()
    except SiteError:
        running = False
    try:
        root = site.docker.root()
    except SiteError:
        root = _DOCKER_ROOT
    return [Finding("Docker", State.GOOD, engine), compose], running, root


def _ports_of_our_own() -> Finding:
    return Finding("ports", State.GOOD, "this site runs and has them")
