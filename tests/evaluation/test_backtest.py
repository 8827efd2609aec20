import csv
import json
import subprocess
import sys
from collections.abc import Sequence
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
from evaluation.usual_band import NotEnoughHealth, learn_usual_band
from monitor.findings import Finding, FindingKind
from tests.evaluation.recordings import FAN, FURNACE, START, write_fans, write_furnace
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
    assert alarm.cleared == pytest.approx(times[100])


def test_an_empty_cell_and_an_impossible_value_are_refused_as_the_predictor_would(tmp_path: Path) -> None:
    rows = healthy_rows(200)
    rows[50:54, 1] = np.nan
    rows[100:104, 2] = 9000.0
    result = run(fan_config(tmp_path), recorded_fan(rows, np.arange(0.0, 400.0, 2.0)))
    assert [alarm.kind for alarm in result.alarms] == [FindingKind.OUT_OF_RANGE] * 2
    assert "temperature: no number" in result.alarms[0].why
    assert "vibration: got 9000, expected 0 to 1000" in result.alarms[1].why


def test_the_alarms_life_cycle_may_delay_what_is_announced(tmp_path: Path) -> None:
    seen: list[float] = []

    def never(findings: Sequence[Finding], now: float) -> Sequence[Finding]:
        seen.append(now)
        return ()

    file, path = write_fans(tmp_path, BUNDLE, seed=3)
    config = BacktestConfig.read(path)
    result = run(config, read_recording(file, config), life_cycle=never)
    assert result.alarms == []
    assert len(seen) >= 800
    assert seen == sorted(seen)


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
    with pytest.raises(NotEnoughHealth, match="17 complete healthy rows; expected at least 60"):
        run(config, read_recording(furnace.file, config))


def test_what_wanders_gets_a_wider_tolerance_than_what_scatters_as_much_without_wandering() -> None:
    chance = np.random.default_rng(2)
    still: Values = chance.normal(size=3000)
    walk: Values = np.cumsum(chance.normal(size=3000))
    wander: Values = walk * float(still.std() / walk.std())
    settings = BacktestConfig.model_validate(
        {"data": {"time": "t"}, "signals": {"x": {}}, "healthy": {"first_rows": 60}}
    ).detector
    times = np.arange(0.0, 900_000.0, 300.0)
    narrow = learn_usual_band(times, still[:, np.newaxis], settings)
    wide = learn_usual_band(times, wander[:, np.newaxis], settings)
    assert wide.tolerance[0] > 5 * narrow.tolerance[0]


def test_without_a_file_or_a_database_the_command_says_what_it_expects(tmp_path: Path) -> None:
    furnace = write_furnace(tmp_path, seed=1)
    answer = backtest("--config", str(furnace.config), "--out", str(tmp_path / "out"))
    assert answer.returncode == 1
    assert "expected either --data, or --influxdb-url with --from and --to" in answer.stderr
