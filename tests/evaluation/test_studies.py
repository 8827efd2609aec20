import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evaluation.diagnosis_cost import measure_diagnosis
from evaluation.made_machines import MACHINES
from evaluation.studies import app
from evaluation.study_plots import plot_wear
from evaluation.unlabelled_study import study_unlabelled
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


def test_the_study_without_labels_counts_what_it_finds_and_what_was_no_fault() -> None:
    furnace = MACHINES[0]
    done: list[int] = []
    well, drift = study_unlabelled(
        [600, 601], machines=[replace(furnace, faults=furnace.faults[:1])], progress=done.append
    )
    assert (well.fault, well.faults, well.found, well.delay_s) == ("none", 0, 0, None)
    assert well.device_days == pytest.approx(102)
    assert well.false_alarms <= 3
    assert (drift.faults, drift.found) == (4, 4)
    assert drift.delay_s is not None
    assert 0 < drift.delay_s < 36 * 3600
    assert sum(done) == 4


def test_each_made_fault_changes_its_hours_and_nothing_else() -> None:
    for machine in MACHINES:
        times, well, none = machine.record(None, seed=1)
        assert none == []
        assert len(times) == len(well)
        for fault in machine.faults:
            _, rows, (first, second) = machine.record(fault, seed=1)
            changed = times[(rows != well).any(axis=1)]
            for changes, true in (
                (changed[: len(changed) // 2], first),
                (changed[len(changed) // 2 :], second),
            ):
                assert (
                    true.begin
                    <= changes.min()
                    < true.begin + 0.02 * (true.end - true.begin) + machine.interval_s
                )
                assert changes.max() < true.end
                assert true.end - true.begin == pytest.approx(3600 * fault.hours)


def test_a_study_of_a_bundle_that_is_not_there_gets_one_sentence(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["health", "--out", str(tmp_path), "--bundle", str(tmp_path / "none")])
    assert answer.exit_code == 1
    assert answer.output.startswith("error: ")
    assert "Traceback" not in answer.output


def test_the_cost_of_the_diagnosis_is_measured_for_any_number_of_fans() -> None:
    cost = measure_diagnosis(50, readings=500)
    assert (cost.fans, cost.readings) == (50, 500)
    assert cost.microseconds_per_reading > 0
