import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from evaluation.config import BacktestConfig
from evaluation.influxdb_source import StoreSettings, read_influxdb
from evaluation.recorded import InvalidRecording
from testbed.influxdb import InfluxDB, nanoseconds
from tests.evaluation.recordings import FAN
from training.fan import FAULTY, HEALTHY

REPOSITORY = Path(__file__).parents[2]
READINGS = 300
NAMES = ("rotation", "temperature", "vibration", "sound")


def config_file(folder: Path) -> Path:
    """A fan as Telegraf stores it: its fields are called as its signals."""
    text = FAN.replace("{bundle}", str(REPOSITORY / "models/fan"))
    for name in NAMES:
        text = text.replace(f'column = "{name.capitalize()}"\n', "")
    file = folder / "fan.toml"
    file.write_text(text.partition("[labels]")[0])
    return file


def test_what_telegraf_stored_is_replayed_from_a_time_range(influxdb: InfluxDB, tmp_path: Path) -> None:
    chance = np.random.default_rng(7)
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=20)
    lines = []
    for seq in range(READINGS):
        box = FAULTY if seq >= 200 else HEALTHY
        # Over more than the six hours that are read at a time.
        at = begin + timedelta(minutes=2 * seq)
        fields = ",".join(
            f"{name}={value:.1f}"
            for name, value in zip(NAMES, chance.uniform(box.low, box.high), strict=True)
        )
        lines.append(f'telemetry,deviceID=backtested {fields},seq={seq}.0,bootID="b" {nanoseconds(at)}')
    assert influxdb.write(lines).ok
    arguments = [
        "--config",
        str(config_file(tmp_path)),
        "--out",
        str(tmp_path / "out"),
        "--influxdb-url",
        influxdb.url,
    ]
    arguments += ["--from", begin.isoformat(), "--to", (begin + timedelta(hours=11)).isoformat()]
    answer = subprocess.run(
        [sys.executable, "-m", "fanwatch.cli", "backtest", *arguments],
        cwd=REPOSITORY,
        env=os.environ
        | {
            "FANWATCH_INFLUXDB_USERNAME": "grafana",
            "FANWATCH_INFLUXDB_PASSWORD": influxdb.site.influxdb_password("grafana"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert influxdb.site.influxdb_password("grafana") not in answer.stdout + answer.stderr
    rows = (tmp_path / "out/alarms.csv").read_text().splitlines()
    assert len(rows) == 2
    assert rows[1].startswith("backtested,machine_fault,")
    raised = datetime.fromisoformat(rows[1].split(",")[2])
    assert begin + timedelta(minutes=400) < raised <= begin + timedelta(minutes=416)


def test_a_database_that_is_not_there_gets_one_sentence(tmp_path: Path) -> None:
    config = BacktestConfig.read(config_file(tmp_path))
    with pytest.raises(InvalidRecording, match=r"InfluxDB cannot be read at http://127\.0\.0\.1:9/query"):
        read_influxdb(
            StoreSettings(influxdb_url="http://127.0.0.1:9"),
            config,
            "2026-10-01T00:00:00Z",
            "2026-10-01T01:00:00Z",
        )


def test_a_wrong_password_and_an_empty_range_get_one_sentence(influxdb: InfluxDB, tmp_path: Path) -> None:
    config = BacktestConfig.read(config_file(tmp_path))
    wrong = StoreSettings.model_validate(
        {"influxdb_url": influxdb.url, "influxdb_username": "grafana", "influxdb_password": "no"}
    )
    with pytest.raises(InvalidRecording, match="refused: authorization failed"):
        read_influxdb(wrong, config, "2026-10-01T00:00:00Z", "2026-10-01T01:00:00Z")
    right = wrong.model_copy(update={"influxdb_password": None})
    right = StoreSettings.model_validate(
        {
            "influxdb_url": influxdb.url,
            "influxdb_username": "grafana",
            "influxdb_password": influxdb.site.influxdb_password("grafana"),
        }
    )
    with pytest.raises(InvalidRecording, match="holds no rotation, temperature, vibration, sound"):
        read_influxdb(right, config, "2001-10-01T00:00:00Z", "2001-10-01T01:00:00Z")
