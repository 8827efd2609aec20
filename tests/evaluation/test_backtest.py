import csv
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from evaluation.backtest import run
from evaluation.backtest_report import write_report
from evaluation.config import BacktestConfig, ConfigError
from evaluation.recorded import InvalidRecording, Recorded, read_recording
from monitor.findings import FindingKind
from tests.evaluation.recordings import FAN, FURNACE, START, write_fans, write_furnace
from training.baseline import NotEnoughHealth
from training.fan import HEALTHY

REPOSITORY = Path(__file__).parents[2]
BUNDLE = REPOSITORY / "models/fan"

Values = npt.NDArray[np.float64]


def backtest(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fanwatch.cli", "backtest", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def alarms_in(folder: Path) -> list[dict[str, str]]:
    with (folder / "alarms.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary_in(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())  # type: ignore[no-any-return]


def test_one_temperature_without_labels_needs_a_configuration_and_nothing_else(tmp_path: Path) -> None:
    furnace = write_furnace(tmp_path, seed=1)
    answer = backtest(
        "--data", str(furnace.file), "--config", str(furnace.config), "--out", str(tmp_path / "out")
    )
    assert answer.returncode == 0, answer.stderr
    assert "furnace: 100%" in answer.stderr  # the progress bar
    alarms = alarms_in(tmp_path / "out")
    assert {alarm["kind"] for alarm in alarms} == {"machine_fault"}
    for began, failed in furnace.drifts:
        [alarm] = [a for a in alarms if began <= datetime.fromisoformat(a["raised"]) <= failed]
        assert datetime.fromisoformat(alarm["cleared"]) > failed
        assert alarm["signals"] == "temperature"
        assert alarm["why"].startswith("Temperature ")
    assert len(alarms) == 2
    gathering = summary_in(tmp_path / "out")["gathering"]
    assert (gathering["healthy_readings"], gathering["averaged_readings"]) == (2592, 1)
    assert gathering["level_readings"] == 648
    assert (tmp_path / "out/alarms.png").stat().st_size > 10_000


def test_over_several_machines_most_failures_are_foretold_and_few_alarms_are_false(tmp_path: Path) -> None:
    faults = found = false = 0
    leads: list[float] = []
    for seed in range(8):
        furnace = write_furnace(tmp_path, seed=seed)
        labels = ", ".join(f"{failed:%Y-%m-%dT%H:%M:%SZ}" for _, failed in furnace.drifts)
        furnace.config.write_text(f"{FURNACE}\n[labels]\nfailures = [{labels}]\nwithin_days = 2\n")
        config = BacktestConfig.read(furnace.config)
        result = run(config, read_recording(furnace.file, config))
        judged = write_report(tmp_path / "out", result, {})["judged"]
        faults, found = faults + judged["faults"], found + judged["faults_found"]
        false += judged["false_alarms"]
        leads += judged["lead_time_s"]
    assert faults == 16
    assert found >= 15
    assert false <= 3  # in 8 machines times 50 days
    assert np.median(leads) >= 6 * 3600


def test_a_bundle_scores_and_a_label_column_judges(tmp_path: Path) -> None:
    file, config = write_fans(tmp_path, BUNDLE, seed=3)
    answer = backtest("--data", str(file), "--config", str(config), "--out", str(tmp_path / "out"))
    assert answer.returncode == 0, answer.stderr
    [alarm] = alarms_in(tmp_path / "out")
    assert (alarm["device"], alarm["kind"], alarm["cleared"]) == ("2", "machine_fault", "")
    broke = START + 200 * timedelta(seconds=2)
    assert broke < datetime.fromisoformat(alarm["raised"]) <= broke + timedelta(seconds=16)
    summary = summary_in(tmp_path / "out")
    assert (summary["readings"], summary["devices"], summary["name"]) == (800, 2, "fan")
    assert summary["judged"]["faults_found"] == summary["judged"]["faults"] == 1
    assert summary["judged"]["false_alarms"] == 0
    assert -16 <= summary["judged"]["median_lead_time_s"] < 0
    assert summary["plots"] == ["alarms-2.png", "alarms-1.png"]


def fan_config(folder: Path, more: str = "") -> BacktestConfig:
    file = folder / "fan.toml"
    file.write_text(FAN.replace("{bundle}", str(BUNDLE)) + more)
    return BacktestConfig.read(file)


def recorded_fan(rows: Values, times: Values) -> Recorded:
    return Recorded(
        "drawn", ("1",), np.zeros(len(rows), np.int64), times, rows, np.zeros(len(rows), np.int64)
    )


def healthy_rows(count: int) -> Values:
    chance = np.random.default_rng(5)
    return np.round(chance.uniform(HEALTHY.low, HEALTHY.high, (count, 4)), 1)


def test_a_gap_in_the_recording_is_a_silence_from_the_moment_at_which_it_was_one(tmp_path: Path) -> None:
    times = np.arange(0.0, 400.0, 2.0)
    times[100:] += 500
    result = run(fan_config(tmp_path), recorded_fan(healthy_rows(200), times))
    [alarm] = result.alarms
    assert alarm.kind is FindingKind.SILENCE
    assert alarm.raised == pytest.approx(times[99] + 30)
    assert alarm.cleared == pytest.approx(times[100] + 30)  # its off-delay


def test_an_empty_cell_and_an_impossible_value_are_refused_as_the_predictor_would(tmp_path: Path) -> None:
    rows = healthy_rows(200)
    rows[50:54, 1] = np.nan
    rows[100:104, 2] = 9000.0
    result = run(fan_config(tmp_path), recorded_fan(rows, np.arange(0.0, 400.0, 2.0)))
    assert [alarm.kind for alarm in result.alarms] == [FindingKind.OUT_OF_RANGE] * 2
    assert "temperature: no number" in result.alarms[0].why
    assert "vibration: got 9000, expected 0 to 1000" in result.alarms[1].why


def test_what_is_announced_went_through_the_alarms_life_cycle(tmp_path: Path) -> None:
    file, path = write_fans(tmp_path, BUNDLE, seed=3)
    plain = BacktestConfig.read(path)
    recorded = read_recording(file, plain)
    raised = {}
    for delay in (0, 5, 60):
        path.write_text(
            f"{FAN}\n[alarms.machine_fault]\non_delay_s = {delay}\n".replace("{bundle}", str(BUNDLE))
        )
        [alarm] = run(BacktestConfig.read(path), recorded).alarms
        raised[delay] = alarm.raised
    assert raised[5] == raised[0] + 5
    assert raised[60] == raised[0] + 60
    [alarm] = run(plain, recorded).alarms
    assert alarm.raised == raised[5]  # the rule that ships


def test_a_fault_that_ends_within_its_delay_is_never_announced(tmp_path: Path) -> None:
    rows = healthy_rows(400)
    rows[200:212] = np.random.default_rng(2).uniform((420, 50, 225, 56), (440, 54, 235, 60), (12, 4)).round(1)
    times = np.arange(0.0, 800.0, 2.0)
    [alarm] = run(fan_config(tmp_path), recorded_fan(rows, times)).alarms
    assert alarm.kind is FindingKind.MACHINE_FAULT
    assert alarm.cleared is not None
    slow = fan_config(tmp_path, "\n[alarms.machine_fault]\non_delay_s = 60\n")
    assert run(slow, recorded_fan(rows, times)).alarms == []


def test_a_broken_sensor_keeps_the_machines_alarm_from_being_announced(tmp_path: Path) -> None:
    rows = healthy_rows(400)
    rows[200:, 2] = 231.0
    rows[200:, 0] = np.round(np.random.default_rng(1).uniform(420, 440, 200), 1)
    slow = fan_config(tmp_path, "\n[alarms.machine_fault]\non_delay_s = 30\n")
    kinds = [alarm.kind for alarm in run(slow, recorded_fan(rows, np.arange(0.0, 800.0, 2.0))).alarms]
    assert kinds == [FindingKind.FLAT_LINE]


def test_a_single_wild_value_is_no_fault_of_the_machine(tmp_path: Path) -> None:
    furnace = write_furnace(tmp_path, seed=1, drift=0.0)
    config = BacktestConfig.read(furnace.config)
    recorded = read_recording(furnace.file, config)
    plain = run(config, recorded)
    recorded.signals[5000, 0] = -999.0
    recorded.signals[5500, 0] = np.inf
    assert run(config, recorded).alarms == plain.alarms


def test_what_was_learned_from_is_not_judged(tmp_path: Path) -> None:
    furnace = write_furnace(tmp_path, seed=1)
    furnace.config.write_text(FURNACE.replace("first_percent = 15", "first_percent = 99"))
    config = BacktestConfig.read(furnace.config)
    result = run(config, read_recording(furnace.file, config))
    until = datetime.fromtimestamp(result.learned_until()["machine"], UTC)
    assert START + timedelta(days=59) < until < START + timedelta(days=60)


@pytest.mark.parametrize(
    ("time_format", "cells"),
    [
        ("iso", ["2026-10-01T00:00:00Z", "2026-10-01T00:00:02Z"]),
        ("iso", ["2026-10-01T02:00:00+02:00", "2026-10-01T02:00:02+02:00"]),
        ("iso", ["2026-10-01 00:00:00", "2026-10-01 00:00:02.000"]),
        ("unix", ["1790812800", "1790812802.0"]),
        ("unix_ms", ["1790812800000", "1790812802000"]),
        ("%d.%m.%Y %H:%M:%S", ["01.10.2026 00:00:00", "01.10.2026 00:00:02"]),
    ],
)
def test_times_are_read_in_the_form_that_the_configuration_names(
    tmp_path: Path, time_format: str, cells: list[str]
) -> None:
    file = tmp_path / "data.csv"
    pd.DataFrame({"timestamp": cells, "value": [1.0, 2.0]}).to_csv(file, index=False)
    config = tmp_path / "config.toml"
    config.write_text(FURNACE.replace("%Y-%m-%d %H:%M:%S", time_format))
    recorded = read_recording(file, BacktestConfig.read(config))
    assert recorded.times.tolist() == [START.timestamp(), START.timestamp() + 2]


def test_a_zone_is_that_of_times_which_name_none(tmp_path: Path) -> None:
    file, config = tmp_path / "data.csv", tmp_path / "config.toml"
    file.write_text("timestamp,value\n2026-10-01 02:00:00,1\n")
    config.write_text(FURNACE.replace("[signals", 'zone = "Europe/Berlin"\n[signals', 1))
    recorded = read_recording(file, BacktestConfig.read(config))
    assert recorded.times.tolist() == [START.timestamp()]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no columns to parse"),
        ("timestamp,value\n", "no rows"),
        ("time,value\n1,2\n", "no column timestamp; found time, value"),
        ("timestamp,value\n2026-10-01 00:00:00,warm\n", "column value: expected a number or nothing"),
        ("timestamp,value\nyesterday,1\n", "column timestamp: expected a time as '%Y-%m-%d %H:%M:%S'"),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_the_column_and_what_was_expected(
    tmp_path: Path, text: str, sentence: str
) -> None:
    file, config = tmp_path / "data.csv", tmp_path / "config.toml"
    file.write_text(text)
    config.write_text(FURNACE)
    with pytest.raises(InvalidRecording) as refused:
        read_recording(file, BacktestConfig.read(config))
    assert str(refused.value).startswith(str(file))
    assert sentence.lower() in str(refused.value).lower()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("first_percent = 15", "", "healthy: expected one of first_percent, first_rows, or from and to"),
        (
            "[healthy]\nfirst_percent = 15",
            "",
            "expected healthy (a stretch to learn from) or model (a bundle)",
        ),
        ("[signals.temperature]", "[signals.9lives]", "signals.9lives"),
        ('column = "value"', 'colum = "value"', "signals.temperature.colum: Extra inputs are not permitted"),
        ("[signals", 'zone = "Mars"\n[signals', "unknown time zone 'Mars'"),
        ("[healthy]", "[labels]\n[healthy]", "expected one of column, windows, failures"),
        ("name = ", "name ", "cannot be read"),
        (
            "[healthy]",
            '[health]\nevidence = "sequential_test"\n[healthy]',
            "calibrated probabilities; name a model",
        ),
        (
            "[healthy]",
            "[evidence]\nprior_fault = 0.1\n[healthy]",
            "evidence is not read by the evidence that is chosen",
        ),
        ("[healthy]", "[alarms.rust]\non_delay_s = 1\n[healthy]", "alarms.rust"),
    ],
)
def test_a_configuration_with_a_mistake_is_refused_with_the_key_and_what_was_expected(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(FURNACE.replace(old, new, 1))
    with pytest.raises(ConfigError) as refused:
        BacktestConfig.read(file)
    assert sentence in str(refused.value)


def test_a_bundle_of_other_signals_is_refused(tmp_path: Path) -> None:
    furnace = write_furnace(tmp_path, seed=1)
    furnace.config.write_text(f'{FURNACE}\n[model]\nbundle = "{BUNDLE}"\n')
    answer = backtest(
        "--data", str(furnace.file), "--config", str(furnace.config), "--out", str(tmp_path / "out")
    )
    assert answer.returncode == 1
    assert "the model fan:1 takes rotation, temperature, vibration, sound" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_healthy_stretch_that_is_too_short_is_refused(tmp_path: Path) -> None:
    furnace = write_furnace(tmp_path, seed=1)
    furnace.config.write_text(FURNACE.replace("first_percent = 15", "first_percent = 0.1"))
    config = BacktestConfig.read(furnace.config)
    with pytest.raises(NotEnoughHealth, match="17 healthy rows; expected at least 60"):
        run(config, read_recording(furnace.file, config))


def test_what_was_recorded_before_the_healthy_stretch_was_told_to_nobody(tmp_path: Path) -> None:
    furnace = write_furnace(tmp_path, seed=1)
    begin, end = START + timedelta(days=25), START + timedelta(days=35)
    furnace.config.write_text(
        FURNACE.replace("first_percent = 15", f"from = {begin.isoformat()}\nto = {end.isoformat()}")
    )
    config = BacktestConfig.read(furnace.config)
    result = run(config, read_recording(furnace.file, config))
    assert result.recorded.times[0] == begin.timestamp()
    [alarm] = result.alarms  # the drift before the first failure, on day 24, is not looked at
    began, failed = furnace.drifts[1]
    assert began.timestamp() < alarm.raised < failed.timestamp()


def test_readings_that_come_fast_are_averaged_so_that_a_long_stretch_is_learned_from(tmp_path: Path) -> None:
    count = 40_000
    chance = np.random.default_rng(3)
    rows: Values = chance.normal(50, 2, (count, 1)).round(3)
    rows[30_000:31_000] += 3
    text = FURNACE.replace("first_percent = 15", "first_percent = 25")
    file = tmp_path / "fast.toml"
    file.write_text(text)
    recorded = Recorded(
        "drawn", ("1",), np.zeros(count, np.int64), np.arange(0.0, 2.0 * count, 2.0), rows, None
    )
    result = run(BacktestConfig.read(file), recorded)
    assert (result.plant.gathering.averaged_readings, result.plant.gathering.healthy_readings) == (3, 3333)
    [alarm] = result.alarms
    assert 60_000 < alarm.raised < 60_300
    assert alarm.cleared is not None


def test_a_bundle_of_a_machine_that_was_only_seen_healthy_is_gathered_by_configuration(
    tmp_path: Path,
) -> None:
    file = tmp_path / "fan.toml"
    file.write_text(
        f'{FAN}\n[health]\nevidence = "gathering"\n[gathering]\nhealthy_readings = 100\n'.replace(
            "{bundle}", str(BUNDLE)
        )
    )
    rows = healthy_rows(400)
    rows[200:, 2] += 60
    [alarm] = run(BacktestConfig.read(file), recorded_fan(rows, np.arange(0.0, 800.0, 2.0))).alarms
    assert alarm.signals == ("vibration",)
    assert 400 < alarm.raised < 430


def test_without_a_file_or_a_database_the_command_says_what_it_expects(tmp_path: Path) -> None:
    furnace = write_furnace(tmp_path, seed=1)
    answer = backtest("--config", str(furnace.config), "--out", str(tmp_path / "out"))
    assert answer.returncode == 1
    assert "expected either --data, or --influxdb-url with --from and --to" in answer.stderr
