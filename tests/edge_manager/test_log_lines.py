"""The services' log lines, made readable."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_manager.device.log_lines import read_line


def test_a_json_line_becomes_time_level_service_event_and_details() -> None:
    content = {
        "event": "broker_connected",
        "window": 200,
        "level": "info",
        "timestamp": "2026-11-27T10:00:00.123Z",
    }
    line = read_line(f"predictor-1  | {json.dumps(content)}")
    assert str(line).split() == [
        "2026-11-27",
        "10:00:00",
        "info",
        "predictor",
        "broker_connected",
        "window=200",
    ]


def test_a_value_with_spaces_is_told_from_its_neighbour() -> None:
    line = read_line('monitor-1 | {"event": "x", "why": "no room", "n": {"a": 1}}')
    assert 'why="no room"' in str(line)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ('{"event": "x", "level": "warning"}', "warning"),
        ('{"event": "x", "level": "critical"}', "critical"),
        ('{"event": "x"}', "info"),
        ("2026-11-27T10:00:00Z: New connection from 10.0.0.1", "info"),
        ("2026-11-27T10:00:00Z: Error: Unable to load server key file", "error"),
        ('time=2026-11-27T10:00:00Z level=warn msg="slow"', "warn"),
        ('logger=x level=error msg="no"', "error"),
        ("not json {", "info"),
        ("", "info"),
        ("[1, 2]", "info"),
    ],
)
def test_the_level_is_found_in_ours_and_in_foreign_lines(text: str, level: str) -> None:
    assert read_line(f"service-1  | {text}").level == level


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_a_level_hides_what_is_less_urgent(level: str, shown: int) -> None:
    lines = [
        read_line(json.dumps({"event": "x", "level": each})) for each in ("debug", "info", "warning", "error")
    ]
    assert sum(line.at_least(level) for line in lines) == shown


@given(st.text())
def test_whatever_a_line_holds_it_becomes_one_line_that_steers_no_terminal(text: str) -> None:
    for line in (text, f"s-1 | {text}", f"s-1 | {json.dumps({'event': text, 'a': text, 'timestamp': text})}"):
        assert str(read_line(line)).isprintable()
