import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evaluation.diagnosis_cost import measure_diagnosis
from evaluation.studies import app
from evaluation.study_plots import plot_wear
from evaluation.wear_study import Life, study_wear

REPOSITORY = Path(__file__).parents[2]


def test_the_study_of_health_writes_its_figures_and_its_plot(tmp_path: Path) -> None:
    arguments = [
        "health",
        "--out",
        str(tmp_path),
        "--bundle",
        str(REPOSITORY / "models/fan"),
        "--streams",
        "10",
    ]
    arguments += ["--long", "1000"]
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 0, answer.output
    assert (tmp_path / "health.json").exists()
    assert (tmp_path / "health.png").stat().st_size > 10_000


def test_the_study_of_the_gate_writes_its_figures_and_its_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.studies.GATE_SIZES", (1000,))
    answer = CliRunner().invoke(app, ["gate", "--out", str(tmp_path), "--repeats", "10"])
    assert answer.exit_code == 0, answer.output
    points = json.loads((tmp_path / "gate.json").read_text())["points"]
    assert min(points, key=lambda point: point["true_gain"])["passed"] == 0
    assert max(points, key=lambda point: point["true_gain"])["passed"] >= 0.8
    assert (tmp_path / "gate.png").stat().st_size > 10_000


def test_the_study_of_wear_draws_what_it_found(tmp_path: Path) -> None:
    plot_wear(tmp_path / "wear.png", [study_wear(Life(healthy_s=60, wear_s=600, interval_s=5), range(3))])
    assert (tmp_path / "wear.png").stat().st_size > 10_000


def test_the_cost_of_the_diagnosis_is_measured_for_any_number_of_fans() -> None:
    cost = measure_diagnosis(50, readings=500)
    assert (cost.fans, cost.readings) == (50, 500)
    assert cost.microseconds_per_reading > 0
