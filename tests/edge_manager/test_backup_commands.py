"""What `fanwatch backup`, `restore` and `upgrade` say to a person who does something wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fanwatch.rooms import COMMANDS
from testbed.process import REPOSITORY

OUTSIDE = [
    ["backup", "--out", "x.backup"],
    ["restore", "x.backup"],
    ["restore", "x.backup", "--overwrite-existing-data"],
    ["upgrade", "--backup-out", "x.backup"],
    ["upgrade", "--back"],
    ["upgrade"],
]
NEED_NO_SITE = {"backup keygen"}


def called(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `fanwatch` where a person stands."""
    return subprocess.run(
        [sys.executable, "-m", "fanwatch.cli", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_command_of_this_room_is_tried_outside_of_a_sites_folder() -> None:
    ours = {name for name, each in COMMANDS.items() if each.module == "edge_manager.backup.command"}
    assert ours == {each[0] for each in OUTSIDE} | NEED_NO_SITE


def test_keys_are_not_written_into_a_folders_place(tmp_path: Path) -> None:
    ended = called(tmp_path, "backup", "keygen", "--out", ".")
    assert (ended.returncode, ended.stdout) == (1, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", OUTSIDE, ids=" ".join)
def test_outside_of_a_sites_folder_a_command_says_so_in_one_line(
    arguments: list[str], tmp_path: Path
) -> None:
    ended = called(tmp_path, *arguments)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"error: {tmp_path} is not a site's folder: it has no docker-compose.yml")
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []
