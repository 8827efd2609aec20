"""A machine's description and its recordings: what is wrong is named with what was expected."""

from pathlib import Path

import pytest

from training.recording import InvalidMachine, InvalidRecording, read_machine, read_recording

DESCRIPTION = """name = "pump"
healthy_rows = 100
[[signals]]
name = "flow"
unit = "l/min"
minimum = 0
maximum = 100
"""


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("name = ", "name ", "is no TOML file"),
        (
            "healthy_rows = 100",
            "healthy_rows = 10",
            "healthy_rows: Input should be greater than or equal to 60",
        ),
        ("maximum = 100", "maximum = -1", "signals.0: Value error, .*minimum 0.0 is not below maximum -1.0"),
        ('name = "flow"', 'name = "the flow"', "signals.0.name: String should match pattern"),
        ('unit = "l/min"', 'unit = "l/min"\nlimit = 3', "signals.0.limit: Extra inputs are not permitted"),
        ('name = "flow"', 'name = "fault"', "a signal may not be called fault"),
    ],
)
def test_a_description_that_makes_no_bundle_is_refused(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    path = tmp_path / "pump.toml"
    path.write_text(DESCRIPTION.replace(old, new, 1))
    with pytest.raises(InvalidMachine, match=sentence):
        read_machine(path)


def test_a_description_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidMachine, match=r"nowhere\.toml: cannot be read: No such file"):
        read_machine(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("time,speed\n1,2\n", "no column flow; expected flow, found time, speed"),
        ("flow\n1\n\nx\n3\n", r"column flow: expected a finite number, found 1 times .* \(line 3: 'x'\)"),
        ("flow\ninf\n", r"column flow: expected a finite number, .* \(line 2: 'inf'\)"),
        ("", "is no CSV file in UTF-8 with a header"),
    ],
)
def test_a_recording_with_a_fault_of_its_own_is_refused(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "pump.toml").write_text(DESCRIPTION)
    (tmp_path / "pump.csv").write_text(content)
    with pytest.raises(InvalidRecording, match=sentence):
        read_recording(tmp_path / "pump.csv", read_machine(tmp_path / "pump.toml"))


def test_the_header_may_begin_with_a_byte_order_mark_and_other_columns_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pump.toml").write_text(DESCRIPTION)
    (tmp_path / "pump.csv").write_text("﻿flow ,note\n1.5,hello\n2,\n", encoding="utf-8")
    recording = read_recording(tmp_path / "pump.csv", read_machine(tmp_path / "pump.toml"))
    assert recording.signals.tolist() == [[1.5], [2.0]]
