"""The tables of losses in the documentation are those of the last run."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.cases.all_cases import CASES
from benchmarks.chaos.report import as_markdown

REPOSITORY = Path(__file__).parents[2]
RESULTS = REPOSITORY / "benchmarks" / "results"


@pytest.fixture(scope="module")
def run() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / "chaos.json").read_text())
    return content


def test_every_case_has_run_at_full_size_and_kept_its_promise(run: dict[str, Any]) -> None:
    assert {case["number"]: case["name"] for case in run["cases"]} == {c.number: c.name for c in CASES}
    assert [case["number"] for case in run["cases"] if case["scale"] != 1 or not case["passed"]] == []


def test_the_table_of_docs_nothing_lost_is_that_of_the_run(run: dict[str, Any]) -> None:
    table = as_markdown(run)
    assert (RESULTS / "chaos.md").read_text() == table
    assert table in (REPOSITORY / "docs" / "nothing-lost.md").read_text()


def test_what_ran_on_containers_ran_at_full_size_kept_its_promise_and_stands_in_the_documentation() -> None:
    content: dict[str, Any] = json.loads((RESULTS / "containers" / "chaos.json").read_text())
    assert {case["number"] for case in content["cases"]} == {case.number for case in CASES}
    ran = [case for case in content["cases"] if "left_out" not in case]
    assert [case["number"] for case in ran if case["scale"] != 1 or not case["passed"]] == []
    table = as_markdown(content)
    assert (RESULTS / "containers" / "chaos.md").read_text() == table
    assert table in (REPOSITORY / "docs" / "nothing-lost.md").read_text()


def test_the_readmes_table_has_a_row_for_each_case_with_its_figures(run: dict[str, Any]) -> None:
    readme = (REPOSITORY / "README.md").read_text()
    rows = [
        f"| {case['number']} | {case['name']} | {case['acknowledged']:,} | {case['lost']:,} |"
        for case in run["cases"]
    ]
    assert [row for row in rows if row not in readme] == []
    assert all(date in readme for date in {case["date"] for case in run["cases"]})
