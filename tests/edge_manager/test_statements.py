"""Reading and filling in the InfluxQL files."""

from pathlib import Path

import pytest

from edge_manager.statements import fill_in, read_statements

SCHEMA = Path(__file__).parents[2] / "influxdb" / "schema"


def test_comments_and_line_ends_are_left_out() -> None:
    text = "-- why\n\nCREATE DATABASE x;\n  SELECT 1\n  FROM y;\n"
    assert read_statements(text) == ["CREATE DATABASE x", "SELECT 1 FROM y"]


def test_a_file_that_was_cut_short_is_refused_as_a_whole() -> None:
    with pytest.raises(ValueError, match="no semicolon"):
        read_statements("DROP SERIES FROM a;\nDELETE FROM b\n")


def test_a_value_cannot_leave_its_quotes() -> None:
    statement = fill_in("SET PASSWORD FOR x = '$word'", {"word": "a'; DROP DATABASE fan; -- \\"})
    assert statement == "SET PASSWORD FOR x = 'a\\'; DROP DATABASE fan; -- \\\\'"


def test_a_placeholder_without_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no value for \$to"):
        fill_in("SELECT '$from' '$to'", {"from": "x"})


def test_a_value_that_looks_like_a_placeholder_stays_what_it_is() -> None:
    assert fill_in("'$a'", {"a": "$b", "b": "wrong"}) == "'$b'"


@pytest.mark.parametrize("name", ["schema", "users", "backfill"])
def test_the_shipped_files_can_be_read(name: str) -> None:
    assert read_statements((SCHEMA / f"{name}.influxql").read_text())
