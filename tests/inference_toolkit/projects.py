"""Projects that the tests pack: written by `fanwatch toolkit new`, or of a model made here."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

SIGNALS = ("flow", "pressure")
DESCRIPTION = """\
name = "pump"
version = "{version}"
threshold = 0.5
model = "{model}"
training_data = "training.csv"
sample = "sample.csv"

[[signals]]
name = "flow"
unit = "l/min"
minimum = 0
maximum = 500

[[signals]]
name = "pressure"
unit = "bar"
minimum = 0
maximum = 16

[limits]
p99_ms = 2000
memory_mib = 2000
"""


def rows_and_faults(count: int = 400, seed: int = 1) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """A pump whose fault is little flow at much pressure, and a gap between the two."""
    rng = np.random.default_rng(seed)
    faults = (np.arange(count) % 4 == 0).astype(np.int64)
    middle = np.where(faults[:, None] == 1, (100, 10), (300, 5))
    rows: npt.NDArray[np.float32] = rng.normal(middle, (15, 0.5)).clip((0, 0), (500, 16)).astype(np.float32)
    return rows, faults


def write_csv(path: Path, header: Sequence[str], rows: npt.NDArray[np.float32]) -> None:
    lines = [",".join(repr(float(value)) for value in row) for row in rows]
    path.write_text("\n".join([",".join(header), *lines]) + "\n")


def write_project(folder: Path, model: str, content: bytes, version: str = "1") -> Path:
    """A project of a model file, with the data above."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toolkit.toml").write_text(DESCRIPTION.format(model=model, version=version))
    (folder / model).write_bytes(content)
    rows, faults = rows_and_faults()
    write_csv(folder / "training.csv", SIGNALS, rows)
    write_csv(folder / "sample.csv", [*SIGNALS, "fault"], np.column_stack([rows, faults])[:40])
    return folder
