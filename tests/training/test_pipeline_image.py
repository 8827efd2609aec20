"""The image's command, with nothing but the rooms that its Dockerfile copies, as a user who may write nowhere there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = (REPOSITORY / "training" / "Dockerfile").read_text()


def test_the_rooms_of_the_image_are_enough_for_a_run_to_its_first_error(tmp_path: Path) -> None:
    rooms = re.findall(r"^COPY (\w+) /app/\w+$", DOCKERFILE, re.MULTILINE)
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert [room for room in rooms if f"!{room}" not in ignored] == []
    for room in rooms:
        shutil.copytree(
            REPOSITORY / room, tmp_path / "app" / room, ignore=shutil.ignore_patterns("__pycache__")
        )
    (entry,) = re.findall(r"^ENTRYPOINT \[(.+)\]$", DOCKERFILE, re.MULTILINE)
    command = [
        sys.executable,
        "-I",
        "-c",
        _in_the_image(tmp_path / "app"),
        *re.findall(r'"([^"]+)"', entry)[2:],
    ]
    (tmp_path / "data").mkdir()
    answer = subprocess.run(
        [*command, "run", "--data", "none.csv", "--run", "runs/fan"],
        cwd=tmp_path / "data",
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 1
    assert "error: " in answer.stderr
    assert "none.csv: cannot be read" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert (tmp_path / "data" / "runs" / "fan" / "order.json").is_file()


def _in_the_image(app: Path) -> str:
    """Python as the image starts it: our packages out of /app and out of nowhere else."""
    return (
        "import runpy, sys\n"
        f"sys.path = [{str(app)!r}, *(place for place in sys.path if not place.startswith({str(REPOSITORY)!r}) "
        "or 'site-packages' in place)]\n"
        "import contract, training\n"
        f"assert all(room.__file__.startswith({str(app)!r}) for room in (contract, training))\n"
        "sys.argv[0] = 'fanwatch'\n"
        "runpy.run_module(sys.argv.pop(1), run_name='__main__')\n"
    )
