"""``fanwatch toolkit new``: a small project that works as it is, to be changed from there."""

import json
import re
import shutil
import tempfile
from pathlib import Path
from string import Template

import numpy as np
import numpy.typing as npt

from contract.identity import MODEL_NAME_PATTERN
from inference_toolkit.errors import ToolkitError

_TEMPLATE = Path(__file__).with_name("template")
_RENAMED = {"gitignore": ".gitignore"}  # a file of that name would be read here too
_MEAN, _DEVIATION = (250.0, 6.0), (12.0, 0.3)
_SEED = 1
_FAULT_AT = 6.0  # deviations from the mean: a blocked pipe, less flow and more pressure


def new_project(name: str, folder: Path) -> list[str]:
    """Write a project: handler, description, data, test, and a workflow for CI.

    Args:
        name: Of the model.
        folder: Where to; appears whole or not at all.

    Returns:
        The files, relative to the folder.

    Raises:
        ToolkitError: The name cannot be a model's, or the folder is there already.
    """
    if not re.fullmatch(MODEL_NAME_PATTERN, name):
        raise ToolkitError(f"{name!r} cannot be a model's name; expected {MODEL_NAME_PATTERN}, as in its URL")
    if folder.exists():
        raise ToolkitError(f"{folder} is there already; choose another --out")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        fresh = Path(scratch, "new")
        for source in sorted(_TEMPLATE.rglob("*.txt")):
            target = fresh / source.relative_to(_TEMPLATE).with_suffix("")
            target = target.with_name(_RENAMED.get(target.name, target.name))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(
                Template(source.read_text(encoding="utf-8")).substitute(name=name), encoding="utf-8"
            )
        _write_data(fresh)
        files = sorted(str(path.relative_to(fresh)) for path in fresh.rglob("*") if path.is_file())
        shutil.move(fresh, folder)
    return files


def _write_data(folder: Path) -> None:
    """Rows of a made-up pump, and the model that train.py makes of them."""
    rng = np.random.default_rng(_SEED)
    training = np.round(rng.normal(_MEAN, _DEVIATION, (400, 2)), 2)
    healthy = np.round(rng.normal(_MEAN, np.array(_DEVIATION) / 2, (10, 2)), 2)
    faulty = np.round(healthy + np.array([-_FAULT_AT, _FAULT_AT]) * _DEVIATION, 2)
    _write_csv(folder / "training.csv", "flow,pressure", training)
    model = {"mean": training.mean(axis=0).tolist(), "deviation": training.std(axis=0).tolist()}
    (folder / "model.json").write_text(json.dumps(model, indent=2) + "\n", encoding="utf-8")
    labelled = [
        np.column_stack([rows, np.full(len(rows), label)]) for label, rows in ((0, healthy), (1, faulty))
    ]
    _write_csv(folder / "sample.csv", "flow,pressure,fault", np.concatenate(labelled))


def _write_csv(path: Path, header: str, rows: npt.NDArray[np.float64]) -> None:
    lines = [",".join(f"{value:g}" for value in row) for row in rows]
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
