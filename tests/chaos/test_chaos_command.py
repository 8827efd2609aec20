"""Which cases run at which size, and what is written of them."""

import json
from pathlib import Path

import pytest

from benchmarks.chaos.case import select
from benchmarks.chaos.cases.all_cases import CASES
from benchmarks.chaos.command import _numbers
from benchmarks.chaos.report import as_markdown, record
from benchmarks.chaos.trial import Result

RESULT = Result(
    number=3,
    name="kill -9 mosquitto 15 times",
    seed=7,
    scale=1.0,
    seconds=40.0,
    acknowledged=12_000,
    lost=2,
    excused={"acknowledged in a killed broker's last turn": 2},
    outcome="2 lost: acknowledged in a killed broker's last turn",
    failures=[],
    figures={"kills": 15},
)


def test_there_is_a_case_for_each_of_the_fifteen() -> None:
    assert [case.number for case in CASES] == list(range(1, 16))
    assert len({case.name for case in CASES}) == 15


def test_without_a_duration_everything_runs_at_full_size() -> None:
    chosen = select(CASES, None, None, rest_s=15)
    assert (len(chosen.cases), chosen.scale) == (15, 1.0)


def test_a_duration_makes_the_chosen_cases_smaller_and_never_larger() -> None:
    chosen = select(CASES, [1, 3], 60, rest_s=15)
    fault_phases = sum(case.seconds for case in chosen.cases)
    assert chosen.scale == pytest.approx((60 - 2 * 15) / fault_phases)
    assert select(CASES, [12], 10_000, rest_s=15).scale == 1.0


def test_numbers_are_read_as_people_write_them_and_a_mistake_is_a_sentence() -> None:
    assert _numbers("1,3,6-8") == [1, 3, 6, 7, 8]
    assert _numbers("") is None
    with pytest.raises(ValueError, match="expected numbers as 1,3,6-8"):
        _numbers("one")
    with pytest.raises(ValueError, match="no case 16: there are 1 to 15"):
        select(CASES, [16], None, rest_s=15)


def test_a_run_of_some_cases_leaves_the_other_rows_as_they_were(tmp_path: Path) -> None:
    record(tmp_path, "processes", [RESULT], {9: "root is needed"})
    record(tmp_path, "processes", [], {13: "no way to put a proxy there"})
    content = json.loads((tmp_path / "chaos.json").read_text())
    assert [case["number"] for case in content["cases"]] == [3, 9, 13]
    assert (tmp_path / "chaos.md").read_text() == as_markdown(content)
    record(tmp_path, "containers", [], {1: "x"})
    assert [case["number"] for case in json.loads((tmp_path / "chaos.json").read_text())["cases"]] == [1]


def test_the_table_says_what_was_lost_at_which_size_and_what_failed(tmp_path: Path) -> None:
    small = Result(
        **{**vars(RESULT), "number": 5, "scale": 0.5, "failures": ["3 not in telemetry"], "lost": 3}
    )
    content = record(tmp_path, "processes", [RESULT, small], {9: "root is needed"})
    rows = as_markdown(content).splitlines()[4:]
    assert "| 12,000 | 2 | 2 lost: acknowledged in a killed broker's last turn | kills 15 |" in rows[0]
    assert "(at 50% of its size)" in rows[1]
    assert "FAILED: 3 not in telemetry" in rows[1]
    assert "left out: root is needed" in rows[2]
