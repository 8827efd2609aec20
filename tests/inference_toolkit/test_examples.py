"""Each example of examples/ is packed and run; tests/compose/engine/test_toolkit_images.py builds their images."""

from pathlib import Path

import numpy as np
import pytest

from contract.bundle import Manifest
from evaluation.aps import read_trucks
from testbed.process import REPOSITORY
from tests.inference_toolkit.conftest import Run
from tests.inference_toolkit.example_models import learned_pump, trucks_project
from training.bundle import read_manifest
from training.recording import read_machine

EXAMPLES = REPOSITORY / "examples"


def without_failures(told: str) -> dict[str, str]:
    assert "FAIL" not in told, told
    return {line[6:36].strip(): line[37:] for line in told.splitlines()}


def test_the_fan_is_packed_and_passes_and_is_the_model_that_ships(run: Run, tmp_path: Path) -> None:
    told = without_failures(run("test", EXAMPLES / "fan", "--requests", "20"))
    assert told["served as"] == "fan:1 by litert"
    assert told["fault"].startswith("40 of 40 rows")
    run("pack", EXAMPLES / "fan", "--out", tmp_path / "fan")
    ours, ships = read_manifest(tmp_path / "fan"), read_manifest(REPOSITORY / "models" / "fan")
    assert ours.files["model.tflite"] == ships.files["model.tflite"]
    same = {"signals", "threshold", "name", "version", "training_data_sha256"}
    assert ours.model_dump(include=same) == ships.model_dump(include=same)


def test_the_pump_of_skab_is_learned_without_labels_and_its_bundle_passes(run: Run, tmp_path: Path) -> None:
    signals, faults = learned_pump(tmp_path)
    machine = EXAMPLES / "skab" / "pump.toml"
    header = ",".join([*read_machine(machine).names, "fault"])
    lines = [
        ",".join([*(f"{value:.6g}" for value in signals[row]), str(faults[row])])
        for row in (*range(480, 500), *range(540, 560))
    ]
    (tmp_path / "sample.csv").write_text("\n".join([header, *lines]) + "\n")
    told = without_failures(
        run("test", tmp_path / "pump", "--sample", tmp_path / "sample.csv", "--requests", "20")
    )
    assert told["served as"] == "pump:1 by litert"
    assert told["fault"].startswith("40 of 40 rows")


@pytest.fixture(scope="module")
def trucks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Made files, and the project that the command makes of them: (folder, what it printed)."""
    folder = tmp_path_factory.mktemp("aps")
    return folder, trucks_project(folder)


def test_the_trucks_cost_less_than_never_and_always_calling_and_are_not_called_scanias(
    trucks: tuple[Path, str],
) -> None:
    folder, told = trucks
    assert "NOT SCANIA'S DATA: 800 and 400 rows" in told
    costs = {
        line.split()[0]: int(line.rsplit("=")[1].replace(",", ""))
        for line in told.splitlines()
        if "=" in line
    }
    failures = read_trucks(folder / "aps_failure_test_set.csv").failures
    assert costs["never"] == 500 * int(failures.sum())
    assert costs["always"] == 10 * int((failures == 0).sum())
    assert costs["this"] < min(costs["never"], costs["always"])


def test_the_trucks_model_is_packed_as_onnx_and_passes(
    trucks: tuple[Path, str], run: Run, tmp_path: Path
) -> None:
    project = trucks[0] / "aps"
    told = without_failures(run("test", project, "--requests", "20"))
    assert told["served as"] == "aps:1 by onnxruntime_onnx"
    run("pack", project, "--out", tmp_path / "aps")
    manifest: Manifest = read_manifest(tmp_path / "aps")
    assert set(manifest.files) == {"model.onnx"}
    assert len(manifest.signals) == 170
    assert f"{manifest.threshold:.4f}" in trucks[1]
    assert (
        manifest.metrics["cost"] == 10 * manifest.metrics["false_alarms"] + 500 * manifest.metrics["misses"]
    )
    assert np.isclose(min(spec.minimum for spec in manifest.signals), -1)
