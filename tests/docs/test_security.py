"""The threat model is true: each row has its test, and those exist; what is not met says why."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text()


NAMED = set(re.findall(r"`(test_\w+)`", TEXT))


def _tests(folder: str) -> set[str]:
    return {
        name
        for path in (ROOT / folder).rglob("test_*.py")
        for name in re.findall(r"^\s*def (test_\w+)", path.read_text(), re.MULTILINE)
    }


def _rows(heading: str) -> list[str]:
    section = TEXT.split(f"## {heading}")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize(
    "heading",
    [
        "OWASP IoT Top 10 (2018)",
        "IEC 62443-4-2, component requirements",
        "What is refused, and where it can be seen",
    ],
)
def test_every_row_of_the_threat_model_has_a_test_that_exists_or_says_that_it_is_not_met(
    heading: str,
) -> None:
    defined = _tests("tests")
    rows = _rows(heading)
    assert len(rows) >= 10
    for row in rows:
        named = set(re.findall(r"`(test_\w+)`", row))
        assert named or "not met" in row, row
        assert named <= defined, named - defined


def test_all_ten_risks_of_owasp_are_answered() -> None:
    assert [row.split()[1] for row in _rows("OWASP IoT Top 10 (2018)")] == [f"I{n}" for n in range(1, 11)]


def test_every_test_that_the_page_names_anywhere_exists() -> None:
    assert NAMED - _tests("tests") == set()


def test_every_break_in_test_is_named() -> None:
    assert _tests("tests/security") - NAMED == set()


def test_how_many_of_them_need_a_docker_engine_is_said_rightly() -> None:
    needing = NAMED & _tests("tests/compose/engine")
    assert f"but for the {len(needing)} of tests/compose/engine" in TEXT


@pytest.mark.parametrize("user", ["legacy", "simulator", "gateway"])
def test_users_that_may_speak_for_others_are_named(user: str) -> None:
    assert f"`{user}`" in TEXT
