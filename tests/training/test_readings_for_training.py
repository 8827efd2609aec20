"""Readings from a file, which of them are fit to learn from, and which are kept for the gate."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.bundle import SignalSpec
from training.newest import newest_rows, number_blocks
from training.readings_file import InvalidReadings, read_readings, read_table, write_table
from training.readings_schema import check_readings

FLOW = SignalSpec(name="flow", unit="l/min", minimum=0, maximum=100)
HOUR = pd.Timedelta(hours=1)


def read(tmp_path: Path, text: str) -> pd.DataFrame:
    file = tmp_path / "readings.csv"
    file.write_text(text)
    return read_readings(file, {"flow": "Volume Flow"}, separator=";", only_device="pump", apart=HOUR)


def test_a_file_without_devices_and_times_is_one_device_whose_rows_stand_alone(tmp_path: Path) -> None:
    frame = read(tmp_path, "volume flow;note\n31.5;a\n32;b\n")
    assert list(frame.columns) == ["deviceID", "timeStamp", "flow", "faulty"]
    assert frame.values.tolist() == [
        ["pump", "1970-01-01T00:00:00+00:00", "31.5", ""],
        ["pump", "1970-01-01T01:00:00+00:00", "32", ""],
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("flow\n1\n", "no column Volume Flow; expected Volume Flow, found flow"),
        ("Volume Flow;volume flow\n1;2\n", "a column stands there twice"),
        ("", "is no CSV file in UTF-8 with a header and columns separated by ';'"),
    ],
)
def test_a_file_that_is_no_table_of_readings_gets_a_sentence(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidReadings, match=told):
        read(tmp_path, text)


def table(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["deviceID", "timeStamp", "flow", "faulty"])


def minute(number: int) -> str:
    return f"2026-11-25T10:{number:02}:00Z"


def test_each_kind_of_bad_row_is_left_out_and_said_with_what_was_expected(tmp_path: Path) -> None:
    checked = check_readings(
        table(
            [
                ("a", minute(0), "1", ""),
                ("a", minute(1), "101", ""),
                ("a", minute(2), "fast", ""),
                ("a", minute(3), "", ""),
                ("a", "noon", "1", ""),
                ("a/b", minute(4), "1", ""),
                ("a", minute(5), "1", "perhaps"),
                ("a", minute(0), "2", ""),
                ("a", minute(6), "3", "1"),
            ]
        ),
        [FLOW],
    )
    told = {
        int(row["row"]): (row["column"], row["expected"], row["found"]) for _, row in checked.bad.iterrows()
    }
    assert told == {
        1: ("flow", "0 to 100 l/min", "101"),
        2: ("flow", "a value that can be read", "fast"),
        3: ("flow", "a value that can be read", ""),
        4: ("timeStamp", "a value that can be read", "noon"),
        5: ("deviceID", "a device's name", "a/b"),
        6: ("faulty", "0, 1 or nothing", "perhaps"),
        7: ("deviceID, timeStamp", "a device and time that no row before it has", f"a, {minute(0)}"),
    }
    assert checked.bad_rows == 7
    assert checked.good["flow"].tolist() == [1.0, 3.0]
    write_table(tmp_path / "rows.csv", checked.good)
    pd.testing.assert_frame_equal(read_table(tmp_path / "rows.csv", ["flow"]), checked.good)


def test_good_rows_come_oldest_first_and_a_gap_is_told_by_device() -> None:
    rows = [("b", minute(9), "1", ""), *(("a", minute(number), "1", "") for number in (0, 1, 2, 3, 30))]
    checked = check_readings(table(rows), [FLOW])
    assert checked.bad_rows == 0
    assert checked.good["timeStamp"].is_monotonic_increasing
    assert checked.gaps[["deviceID", "seconds"]].values.tolist() == [["a", 27 * 60.0]]


def test_two_readings_of_one_millisecond_that_differ_by_a_nanosecond_are_two() -> None:
    times = ["2026-11-25T10:00:00.000000001Z", "2026-11-25T10:00:00.000000002Z"]
    assert check_readings(table([("a", time, "1", "") for time in times]), [FLOW]).bad_rows == 0


def test_a_block_is_one_device_within_one_length_of_time() -> None:
    devices = np.array(["a", "a", "b", "a"], dtype=object)
    blocks = number_blocks(devices, np.array([0, 5, 5, 10]), 10)
    assert blocks[0] == blocks[1]
    assert len({blocks[0], blocks[2], blocks[3]}) == 3


def test_the_newest_blocks_of_either_kind_are_set_apart() -> None:
    times = np.arange(200)
    labels = (times >= 150).astype(np.int64)
    newest = newest_rows(labels, times // 2, times, share=0.2, fewest=5)
    assert np.flatnonzero(newest & (labels == 0)).tolist() == list(range(120, 150))
    assert np.flatnonzero(newest & (labels == 1)).tolist() == list(range(190, 200))


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100), st.integers(0, 1)), min_size=1),
    share=st.floats(0.01, 0.99),
    fewest=st.integers(0, 30),
)
def test_no_block_is_on_both_sides_and_something_is_left_to_learn_from(
    rows: list[tuple[int, int, int]], share: float, fewest: int
) -> None:
    devices = np.array([str(device) for device, _, _ in rows], dtype=object)
    times = np.array([time for _, time, _ in rows], dtype=np.int64)
    # As in a plant: what a device is holds for a whole block.
    blocks = number_blocks(devices, times, 10)
    labels = np.array([rows[int(np.flatnonzero(blocks == block)[0])][2] for block in blocks], dtype=np.int64)
    newest = newest_rows(labels, blocks, times, share=share, fewest=fewest)
    assert set(blocks[newest]) & set(blocks[~newest]) == set()
    for kind in (0, 1):
        apart = len(set(blocks[newest & (labels == kind)]))
        assert apart <= len(set(blocks[labels == kind])) / 2
