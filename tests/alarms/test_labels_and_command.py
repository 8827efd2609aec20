"""Close-outs become labels, and both commands run on a file that a monitor is writing to."""

import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from monitor.alarms.database import AlarmDatabase
from monitor.alarms.desk import AlarmDesk
from monitor.alarms.history import AlarmHistory
from monitor.alarms.labels import write_labels
from monitor.alarms.policy import AlarmPolicy
from monitor.findings import FindingKind
from tests.alarms.plant_clock import FAULT, SILENCE, desk_on, finding, moment
from tests.monitor.still_clock import StillClock


def fanwatch(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fanwatch.cli", "alarms", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def once(
    desk: AlarmDesk, clock: StillClock, kind: FindingKind, device: str, lasts_s: float, outcome: str
) -> None:
    desk.on_findings([finding(clock, kind, device=device)])
    clock.advance(lasts_s)
    desk.on_findings([finding(clock, kind, present=False, device=device)])
    clock.advance(60)
    desk.tick()
    for alarm in desk.active():
        assert alarm.alarm_id
        desk.close(alarm.alarm_id, "Anna", outcome, "looked at it")


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    path, clock = tmp_path / "alarms.sqlite3", StillClock()
    clock.set_wall(datetime.now(UTC).timestamp() - 3600 - clock.now())
    with desk_on(path, clock) as desk:
        once(desk, clock, FAULT, "1", 100, "real")
        once(desk, clock, FAULT, "2", 50, "false")
        once(desk, clock, SILENCE, "3", 50, "real")
        once(desk, clock, FAULT, "4", 50, "planned")
    return path


def test_each_closed_alarm_is_a_row_from_its_cause_to_its_end(closed: Path) -> None:
    text = io.StringIO()
    with AlarmDatabase(closed, read_only=True) as database:
        assert write_labels(AlarmHistory(database).closed(), text) == 4
    text.seek(0)
    rows = pd.read_csv(text, dtype=str, keep_default_na=False, parse_dates=["from", "to"])
    assert list(rows.columns) == ["deviceID", "from", "to", "label", "kind", "faulty"]
    assert list(rows["deviceID"]) == ["1", "2", "3", "4"]
    assert list(rows["label"]) == ["real", "false", "real", "planned"]
    assert list(rows["faulty"]) == ["1", "0", "", ""]
    assert rows["to"][0] - rows["from"][0] == timedelta(seconds=130), "until its off-delay was over"


def test_what_is_closed_while_it_lasts_is_labelled_until_then(tmp_path: Path) -> None:
    clock, text = StillClock(), io.StringIO()
    with AlarmDatabase(tmp_path / "a.sqlite3") as database:
        desk = AlarmDesk(database, AlarmPolicy(), clock)
        desk.on_findings([finding(clock)])
        began = moment(clock)
        clock.advance(500)
        desk.tick()
        (alarm,) = desk.active()
        assert alarm.alarm_id
        desk.close(alarm.alarm_id, "Anna", "real")
        write_labels(AlarmHistory(database).closed(), text)
    row = text.getvalue().splitlines()[1].split(",")
    assert datetime.fromisoformat(row[1]) == began
    assert datetime.fromisoformat(row[2]) == began + timedelta(seconds=500)


def test_the_command_writes_labels_and_does_not_write_over_anything(closed: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels" / "october.csv"
    answer = fanwatch("labels", "--file", str(closed), "--out", str(out))
    assert (answer.returncode, answer.stdout) == (0, f"{out}: 4 closed alarms\n"), answer.stderr
    assert len(out.read_text().splitlines()) == 5
    again = fanwatch("labels", "--file", str(closed), "--out", str(out))
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert fanwatch("labels", "--file", str(closed), "--out", str(out), "--overwrite").returncode == 0


def test_the_command_reports_while_another_process_writes(closed: Path) -> None:
    with AlarmDatabase(closed) as database, database.transaction():
        answer = fanwatch("report", "--file", str(closed), "--days", "1", "--json")
    assert answer.returncode == 0, answer.stderr
    report = json.loads(answer.stdout)
    assert report["alarms"] == 4
    assert report["outcomes"] == {"real": 2, "false": 1, "planned": 1}
    text = fanwatch("report", "--file", str(closed)).stdout
    assert "4 alarms: very likely to be acceptable (EEMUA 191)" in text


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    answer = fanwatch("report", "--file", str(tmp_path / "absent.sqlite3"))
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: the alarms' file")
    assert "Traceback" not in answer.stderr
