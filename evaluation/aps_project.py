"""The model of the trucks as a project for `fanwatch toolkit`."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skops.io

from evaluation.aps import MISSING, Outcome, Trucks

MODEL_FILE = "model.skops"
SAMPLE_FILE = "sample.csv"
_SAMPLE_OF_EACH = 20
_FAR = 10
"""A counter this many times above the highest one that was learned from is a broken sender."""


def write_project(folder: Path, outcome: Outcome, training: Trucks, test: Trucks) -> None:
    """Write model, description and a sample of the test file into a folder.

    Raises:
        OSError: It cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(skops.io.dumps(outcome.model))
    highest = np.maximum(1.0, _FAR * training.signals.max(axis=0).astype(np.float64))
    (folder / "toolkit.toml").write_text(_description(outcome, training, highest), encoding="utf-8")
    plausible = (test.signals <= highest).all(axis=1)
    chosen = np.concatenate(
        [np.flatnonzero(plausible & (test.failures == label))[:_SAMPLE_OF_EACH] for label in (0, 1)]
    )
    lines = [
        ",".join([*(repr(float(value)) for value in test.signals[row]), str(test.failures[row])])
        for row in chosen
    ]
    header = ",".join([*test.names, "fault"])
    (folder / SAMPLE_FILE).write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def _description(outcome: Outcome, training: Trucks, highest: npt.NDArray[np.float64]) -> str:
    text = f"""\
# Failures of the air pressure system; written by `fanwatch evaluate aps`.
name = "aps"
version = "1"
threshold = {outcome.threshold!r}
model = "{MODEL_FILE}"
training_data_sha256 = "{training.digest}"
sample = "{SAMPLE_FILE}"

# The sample holds trucks whose class is known, and no model is always right.
[limits]
agreement = 0.8

[metrics]
cost = {float(outcome.found.total)}
false_alarms = {float(outcome.found.false_alarms)}
misses = {float(outcome.found.misses)}
"""
    for name, maximum in zip(training.names, highest, strict=True):
        text += f"""
[[signals]]
name = {json.dumps(name)}
unit = "anonymised"
minimum = {MISSING}
maximum = {float(maximum)!r}
"""
    return text
