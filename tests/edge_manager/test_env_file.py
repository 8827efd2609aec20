"""The environment file: what a person wrote stays, what is set is read back, by ours and by Compose."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_manager.device.env_file import read_values, with_values

BY_HAND = """\
# our proxy, ask Kim
HTTP_PROXY=http://proxy:3128

export FANWATCH_BIND = "10.0.0.5"   # the plant's network
FANWATCH_ALARM_RULES='{"a": "b # no comment"}'
not a variable at all\x0c
"""


def test_every_line_that_is_not_changed_stays_as_it_was() -> None:
    after = with_values(BY_HAND, {"FANWATCH_SITE": "hall 2", "FANWATCH_BIND": "10.0.0.5"}, "new")
    assert after.startswith(BY_HAND)
    assert after.removeprefix(BY_HAND) == "\n# new\nFANWATCH_SITE='hall 2'\n"


def test_a_changed_variable_is_changed_in_its_place() -> None:
    after = with_values(BY_HAND, {"FANWATCH_BIND": "0.0.0.0"}, "new")
    assert after.splitlines()[3] == "FANWATCH_BIND=0.0.0.0"
    assert after.splitlines()[:3] == BY_HAND.splitlines()[:3]
    assert after.splitlines()[4:] == BY_HAND.splitlines()[4:]


def test_writing_again_changes_nothing() -> None:
    values = {"FANWATCH_SITE": "hall 2", "FANWATCH_DATA_DIR": "", "FANWATCH_BIND": "::"}
    once = with_values("", values, "new")
    assert with_values(once, values, "new") == once


@given(st.dictionaries(st.from_regex(r"FANWATCH_[A-Z]{1,8}", fullmatch=True), st.text(max_size=20)))
def test_what_is_written_is_read_back(values: dict[str, str]) -> None:
    try:
        text = with_values(BY_HAND, values, "new")
    except ValueError:
        return
    assert read_values(text) == read_values(BY_HAND) | values


@pytest.mark.parametrize("value", ["two\nlines", "a'quote", "a\rreturn", "\x00"])
def test_what_could_not_stand_in_a_line_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="FANWATCH_SITE"):
        with_values("", {"FANWATCH_SITE": value}, "new")


@pytest.mark.skipif(shutil.which("docker") is None, reason="Compose reads it; tests/compose has it too")
def test_compose_reads_what_was_written_as_it_was_meant(tmp_path: Path) -> None:
    values = {"A": "hall 2 #1", "B": "$HOME", "C": "plain", "D": "a=b", "E": 'say "hi"', "F": "back\\slash"}
    (tmp_path / ".env").write_text(with_values("", values, "new"))
    lines = "".join(f"      {name}: ${{{name}}}\n" for name in values)
    (tmp_path / "docker-compose.yml").write_text(f"services:\n  s:\n    image: x\n    environment:\n{lines}")
    environment = {name: value for name, value in os.environ.items() if name not in values}
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)["services"]["s"]["environment"]
    assert {name: value.replace("$$", "$") for name, value in found.items()} == values
