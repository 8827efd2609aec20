"""CSV files are read as they are meant, or refused with column, line and what was expected."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from training.dataset import DataSet, InvalidData, generate, read_csv, split
from training.fan import FAULTY, HEALTHY


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return generate(300, 3)[1].decode().splitlines()


def read(folder: Path, lines: list[str]) -> DataSet:
    path = folder / "readings.csv"
    path.write_text("\n".join(lines))
    return read_csv(path)


def test_a_generated_file_is_read_back_as_it_was_drawn(tmp_path: Path) -> None:
    data, content = generate(5000, 7)
    path = tmp_path / "drawn.csv"
    path.write_bytes(content)
    found = read_csv(path)
    np.testing.assert_array_equal(found.signals, data.signals)
    np.testing.assert_array_equal(found.labels, data.labels)
    assert found.digest == data.digest == hashlib.sha256(content).hexdigest()


def test_the_same_seed_draws_the_same_and_another_seed_another() -> None:
    assert generate(1000, 1)[0].digest == generate(1000, 1)[0].digest
    assert generate(1000, 1)[0].digest != generate(1000, 2)[0].digest


def test_drawn_readings_have_the_recorded_distributions() -> None:
    data, _ = generate(100_000, 11)
    assert data.labels.mean() == pytest.approx(0.5, abs=0.01)
    for label, box in ((0, HEALTHY), (1, FAULTY)):
        rows = data.signals[data.labels == label]
        assert box.holds(rows).all()
        width = box.high - box.low
        place = (rows - box.low) / width  # uniform in 0 to 1, whatever the signal
        np.testing.assert_allclose(place.mean(axis=0), 0.5, atol=0.01)
        np.testing.assert_allclose(place.std(axis=0), 1 / np.sqrt(12), atol=0.01)


def test_columns_are_found_in_any_case_and_order_and_others_are_left_alone(
    tmp_path: Path, lines: list[str]
) -> None:
    shuffled = [",".join(reversed(line.split(","))).upper() for line in lines]
    np.testing.assert_array_equal(read(tmp_path, shuffled).signals, read(tmp_path, lines).signals)


def test_a_byte_order_mark_blank_lines_and_windows_line_ends_do_no_harm(
    tmp_path: Path, lines: list[str]
) -> None:
    path = tmp_path / "exported.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*lines[:50], "", *lines[50:], ""]).encode())
    assert len(read_csv(path)) == 300


@pytest.mark.parametrize("column", ["Rotation", "Temperature", "Vibration", "Sound", "Faulty"])
def test_a_csv_with_a_wrong_column_is_refused_with_the_columns_expected_and_found(
    tmp_path: Path, lines: list[str], column: str
) -> None:
    renamed = [lines[0].replace(column, "Pressure"), *lines[1:]]
    with pytest.raises(
        InvalidData, match=f"no column {column.lower()}; expected rotation, .* found .*Pressure"
    ):
        read(tmp_path, renamed)


@pytest.mark.parametrize("name", ["Rotation", "ROTATION"])
def test_a_column_that_stands_there_twice_is_refused(tmp_path: Path, lines: list[str], name: str) -> None:
    with pytest.raises(InvalidData, match=f"column rotation stands there twice, as {name}, Rotation"):
        read(tmp_path, [lines[0].replace("DeviceID", name), *lines[1:]])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1,abc,38,113,50,0", "column Rotation, line 6: expected a finite number, found 'abc'"),
        ("1,600,,113,50,0", "column Temperature, line 6: expected a finite number, found ''"),
        ("1,600,38,nan,50,0", "column Vibration, line 6: expected a finite number, found 'nan'"),
        ("1,600,38,inf,50,0", "column Vibration, line 6: expected a finite number, found 'inf'"),
        ("1,600,38,113,1e999,0", "column Sound, line 6: expected a finite number"),
        ("1,True,38,113,50,0", "column Rotation, line 6: expected a finite number, found 'True'"),
        ("1,9999,38,113,50,0", "column Rotation, line 6: expected 0 to 1500 r/min, found '9999'"),
        ("1,600,38,113,50,2", "column Faulty, line 6: expected 0 or 1, found '2'"),
        ("1,600,38,113,50,yes", "column Faulty, line 6: expected a finite number, found 'yes'"),
        ("1,600,38,113,50", "column Faulty, line 6: expected a finite number, found ''"),
        ("1,600,38,113,50,0,7", "Expected 6 fields in line 6, saw 7"),
    ],
)
def test_a_bad_cell_is_named_by_column_and_line(
    tmp_path: Path, lines: list[str], line: str, told: str
) -> None:
    with pytest.raises(InvalidData) as caught:
        read(tmp_path, [*lines[:3], "", lines[3], line, *lines[6:]])
    assert told in str(caught.value)


def test_of_many_bad_cells_the_first_are_named_and_the_rest_counted(tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(InvalidData, match=r"line 2: .*line 6: .*; and 295 more$"):
        read(tmp_path, [lines[0], *(line.replace(",", ",x", 1) for line in lines[1:])])


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\xff\xfe\x00" * 50, b"a;b\n1;2\n", b"Rotation\n1,2\n"],
    ids=["empty", "blank", "binary", "semicolons", "ragged"],
)
def test_a_file_that_is_no_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "readings.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidData, match=r"readings\.csv: "):
        read_csv(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="cannot be read: No such file"):
        read_csv(tmp_path / "nowhere.csv")


def test_one_kind_alone_or_too_few_rows_are_refused(tmp_path: Path, lines: list[str]) -> None:
    healthy = [line for line in lines[1:] if line.endswith(",0")]
    with pytest.raises(InvalidData, match="expected at least 200 rows and both kinds"):
        read(tmp_path, [lines[0], *healthy * 3])
    with pytest.raises(InvalidData, match="50 rows"):
        read(tmp_path, lines[:51])


def test_a_split_shares_no_row_loses_none_and_keeps_the_share_of_faults() -> None:
    data, _ = generate(2000, 5)
    numbered = DataSet(np.arange(2000, dtype=np.float64)[:, np.newaxis], data.labels, "", "numbered")
    parts = split(numbered, seed=1)
    found = [part.signals[:, 0] for part in (parts.fit, parts.validation, parts.held_out)]
    np.testing.assert_array_equal(np.sort(np.concatenate(found)), np.arange(2000))
    assert [len(part) for part in found] == [1400, 300, 300]
    for part in (parts.fit, parts.validation, parts.held_out):
        assert part.labels.mean() == pytest.approx(data.labels.mean(), abs=0.01)
    np.testing.assert_array_equal(split(numbered, seed=1).held_out.signals, parts.held_out.signals)
    assert not np.array_equal(split(numbered, seed=2).held_out.signals, parts.held_out.signals)
