"""The benchmark's command: on made recordings everywhere, on the real ones where they are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from evaluation.outliers import stretches
from evaluation.skab import find_recordings, judge, skab_machine
from evaluation.skab_command import app
from fanwatch.group import app as fanwatch
from tests.evaluation.made_recordings import TEMPERATURE, close_valve, pump, write_recording
from tests.evaluation.real_recordings import SKAB, needs_skab

ROWS = 1100


def evaluate(data: Path, out: Path) -> Result:
    return CliRunner().invoke(app, ["--data", str(data), "--out", str(out)])


def metrics(out: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return figures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three recordings with a fault, in subfolders and flat, and one without labels."""
    data = tmp_path / "data"
    for number, place in enumerate(("valve/2.csv", "valve/10.csv", "0.csv")):
        signals = pump(ROWS, seed=number)
        write_recording(data / place, signals, close_valve(signals, 600, 899))
    write_recording(data / "anomaly-free" / "anomaly-free.csv", pump(ROWS, seed=9), None)
    return data


def test_a_folder_gives_a_table_metrics_as_fractions_and_a_plot_for_each_recording(
    folder: Path, tmp_path: Path
) -> None:
    answer = evaluate(folder, tmp_path / "out")
    assert answer.exit_code == 0, answer.output
    lines = answer.output.splitlines()
    assert [line.split()[0] for line in lines[:5]] == [
        "recording",
        "0.csv",
        "valve/2.csv",
        "valve/10.csv",
        "pooled",
    ]
    figures = metrics(tmp_path / "out")
    assert list(figures["files"]) == ["0.csv", "valve/2.csv", "valve/10.csv"]
    assert figures["left_out"] == ["anomaly-free/anomaly-free.csv"]
    assert "left out: anomaly-free/anomaly-free.csv has no column anomaly" in answer.output
    for scope in (figures, figures["pooled"], *figures["files"].values()):
        assert all(0 <= scope[name] <= 1 for name in ("f1", "far", "mar"))
    assert {name: figures[name] for name in ("f1", "far", "mar")}.items() <= figures["pooled"].items()
    judged = sum(figures["pooled"][name] for name in ("tp", "fp", "fn", "tn"))
    assert judged == 3 * (ROWS - 400)
    for picture in ("0.png", "valve-2.png", "valve-10.png"):
        assert (tmp_path / "out" / picture).read_bytes().startswith(b"\x89PNG")


def test_a_closed_valve_is_one_fault_from_soon_after_its_start_to_soon_after_its_end(tmp_path: Path) -> None:
    for seed in range(10):
        signals = pump(ROWS, seed=seed)
        write_recording(tmp_path / "1.csv", signals, close_valve(signals, 600, 899))
        judged = judge(tmp_path / "1.csv", "1.csv", skab_machine())
        whole = max(stretches(judged.called), key=lambda stretch: stretch.last - stretch.first)
        assert 600 <= whole.first <= 620
        assert 900 <= whole.last <= 960
        assert judged.score.median_delay == whole.first - 600


def test_a_motor_that_warms_up_and_twenty_healthy_pumps_are_no_fault(tmp_path: Path) -> None:
    machine = skab_machine()
    called = []
    for seed in range(20):
        signals = pump(ROWS, seed=100 + seed)
        path = tmp_path / f"{seed}.csv"
        write_recording(path, signals, np.zeros(ROWS, dtype=np.int64))
        called.append(judge(path, path.name, machine).called.mean())
    assert np.mean(called) < 0.02, called
    signals[700:, TEMPERATURE] += np.linspace(0, 1, ROWS - 700)
    write_recording(path, signals, np.zeros(ROWS, dtype=np.int64))
    assert judge(path, path.name, machine).called.mean() < 0.1


def test_what_comes_later_and_what_is_labelled_changes_nothing_that_was_called_before(tmp_path: Path) -> None:
    signals = pump(ROWS, seed=3)
    labels = close_valve(signals, 600, 899)
    write_recording(tmp_path / "whole.csv", signals, labels)
    write_recording(tmp_path / "cut.csv", signals[:800], 1 - labels[:800])
    whole, cut = (judge(tmp_path / name, name, skab_machine()) for name in ("whole.csv", "cut.csv"))
    assert whole.called[:800].tolist() == cut.called.tolist()
    assert cut.called.any()


@pytest.mark.parametrize("valve", ["valve1", "valve2"])
@needs_skab
def test_on_the_real_recordings_it_keeps_what_is_promised(valve: str, tmp_path: Path) -> None:
    assert evaluate(SKAB / valve, tmp_path).exit_code == 0
    figures = metrics(tmp_path)
    assert figures["f1"] >= 0.88
    assert figures["far"] <= 0.10
    assert figures["pooled"]["faults_found"] == figures["pooled"]["faults"]


def spoil(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("Volume Flow RateRMS", "Flow", "no column Volume Flow RateRMS; expected Accelerometer1RMS"),
        (";230", ";high", "column Voltage: expected a finite number, found 1 times something else (line "),
        (";0.0;0.0\n", ";2.0;0.0\n", "column anomaly: expected 0 or 1"),
    ],
)
def test_a_file_that_is_no_recording_is_named_with_what_was_expected(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    signals = pump(450, seed=1)
    signals[:, 6] = 230
    write_recording(tmp_path / "data" / "1.csv", signals, close_valve(signals, 420, 440))
    spoil(tmp_path / "data" / "1.csv", old, new)
    answer = evaluate(tmp_path / "data", tmp_path / "out")
    assert answer.exit_code == 1
    assert f"error: {tmp_path / 'data' / '1.csv'}: {sentence}" in answer.output
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_a_recording_that_is_too_short_to_judge_is_refused(tmp_path: Path) -> None:
    write_recording(tmp_path / "1.csv", pump(400, seed=1), np.zeros(400, dtype=np.int64))
    answer = evaluate(tmp_path, tmp_path / "out")
    assert answer.exit_code == 1
    assert "400 rows; expected more than the 400 that are learned from" in answer.output


def test_a_folder_without_recordings_gets_one_sentence(tmp_path: Path) -> None:
    answer = evaluate(tmp_path / "nowhere", tmp_path / "out")
    assert answer.exit_code == 1
    assert "nowhere: no such folder; expected one with recordings of the benchmark (.csv)" in answer.output
    assert "found no .csv file" in evaluate(tmp_path, tmp_path / "out").output
    write_recording(tmp_path / "free.csv", pump(450, seed=1), None)
    assert "found 1 .csv files without it" in evaluate(tmp_path, tmp_path / "out").output


def test_files_are_taken_in_the_order_of_their_numbers(folder: Path) -> None:
    labelled, unlabelled = find_recordings(folder, skab_machine())
    assert [path.name for path in labelled] == ["0.csv", "2.csv", "10.csv"]
    assert [path.name for path in unlabelled] == ["anomaly-free.csv"]


def test_the_one_command_reaches_it_by_two_words(tmp_path: Path) -> None:
    answer = CliRunner().invoke(fanwatch, ["evaluate", "skab", "--data", "nowhere", "--out", str(tmp_path)])
    assert answer.exit_code == 1
    assert answer.output.startswith("error: nowhere: no such folder")
