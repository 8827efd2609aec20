"""What an upgrade decides, without an engine; tests/compose/engine runs one."""

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_manager.backup.upgrade import STATE_FILE, Noted, UpgradeError, Used, is_fresh, objections
from edge_manager.device_health.findings import Finding, Severity
from testbed.process import REPOSITORY

ERROR = Finding("service_down", Severity.ERROR, "drift ended with exit code 1.", "docker compose up")
WARNING = Finding(
    "fan_silent", Severity.WARNING, "nothing was heard of fan 2 for 2 hours.", "fanwatch status"
)
GIGABYTE = 1_000_000_000
NOTED = Noted(
    at="2026-11-27T12:00:00.000Z",
    images={
        "monitor": Used(name="fanwatch-monitor", image_id="sha256:" + "a" * 64),
        "predictor": Used(name="fanwatch-predictor", image_id="sha256:" + "b" * 64),
        "history": Used(name="fanwatch-history", image_id="sha256:" + "c" * 64),
        "setup": Used(name="fanwatch-setup", image_id="sha256:" + "c" * 64),
    },
    backup="/mnt/nas/before.backup",
)


def test_a_device_that_is_well_and_has_room_may_be_upgraded_and_a_warning_is_no_objection() -> None:
    assert objections([WARNING], GIGABYTE, 3 * GIGABYTE, despite_findings=False) == []


def test_an_error_is_an_objection_until_somebody_who_has_seen_it_says_otherwise() -> None:
    assert objections([ERROR], GIGABYTE, 9 * GIGABYTE, despite_findings=False) == [ERROR.what]
    assert objections([ERROR], GIGABYTE, 9 * GIGABYTE, despite_findings=True) == []


def test_no_room_is_an_objection_whatever_anybody_says() -> None:
    [objection] = objections([ERROR], GIGABYTE, 3 * GIGABYTE - 1, despite_findings=True)
    assert "3.0 GB beside the old ones" in objection


def test_the_way_back_gives_every_name_its_image_again_and_each_image_a_tag_of_its_own() -> None:
    assert NOTED.retags() == [
        ("sha256:" + "a" * 64, "fanwatch-monitor"),
        ("sha256:" + "b" * 64, "fanwatch-predictor"),
        ("sha256:" + "c" * 64, "fanwatch-history"),
        ("sha256:" + "c" * 64, "fanwatch-setup"),
    ]
    tags = {used.kept_as(service) for service, used in NOTED.images.items()}
    assert len(tags) == len(NOTED.images), "one that shares its image is kept as well"
    assert "fanwatch-before/monitor:aaaaaaaaaaaa" in tags


def test_what_was_upgraded_is_whatever_runs_another_image() -> None:
    now = NOTED.images | {"monitor": Used(name="fanwatch-monitor", image_id="sha256:" + "d" * 64)}
    assert NOTED.differing(now) == ["monitor"]
    assert NOTED.differing(NOTED.images) == []


def test_what_was_noted_is_read_again_and_a_damaged_note_says_so() -> None:
    assert Noted.read(NOTED.model_dump_json()) == NOTED
    with pytest.raises(UpgradeError, match="does not say what ran before"):
        Noted.read("{}")


def test_a_verdict_from_before_the_start_proves_nothing() -> None:
    started = datetime(2026, 11, 27, 12, tzinfo=UTC)
    now = started + timedelta(seconds=30)
    assert is_fresh(29.0, started, now)
    assert not is_fresh(31.0, started, now)
    assert not is_fresh(None, started, now)


# A docker that answers from a file of answers: what Upgrade asks and in which order, where no engine is.
DOCKER = """#!/usr/bin/env python3
import json, os, pathlib, sys
words = " ".join(sys.argv[1:])
with open(os.environ["DOCKER_LOG"], "a") as log:
    log.write(words + "\\n")
for part, (text, code) in json.loads(pathlib.Path(os.environ["DOCKER_ANSWERS"]).read_text()):
    if part in words:
        print(text)
        sys.exit(code)
"""


def called(
    folder: Path, answers: list[tuple[str, tuple[str, int]]], *arguments: str
) -> tuple[int, str, list[str]]:
    """Runs `fanwatch upgrade` where docker is a program of the test's; exit code, errors, what docker was asked."""
    (folder / "docker-compose.yml").touch()
    program = folder / "docker"
    program.write_text(DOCKER)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / "answers").write_text(json.dumps(answers))
    log = folder / "log"
    log.touch()
    ended = subprocess.run(
        [sys.executable, "-m", "fanwatch.cli", "upgrade", "--folder", str(folder), *arguments],
        env=os.environ
        | {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "DOCKER_LOG": str(log),
            "DOCKER_ANSWERS": str(folder / "answers"),
        },
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ended.returncode, ended.stderr, log.read_text().splitlines()


def test_going_back_retags_what_was_noted_and_starts_it_without_building_or_pulling(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_text(NOTED.model_dump_json())
    code, errors, asked = called(tmp_path, [], "--back")
    assert code == 0, errors
    assert asked[:4] == [f"tag {image} {name}" for image, name in NOTED.retags()]
    assert "up --detach --wait --wait-timeout 300 --no-build --pull never" in asked[4]


def test_without_an_upgrade_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    code, errors, asked = called(tmp_path, [], "--back")
    assert (code, asked) == (1, [])
    assert "no upgrade was made here" in errors


def test_an_upgrade_without_a_place_for_its_backup_is_not_begun(tmp_path: Path) -> None:
    code, errors, asked = called(tmp_path, [])
    assert (code, asked) == (1, [])
    assert "expected --backup-out FILE" in errors


def test_an_upgrade_of_a_stack_that_was_never_started_is_not_begun(tmp_path: Path) -> None:
    code, errors, asked = called(tmp_path, [("config", ("{}", 0))], "--backup-out", str(tmp_path / "x"))
    assert code == 1
    assert "no service of Fanwatch was started here" in errors
    assert not any("build" in line or " up " in line or line.startswith("tag") for line in asked)
