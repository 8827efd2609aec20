"""The study of the drift watch writes down what it finds."""

import json
from pathlib import Path

from typer.testing import CliRunner

from evaluation.drift_command import app
from tests.drift.fleets import MODELS


def test_the_command_writes_figures_and_a_plot(tmp_path: Path) -> None:
    arguments = ["--trials", "1", "--stretches", "1", "--readings", "1000", "--others", "0"]
    answer = CliRunner().invoke(app, [*arguments, "--bundle", str(MODELS / "fan"), "--out", str(tmp_path)])
    assert answer.exit_code == 0, answer.output
    figures = json.loads((tmp_path / "drift.json").read_text())
    seasons = figures["readings_until_a_season_is_told"]
    assert len(seasons) == 8, "four signals, up and down"
    assert all(found["trials"] == 1 and found["slowest"] <= 500 for found in seasons.values())
    assert set(figures["readings_without_drift"].values()) == {1000}
    assert (tmp_path / "drift.png").read_bytes().startswith(b"\x89PNG")
