"""The bundle under models/ keeps the promises of its documentation, on readings that it never saw."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from contract.bundle import Manifest
from training.bundle import litert_probabilities, read_manifest
from training.command import app
from training.dataset import DataSet, generate, read_csv
from training.evaluation import evaluate

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "models" / "fan"
RECORDED = ROOT.parent / "shared" / "data" / "fan.csv"


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return read_manifest(BUNDLE)


def scores(signals: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    return litert_probabilities((BUNDLE / "model.tflite").read_bytes(), signals)


def assert_as_good_as_the_oracle(data: DataSet, threshold: float) -> None:
    result = evaluate(data, scores(data.signals), threshold)
    assert result.model["accuracy"] == pytest.approx(result.oracle["accuracy"], abs=0.005)
    assert result.model["auc"] == pytest.approx(result.oracle["auc"], abs=0.003)
    assert result.model["expected_calibration_error"] <= 0.03


@pytest.mark.parametrize("seed", [101, 102, 103])
def test_on_generated_readings_it_is_as_good_as_the_oracle(manifest: Manifest, seed: int) -> None:
    assert_as_good_as_the_oracle(generate(50_000, seed)[0], manifest.threshold)


@pytest.mark.skipif(
    not RECORDED.is_file(),
    reason=f"LEFT OUT: the recorded readings are not part of this repository and {RECORDED} is not there; "
    "the generated readings of the same distributions were tested",
)
def test_on_the_recorded_readings_it_is_as_good_as_the_oracle(manifest: Manifest) -> None:
    assert_as_good_as_the_oracle(read_csv(RECORDED), manifest.threshold)


def test_its_training_data_can_be_drawn_again(manifest: Manifest) -> None:
    assert generate(120_000, 1)[0].digest == manifest.training_data_sha256


def test_what_is_worse_than_anything_recorded_is_a_fault(manifest: Manifest) -> None:
    worse = np.array(
        [
            [0, 20, 0, 30],  # stopped
            [300, 40, 150, 48],  # slower
            [600, 90, 150, 48],  # hotter
            [600, 40, 600, 48],  # shaking more
            [600, 40, 150, 95],  # louder
            [350, 80, 500, 90],
            [1400, 120, 900, 120],  # overspeed with everything else
        ],
        dtype=np.float64,
    )
    for spec, column in zip(manifest.signals, worse.T, strict=True):
        assert spec.minimum <= column.min() <= column.max() <= spec.maximum
    assert (scores(worse) > 0.9).all()


def test_evaluate_prints_and_writes_the_figures_beside_the_oracles(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["evaluate", "--bundle", str(BUNDLE), "--rows", "2000", "--report", str(tmp_path)]
    )
    assert done.exit_code == 0
    assert "fan:1 on 2000 generated rows" in done.output
    assert "the box test on the known distributions" in done.output
    assert {path.name for path in tmp_path.iterdir()} == {
        "metrics.json",
        "scatter.png",
        "roc.png",
        "precision_recall.png",
        "confusion.png",
        "reliability.png",
    }


def test_evaluate_refuses_a_damaged_bundle_a_wrong_csv_and_a_missing_one(tmp_path: Path) -> None:
    damaged = tmp_path / "fan"
    damaged.mkdir()
    (damaged / "manifest.json").write_bytes((BUNDLE / "manifest.json").read_bytes())
    (damaged / "model.tflite").write_bytes(b"damaged")
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("Speed,Faulty\n1,0\n")
    for arguments, told in (
        (["--bundle", str(damaged)], "SHA-256"),
        (["--bundle", str(tmp_path / "none")], "cannot be read"),
        (["--bundle", str(BUNDLE), "--data", str(wrong)], "no column rotation"),
    ):
        done = CliRunner().invoke(app, ["evaluate", *arguments])
        assert done.exit_code == 1
        assert told in done.output
        assert done.output.startswith("error: ")


def test_generate_writes_a_file_and_does_not_overwrite_it_unasked(tmp_path: Path) -> None:
    out = tmp_path / "made" / "fans.csv"
    assert CliRunner().invoke(app, ["generate", "--out", str(out), "--rows", "1000"]).exit_code == 0
    assert len(read_csv(out)) == 1000
    again = CliRunner().invoke(app, ["generate", "--out", str(out), "--rows", "1000"])
    assert again.exit_code == 1
    assert "--overwrite" in again.output
