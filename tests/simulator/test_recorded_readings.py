"""A recording is read as it is, and a file that is none is refused before anything is sent."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulator.recording import RecordingError, rows_of, survey

HEADER = "DeviceID,Time,Rotation,Temperature,Vibration,Sound,Faulty\n"
ROW = "4,2016-01-03 06:20:39,666.7,38.7,113.1,50.9,0\n"


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "fan.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_rows_come_with_their_signals_time_and_label(tmp_path: Path) -> None:
    file = written(tmp_path, HEADER + ROW + ROW.replace("4,2016", "5,2017").replace(",0\n", ",1\n"))
    first, second = rows_of(file)
    assert first.device_id == "4"
    assert first.moment == datetime(2016, 1, 3, 6, 20, 39, tzinfo=UTC)
    assert first.signals == {"rotation": 666.7, "temperature": 38.7, "vibration": 113.1, "sound": 50.9}
    assert (first.fault, second.fault) == (0, 1)
    assert survey(file).rows == 2
    assert survey(file).chronological


def test_a_file_that_is_not_in_order_of_time_is_known_as_such(tmp_path: Path) -> None:
    assert not survey(written(tmp_path, HEADER + ROW + ROW.replace("2016", "2015"))).chronological


def test_columns_may_stand_in_another_order_and_behind_a_byte_order_mark(tmp_path: Path) -> None:
    text = "Faulty,Sound,Vibration,Temperature,Rotation,Time,DeviceID\n1,50.9,113.1,38.7,666.7,2016-01-03 06:20:39,4\n"
    (row,) = rows_of(written(tmp_path, b"\xef\xbb\xbf" + text.encode()))
    assert row.signals["rotation"] == 666.7
    assert row.fault == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            HEADER.replace("Rotation", "Speed") + ROW,
            r"column Rotation is missing \(found instead: Speed\); expected the columns DeviceID,Time,",
        ),
        ("", "expected the columns"),
        (HEADER, "no reading below the header"),
        (HEADER + ROW + ROW.replace("666.7", "fast"), "line 3: Rotation 'fast', expected a finite number"),
        (HEADER + ROW.replace("666.7", "nan"), "line 2: Rotation 'nan', expected a finite number"),
        (HEADER + ROW.replace("666.7", ""), "line 2: Rotation '', expected a finite number"),
        (HEADER + ROW.replace("2016-01-03 06:20:39", "yesterday"), "line 2: Time 'yesterday', expected"),
        (HEADER + ROW.replace(",0\n", ",2\n"), "line 2: Faulty '2', expected 0 or 1"),
        (HEADER + ROW.replace("4,", "a/b,", 1), "line 2: DeviceID 'a/b', expected"),
        (HEADER + ROW.strip() + ",1\n", "line 2: more than the 7 fields"),
        (HEADER + "4,2016-01-03 06:20:39\n", "line 2: Faulty None, expected 0 or 1"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_wrong_file_gets_a_sentence_with_line_and_expectation(
    tmp_path: Path, text: str | bytes, sentence: str
) -> None:
    with pytest.raises(RecordingError, match=sentence):
        survey(written(tmp_path, text))
