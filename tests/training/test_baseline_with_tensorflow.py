"""The baseline as a bundle: what LiteRT serves is what was learned. Loads TensorFlow (ten seconds)."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from training.baseline import learn_baseline
from training.baseline_bundle import write_baseline_bundle
from training.bundle import litert_probabilities, read_manifest
from training.command import app
from training.recording import MachineSignal

# Keras 3 against NumPy 2; not ours, and nothing that these tests could act on.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MACHINE = """
name = "pump"
separator = ";"
healthy_rows = 200

[[signals]]
name = "flow"
column = "Volume Flow"
unit = "l/min"
minimum = 0
maximum = 100

[[signals]]
name = "voltage"
unit = "V"
minimum = 0
maximum = 500
"""


def recorded(rows: int) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    rng = np.random.default_rng(4)
    return np.column_stack([rng.normal(32, 0.4, rows), rng.normal(230.05, 0.02, rows)])


def test_a_recording_becomes_a_bundle_that_litert_scores_as_the_baseline_does(tmp_path: Path) -> None:
    rows = recorded(300)
    lines = ["time;Volume Flow;voltage", *(f"{i};{float(a)!r};{float(b)!r}" for i, (a, b) in enumerate(rows))]
    (tmp_path / "pump.csv").write_text("\n".join(lines))
    (tmp_path / "pump.toml").write_text(MACHINE)
    order = ["learn", "--data", str(tmp_path / "pump.csv"), "--machine", str(tmp_path / "pump.toml")]
    answer = CliRunner().invoke(app, [*order, "--out", str(tmp_path / "models" / "pump")])
    assert answer.exit_code == 0, answer.output
    assert "pump:1: learned from 200 rows" in answer.output

    manifest = read_manifest(tmp_path / "models" / "pump")
    assert [(signal.name, signal.unit) for signal in manifest.signals] == [
        ("flow", "l/min"),
        ("voltage", "V"),
    ]
    assert manifest.metrics["false_alarm_rate_healthy"] < 0.01
    baseline = learn_baseline(rows[:200], ("flow", "voltage"))
    anywhere = baseline.center + np.random.default_rng(5).normal(0, 4, (500, 2)) * baseline.tolerance
    served = litert_probabilities((tmp_path / "models" / "pump" / "model.tflite").read_bytes(), anywhere)
    assert served == pytest.approx(baseline.probabilities(anywhere), abs=2e-3)
    assert 0.01 < np.mean(served > 0.5) < 0.99

    again = CliRunner().invoke(app, [*order, "--out", str(tmp_path / "models" / "pump")])
    assert again.exit_code == 1
    assert "is there already" in again.output


def test_signals_of_another_order_than_the_baselines_are_refused(tmp_path: Path) -> None:
    rows = recorded(100)
    specification = MachineSignal(name="voltage", unit="V", minimum=0, maximum=500).specification()
    with pytest.raises(ValueError, match="the baseline knows flow, voltage; expected the same signals"):
        write_baseline_bundle(
            tmp_path / "pump", learn_baseline(rows, ("flow", "voltage")), rows, [specification], name="pump"
        )
