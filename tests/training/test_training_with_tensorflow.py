"""Training from data to bundle and report. The one module of this room that loads TensorFlow (ten seconds)."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from typer.testing import CliRunner

from training.bundle import BundleError, litert_probabilities, read_manifest
from training.command import app
from training.dataset import generate
from training.evaluation import evaluate
from training.pipeline import Order, run
from training.recipe import Recipe

# Keras 3 against NumPy 2; not ours, and nothing that these tests could act on.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order(
        data=None,
        rows=120_000,
        seed=1,
        bundle=tmp_path / "models" / "fan",
        report=tmp_path / "report",
        name="fan",
        version="1",
        threshold=0.5,
        overwrite=False,
    )


def test_the_committed_bundle_can_be_trained_again_with_its_figures(order: Order) -> None:
    run(order, Recipe(), progress=False)
    made, committed = read_manifest(order.bundle), read_manifest(MODELS / "fan")
    assert made.training_data_sha256 == committed.training_data_sha256
    assert made.signals == committed.signals
    assert made.metrics == pytest.approx(committed.metrics, abs=0.005)


def test_a_csv_becomes_a_bundle_as_good_as_the_oracle_and_a_report(
    order: Order, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, content = generate(20_000, 21)
    (tmp_path / "fans.csv").write_bytes(content)
    order = replace(order, data=tmp_path / "fans.csv", version="2", threshold=0.4)
    run(order, Recipe(), progress=True)

    assert "training: 100%" in capfd.readouterr().err
    manifest = read_manifest(order.bundle)
    assert (manifest.model_id, manifest.threshold) == ("fan:2", 0.4)
    fresh, _ = generate(50_000, 22)
    served = litert_probabilities((order.bundle / "model.tflite").read_bytes(), fresh.signals)
    result = evaluate(fresh, served, 0.5)
    assert result.model["accuracy"] == pytest.approx(result.oracle["accuracy"], abs=0.005)
    assert result.model["auc"] == pytest.approx(result.oracle["auc"], abs=0.003)
    assert result.model["expected_calibration_error"] <= 0.03

    plots = {path.name for path in order.report.glob("*.png")}
    assert plots == {
        "scatter.png",
        "roc.png",
        "precision_recall.png",
        "confusion.png",
        "reliability.png",
        "loss.png",
    }
    metrics = json.loads((order.report / "metrics.json").read_text())
    assert metrics["model"].keys() == metrics["oracle"].keys() == manifest.metrics.keys()
    assert metrics["litert_largest_difference"] < 1e-5
    assert len(metrics["losses"]["fit"]) == 40


def test_the_same_seed_gives_the_same_model_and_another_seed_another(order: Order, tmp_path: Path) -> None:
    fresh, _ = generate(1000, 5)

    def scores(seed: int, attempt: str) -> npt.NDArray[np.float64]:
        made = replace(order, rows=4000, bundle=tmp_path / attempt)
        run(made, Recipe(seed=seed, epochs=3), progress=False)
        return litert_probabilities((made.bundle / "model.tflite").read_bytes(), fresh.signals)

    np.testing.assert_array_equal(scores(1, "first"), scores(1, "second"))
    assert not np.array_equal(scores(1, "third"), scores(2, "fourth"))


def test_a_bundle_that_stands_there_is_replaced_only_when_asked(order: Order) -> None:
    small = replace(order, rows=2000)
    recipe = Recipe(epochs=2)
    run(small, recipe, progress=False)
    with pytest.raises(BundleError, match="--overwrite"):
        run(replace(small, version="2"), recipe, progress=False)
    assert read_manifest(order.bundle).version == "1"
    run(replace(small, version="2", overwrite=True), recipe, progress=False)
    assert read_manifest(order.bundle).version == "2"
    assert [path.name for path in order.bundle.parent.iterdir()] == ["fan"]


def test_a_run_is_tracked_with_its_parameters_figures_plots_and_data_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANWATCH_REGISTRY_DIR", str(tmp_path / "registry"))
    folders = ["--out", str(tmp_path / "fan"), "--report", str(tmp_path / "report")]
    done = CliRunner().invoke(app, ["train", "--rows", "1000", "--epochs", "2", *folders, "--track"])
    assert done.exit_code == 0, done.output
    assert "tracked in sqlite:///" in done.output
    manifest = read_manifest(tmp_path / "fan")
    with sqlite3.connect(tmp_path / "registry" / "mlflow.sqlite3") as file:
        tags, parameters, figures = (
            dict(file.execute(f"select key, value from {table}"))
            for table in ("tags", "params", "latest_metrics")
        )
    assert tags["data_sha256"] == manifest.training_data_sha256
    assert parameters["epochs"] == "2"
    assert figures["auc"] == pytest.approx(manifest.metrics["auc"])
    assert list((tmp_path / "registry" / "artifacts").rglob("roc.png"))


def test_a_folder_that_is_no_bundle_is_never_replaced(order: Order) -> None:
    order.bundle.mkdir(parents=True)
    (order.bundle / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match="it is no bundle"):
        run(replace(order, overwrite=True), Recipe(), progress=False)
    assert (order.bundle / "thesis.txt").is_file()


def test_train_on_a_csv_with_a_wrong_column_ends_with_a_clear_error_and_no_bundle(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("Rotation,Temperature,Vibrations,Sound,Faulty\n600,40,150,48,0\n")
    done = CliRunner().invoke(app, ["train", "--data", str(wrong), "--out", str(tmp_path / "fan")])
    assert done.exit_code == 1
    assert done.output.startswith("error: ")
    assert "no column vibration; expected rotation, temperature, vibration, sound, faulty" in done.output
    assert not (tmp_path / "fan").exists()
