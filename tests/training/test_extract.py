"""The first step: readings of a file, and labels out of the monitor's own alarms."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.timestamp import format_timestamp
from tests.alarms.plant_clock import FAULT, SILENCE, desk_on, finding
from tests.monitor.still_clock import StillClock
from training.fan import FAN_SIGNALS
from training.settings import PipelineSettings
from training.steps.extract import EXTRACT
from training.steps.order import Column, Order
from training.steps.runner import Run, StepFailed, go

START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@pytest.fixture
def readings(tmp_path: Path) -> Path:
    """One reading of two fans every ten seconds for five minutes."""
    lines = ["deviceID,timeStamp,rotation,temperature,vibration,sound"]
    for number in range(30):
        at = format_timestamp(START + timedelta(seconds=10 * number))
        lines += [f"{device},{at},600,40,150,48" for device in ("1", "2")]
    path = tmp_path / "readings.csv"
    path.write_text("\n".join(lines))
    return path


def extracted(folder: Path, **asked: object) -> list[dict[str, str]]:
    order = Order.model_validate(
        {
            "name": "fan",
            "columns": [Column(signal=spec, heading=spec.name) for spec in FAN_SIGNALS],
            "models_dir": folder,
        }
        | asked
    )
    run = Run(folder / "run", order, PipelineSettings(), lambda: datetime.now(UTC))
    go(run, [EXTRACT], tell=lambda _: None)
    with (folder / "run" / "extract" / "readings.csv").open() as text:
        return list(csv.DictReader(text))


def test_what_technicians_closed_in_the_alarms_file_becomes_labels(readings: Path, tmp_path: Path) -> None:
    clock = StillClock()
    clock.set_wall(START.timestamp() + 100 - clock.now())
    with desk_on(tmp_path / "alarms.sqlite3", clock) as desk:
        for kind, device, outcome in ((FAULT, "1", "real"), (SILENCE, "2", "planned")):
            desk.on_findings([finding(clock, kind, device=device)])
            clock.advance(40)
            desk.on_findings([finding(clock, kind, present=False, device=device)])
            clock.advance(40)
            desk.tick()
            (alarm,) = desk.active()
            assert alarm.alarm_id
            desk.close(alarm.alarm_id, "Anna", outcome)
    rows = extracted(tmp_path, data=readings, alarms=tmp_path / "alarms.sqlite3", unlabelled="healthy")
    assert len(rows) == 60
    said = {device: [row["faulty"] for row in rows if row["deviceID"] == device] for device in ("1", "2")}
    # Ten minutes about a fault or a standstill nothing is taken for healthy.
    assert set(said["1"]) == {"1", ""}
    assert 4 <= said["1"].count("1") <= 8
    assert set(said["2"]) == {""}


def test_only_the_readings_between_the_times_are_taken(readings: Path, tmp_path: Path) -> None:
    rows = extracted(
        tmp_path,
        data=readings,
        begin=format_timestamp(START + timedelta(seconds=10)),
        end=format_timestamp(START + timedelta(seconds=30)),
    )
    assert [row["timeStamp"] for row in rows if row["deviceID"] == "1"] == [
        format_timestamp(START + timedelta(seconds=10)),
        format_timestamp(START + timedelta(seconds=20)),
    ]


def test_an_alarms_file_that_is_none_gets_a_sentence(readings: Path, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"alarms\.sqlite3: cannot be read"):
        extracted(tmp_path, data=readings, alarms=tmp_path / "alarms.sqlite3")
    (tmp_path / "alarms.sqlite3").write_text("no database")
    with pytest.raises(StepFailed, match="fanwatch alarms labels failed: error: "):
        extracted(tmp_path, data=readings, alarms=tmp_path / "alarms.sqlite3")
