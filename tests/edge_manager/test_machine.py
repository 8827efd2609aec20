"""Whether a machine can carry a site: what is judged, and that what is asked is the real machine."""

import json
import os
import re
import socket
from pathlib import Path

import psutil
import pytest

from edge_manager.device.machine import (
    BYTES_PER_READING,
    GIB,
    Finding,
    Room,
    State,
    as_table,
    clock_is_synchronised,
    judge_clock,
    judge_compose,
    judge_disks,
    judge_memory,
    judge_ports,
    memory_bytes,
    port_is_free,
    survey,
)
from testbed.ports import free_port
from testbed.process import REPOSITORY


@pytest.mark.parametrize(
    ("gib", "state"),
    [(0, State.BAD), (4.9, State.BAD), (5, State.WARNING), (19, State.WARNING), (20, State.GOOD)],
)
def test_a_disk_is_judged_by_what_is_free(gib: float, state: State) -> None:
    [finding] = judge_disks(room(gib), room(gib), 30)
    assert finding.state is state
    assert bool(finding.advice) is (state is not State.GOOD)


def room(gib: float, disk: int = 1, place: str = "/var/lib/docker") -> Room:
    return Room(Path(place), disk, int(gib * GIB))


@pytest.mark.parametrize(
    ("gib", "state"), [(3.9, State.BAD), (4, State.WARNING), (7.9, State.WARNING), (8, State.GOOD)]
)
def test_with_the_data_elsewhere_dockers_own_disk_is_judged_too_by_what_images_take(
    gib: float, state: State
) -> None:
    data, images = judge_disks(room(500, 2, "/srv/data"), room(gib), 30)
    assert (data.what, data.state, "/srv/data" in data.found) == ("disk", State.GOOD, True)
    assert (images.what, images.state, "/var/lib/docker" in images.found) == ("image disk", state, True)
    assert bool(images.advice) is (state is not State.GOOD)


def test_a_full_data_disk_is_told_although_dockers_has_room() -> None:
    data, images = judge_disks(room(1, 2, "/srv/data"), room(500), 30)
    assert (data.state, images.state) == (State.BAD, State.GOOD)


@pytest.mark.parametrize(
    ("free", "days", "fans"),
    [(5, 30, "7 fans"), (20, 30, "62 fans"), (685, 30, "2,500 fans"), (685, 60, "1,250 fans")],
)
def test_the_room_is_said_in_fans_as_the_sizing_page_counts_them(free: float, days: int, fans: str) -> None:
    [finding] = judge_disks(room(free), room(free), days)
    assert f"{days} days of about {fans}" in finding.found


def test_what_a_reading_takes_is_what_was_measured_and_what_the_sizing_page_says() -> None:
    measured = json.loads((REPOSITORY / "benchmarks" / "results" / "sizing.json").read_text())["storage"]
    assert round(measured["bytes_per_reading"]) == BYTES_PER_READING
    page = (REPOSITORY / "docs" / "sizing.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| ([\d,]+)[^|]* \| [^|]+ \| [^|]+ \| ([\d,]+) GiB \|$", page, re.MULTILINE)
    assert len(rows) == 4
    for fans, gib in rows:
        month = int(fans.replace(",", "")) * BYTES_PER_READING * 30 * 86_400 / GIB
        assert month == pytest.approx(int(gib.replace(",", "")), rel=0.01)


@pytest.mark.parametrize(
    ("gib", "state"), [(1.9, State.BAD), (2, State.WARNING), (3.5, State.WARNING), (3.7, State.GOOD)]
)
def test_memory_is_judged_and_four_gib_less_the_kernels_are_four(gib: float, state: State) -> None:
    assert judge_memory(int(gib * GIB)).state is state


@pytest.mark.parametrize(
    ("synchronised", "state"), [(True, State.GOOD), (False, State.WARNING), (None, State.WARNING)]
)
def test_a_clock_that_nobody_keeps_right_or_that_cannot_be_asked_is_a_warning(
    synchronised: bool | None, state: State
) -> None:
    assert judge_clock(synchronised).state is state


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("2.24.0", State.GOOD),
        ("2.23.3", State.BAD),
        ("1.29.2", State.BAD),
        ("2.26.1-4", State.GOOD),
        ("5.0.0", State.GOOD),
        ("2.40.3-desktop.1", State.GOOD),
        ("v2.9", State.BAD),
    ],
)
def test_compose_is_judged_by_its_version(version: str, state: State) -> None:
    assert judge_compose(version).state is state


def test_a_port_that_somebody_has_is_named_with_the_way_to_find_out_who() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert port_is_free("127.0.0.1", port) == "somebody else listens"
        assert port_is_free("0.0.0.0", port) == "somebody else listens"
    assert port_is_free("127.0.0.1", free_port()) is None
    assert port_is_free("192.0.2.1", free_port()) == "this machine has no such address"


def test_each_port_is_asked_at_its_own_address() -> None:
    asked: list[tuple[str, int]] = []

    def is_free(bind: str, port: int) -> str | None:
        asked.append((bind, port))
        return "somebody else listens" if port == 1883 else None

    good, bad = judge_ports({8883: "0.0.0.0", 1883: "127.0.0.1"}, is_free)
    assert asked == [("0.0.0.0", 8883), ("127.0.0.1", 1883)]
    assert (good.state, bad.state) == (State.GOOD, State.BAD)
    assert "sport = :1883" in bad.advice


def test_the_machine_is_asked_and_not_guessed(tmp_path: Path) -> None:
    assert abs(memory_bytes() - psutil.virtual_memory().total) < GIB / 10
    assert clock_is_synchronised() in {True, False, None}
    findings = {
        each.what: each for each in survey(tmp_path, tmp_path / "not" / "there", "127.0.0.1", "127.0.0.1", 30)
    }
    assert f"free under {tmp_path}:" in findings["disk"].found
    assert {"Docker", "disk", "memory", "clock", "port 8883", "port 1883", "port 8080", "port 3000"} <= set(
        findings
    )


def test_both_disks_of_the_machine_are_looked_at(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if memory.stat().st_dev == Path("/var/lib").stat().st_dev:
        pytest.skip("/dev/shm is no file system of its own here")
    found = {each.what: each.found for each in survey(tmp_path, memory, "127.0.0.1", "127.0.0.1", 30)}
    state = os.statvfs(memory)
    assert found["disk"].startswith(f"{state.f_bavail * state.f_frsize / GIB:.1f} GiB free under /dev/shm")
    assert "GiB free under /var" in found["image disk"]


def test_the_table_has_what_to_do_below_what_is_not_good() -> None:
    text = as_table([Finding("disk", State.GOOD, "20 GiB"), Finding("clock", State.BAD, "off", "set it")])
    assert [line.split() for line in text.splitlines()] == [
        ["good", "disk", "20", "GiB"],
        ["bad", "clock", "off"],
        ["set", "it"],
    ]
