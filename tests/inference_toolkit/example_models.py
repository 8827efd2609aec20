"""The models of examples/ that are made and not committed, each by the example's own commands, on made data."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from typer.testing import CliRunner

from testbed.process import REPOSITORY
from tests.evaluation.made_recordings import close_valve, pump, write_recording
from tests.evaluation.made_trucks import write_files
from training.command import app as training_app


def learned_pump(folder: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Learn SKAB's pump without labels into folder/pump; the recording's signals and faults."""
    signals = pump(700, seed=3)
    faults = close_valve(signals, 500, 599, drop=8)
    write_recording(folder / "recording.csv", signals, None)
    machine = REPOSITORY / "examples" / "skab" / "pump.toml"
    arguments = ("--data", folder / "recording.csv", "--machine", machine, "--out", folder / "pump")
    done = CliRunner().invoke(training_app, ["learn", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return signals, faults


def trucks_project(folder: Path) -> str:
    """Made files of the trucks' form in the folder, and the project folder/aps out of them; what was printed."""
    write_files(folder)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "fanwatch.cli",
            "evaluate",
            "aps",
            "--data",
            folder,
            "--project",
            folder / "aps",
        ],
        # Threads that wait for each other on busy cores take four times as long.
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
