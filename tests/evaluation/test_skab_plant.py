"""The monitor's own diagnosis, set up by evaluation/skab.plant.toml: it says what the evaluation counts."""

from pathlib import Path

import numpy as np
import pytest

from evaluation.skab import Judged, find_recordings, judge, skab_machine
from monitor.diagnosis.device import DeviceDiagnosis
from monitor.diagnosis.evidence import Health
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import Plant
from monitor.findings import Finding, FindingKind
from tests.diagnosis.told import REPOSITORY, changes
from tests.evaluation.made_recordings import close_valve, pump, write_recording
from tests.evaluation.real_recordings import SKAB, needs_skab
from training.baseline import learn_baseline
from training.recording import read_labelled

MACHINE = skab_machine()
PLANT = Plant.read(REPOSITORY / "evaluation" / "skab.plant.toml")
START = 1_800_000_000.0


def diagnose(path: Path) -> tuple[list[bool], list[Finding]]:
    """After each row whether the health is a fault, and what was found."""
    rows = read_labelled(path, MACHINE, "anomaly")[0].signals
    baseline = learn_baseline(rows[: MACHINE.healthy_rows], MACHINE.names)
    device = DeviceDiagnosis("pump-1", Knowledge(PLANT))
    called: list[bool] = []
    found: list[Finding] = []
    for seq, (probability, values) in enumerate(
        zip(baseline.probabilities(rows).astype(np.float32).tolist(), rows.tolist(), strict=True)
    ):
        found += device.on_verdict(START + seq, START + seq, probability, tuple(values), "replay", seq)
        called.append(device.health is Health.FAULT)
    return called, found


def test_the_plants_file_and_the_machines_description_name_the_same_signals_and_the_same_healthy_rows() -> (
    None
):
    assert tuple(PLANT.signals) == MACHINE.names
    assert PLANT.gathering.healthy_readings == MACHINE.healthy_rows


def test_on_made_recordings_the_monitor_says_row_for_row_what_the_evaluation_counts(tmp_path: Path) -> None:
    for seed in range(5):
        rows, path = pump(1100, seed), tmp_path / f"{seed}.csv"
        write_recording(path, rows, close_valve(rows, 600, 899))
        judged: Judged = judge(path, path.name, MACHINE)
        called, found = diagnose(path)
        assert called == judged.called.tolist()
        fault = next(finding for finding in found if finding.at.timestamp() >= START + 600)
        assert (fault.kind, fault.inspect) == (FindingKind.MACHINE_FAULT, "the valves and the filter")
        assert fault.why.startswith("Flow ")


@needs_skab
@pytest.mark.parametrize("valve", ["valve1", "valve2"])
def test_on_the_real_recordings_the_monitor_says_row_for_row_what_the_evaluation_counts(valve: str) -> None:
    for path in find_recordings(SKAB / valve, MACHINE)[0]:
        called, found = diagnose(path)
        assert called == judge(path, path.name, MACHINE).called.tolist()
        assert {kind for kind, _ in changes(found)} == {FindingKind.MACHINE_FAULT}
