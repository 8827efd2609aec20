"""What technicians found, laid upon readings."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from training.technicians_labels import Interval, InvalidLabels, label_readings, read_intervals

SECOND = 1_000_000_000
TIMES = np.arange(10, dtype=np.int64) * SECOND


def labelled(intervals: list[Interval], *, healthy: bool = False, margin_s: int = 0) -> list[float | None]:
    devices: npt.NDArray[np.object_] = np.array(["a"] * 10, dtype=object)
    found = label_readings(devices, TIMES, intervals, others_are_healthy=healthy, margin_ns=margin_s * SECOND)
    return [None if np.isnan(value) else float(value) for value in found]


def of(begin: int, end: int, faulty: int | None, device: str = "a") -> Interval:
    return Interval(device, begin * SECOND, end * SECOND, faulty)


def test_a_real_fault_is_1_a_false_alarm_is_0_and_the_rest_is_not_known() -> None:
    assert labelled([of(1, 2, 1), of(5, 6, 0)]) == [None, 1, 1, None, None, 0, 0, None, None, None]


def test_another_devices_label_changes_nothing() -> None:
    assert labelled([of(1, 2, 1, device="b")]) == [None] * 10


def test_a_standstill_holds_before_a_fault_and_a_fault_before_a_false_alarm() -> None:
    assert labelled([of(0, 9, 0), of(2, 7, 1), of(4, 5, None)]) == [0, 0, 1, 1, None, None, 1, 1, 0, 0]
    assert labelled([of(4, 5, None), of(2, 7, 1), of(0, 9, 0)]) == [0, 0, 1, 1, None, None, 1, 1, 0, 0]


def test_the_rest_is_healthy_when_asked_but_not_close_to_a_fault_or_a_standstill() -> None:
    assert labelled([of(4, 5, 1)], healthy=True, margin_s=2) == [0, 0, None, None, 1, 1, None, None, 0, 0]
    assert labelled([of(0, 0, None)], healthy=True, margin_s=1) == [None, None, 0, 0, 0, 0, 0, 0, 0, 0]
    assert labelled([of(4, 5, 0)], healthy=True, margin_s=2) == [0] * 10


def test_an_alarm_that_nobody_has_closed_takes_nothing_from_what_is_labelled() -> None:
    devices: npt.NDArray[np.object_] = np.array(["a"] * 10, dtype=object)
    found = label_readings(
        devices,
        TIMES,
        [of(4, 4, 1)],
        others_are_healthy=True,
        margin_ns=SECOND,
        in_doubt=[of(3, 6, None), of(9, 9, None)],
    )
    assert np.isnan(found).tolist() == [False, False, True, True, False, True, True, True, True, True]
    assert found[4] == 1


def test_a_file_of_the_alarms_command_is_read(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(
        "deviceID,from,to,label,kind,faulty\n"
        "7,1970-01-01T00:00:01.500Z,1970-01-01T00:00:02Z,real,machine_fault,1\n"
        "8,1970-01-01T02:00:00+02:00,1970-01-01T00:00:02Z,planned,machine_fault,\n"
    )
    assert read_intervals(file) == [
        Interval("7", 1_500_000_000, 2 * SECOND, 1),
        Interval("8", 0, 2 * SECOND, None),
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("deviceID,from,to\n", "no column faulty; expected those that `fanwatch alarms labels` writes"),
        ("deviceID,from,to,faulty\n1,yesterday,2026-01-01T00:00:00Z,1\n", "line 2: expected a time such as"),
        ("deviceID,from,to,faulty\n1,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z,real\n", "expected 0, 1 or"),
        ("", "is no CSV file"),
    ],
)
def test_a_file_that_holds_no_labels_gets_a_sentence(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(content)
    with pytest.raises(InvalidLabels, match=told):
        read_intervals(file)
    with pytest.raises(InvalidLabels, match="cannot be read"):
        read_intervals(tmp_path / "none.csv")
