"""Scania's trucks: the files are read as they are, and the threshold is the one that costs least.

The rows are made by made_trucks.py: no figure here is one of Scania's data.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from evaluation.aps import (
    MISSING,
    TEST_FILE,
    TRAINING_FILE,
    Cost,
    InvalidTrucks,
    cheapest_threshold,
    cost_of,
    judge,
    read_trucks,
)
from evaluation.aps_command import app
from tests.evaluation.made_trucks import LICENCE, NAMES, write_files


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("aps"))


def test_a_file_is_read_behind_its_licence_with_its_missing_values(files: Path) -> None:
    trucks = read_trucks(files / TRAINING_FILE)
    assert trucks.names == NAMES
    assert trucks.signals.shape == (800, 170)
    assert trucks.signals.dtype == np.float32
    text = (files / TRAINING_FILE).read_text()
    assert int((trucks.signals == MISSING).sum()) == text.count(",na")
    assert int(trucks.failures.sum()) == text.count("\npos,")
    first = text.split(LICENCE)[1].splitlines()[1].split(",")
    assert [MISSING if cell == "na" else float(cell) for cell in first[1:]] == trucks.signals[0].tolist()


def test_a_file_without_a_licence_is_read_too(files: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.csv"
    bare.write_text((files / TEST_FILE).read_text().split(LICENCE)[1])
    np.testing.assert_array_equal(read_trucks(bare).signals, read_trucks(files / TEST_FILE).signals)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text.replace("\nclass,", "\nkind,"), "no line that begins with 'class,'"),
        (lambda text: text.replace("\nneg,", "\nmaybe,", 1), "class maybe; expected neg or pos"),
        (lambda text: text.replace(",na,", ",n/a,", 1), "expected numbers and na"),
        (lambda text: text.replace(",na,", ",-7,", 1), "below 0 or infinite"),
        (lambda text: text.replace(f",{NAMES[-1]}", ""), "expected 170"),
        (lambda text: text[: text.index("\nclass,") + 1] + ",".join(["class", *NAMES]) + "\n", "has no row"),
    ],
    ids=["no header", "class", "no number", "negative", "169 columns", "no rows"],
)
def test_a_file_of_another_form_is_refused(
    change: Callable[[str], str], why: str, files: Path, tmp_path: Path
) -> None:
    path = tmp_path / "changed.csv"
    path.write_text(change((files / TEST_FILE).read_text()))
    with pytest.raises(InvalidTrucks, match=why):
        read_trucks(path)


def test_a_false_alarm_costs_10_and_a_miss_500() -> None:
    cost = cost_of(np.array([0, 0, 0, 1, 1]), np.array([True, True, False, True, False]))
    assert cost == Cost(false_alarms=2, misses=1)
    assert cost.total == 520


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_costs_less_than_the_chosen_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    failures = (rng.random(200) < 0.1).astype(np.int64)
    # Rounded, so that many trucks share a probability.
    probabilities = np.round(np.clip(rng.normal(0.3 + 0.3 * failures, 0.2), 0, 1), 2).astype(np.float64)
    chosen = cost_of(failures, probabilities >= cheapest_threshold(failures, probabilities)).total
    every = [cost_of(failures, probabilities >= threshold).total for threshold in np.linspace(0, 1.01, 2021)]
    assert chosen == min(every)


@pytest.mark.parametrize(("label", "called"), [(0, 0), (1, 50)])
def test_where_all_trucks_are_of_one_kind_the_threshold_calls_none_or_all(label: int, called: int) -> None:
    probabilities = np.random.default_rng(1).random(50)
    threshold = cheapest_threshold(np.full(50, label), probabilities)
    assert int((probabilities >= threshold).sum()) == called
    assert 0 <= threshold <= 1


def test_a_folder_without_the_files_gets_a_sentence(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["--data", str(tmp_path)])
    assert done.exit_code == 1
    assert "aps_failure_training_set.csv: cannot be read" in done.output


def test_too_few_failures_to_learn_from_are_said(tmp_path: Path) -> None:
    write_files(tmp_path, rows=(60, 40), failing=0.0)
    with pytest.raises(InvalidTrucks, match="0 failures to learn from"):
        judge(read_trucks(tmp_path / TRAINING_FILE), read_trucks(tmp_path / TEST_FILE))
