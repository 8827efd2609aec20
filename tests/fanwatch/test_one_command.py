"""``fanwatch`` mounts the rooms' commands, loads a room when it is called, and says what is missing."""

import os
import subprocess
import sys

import pytest
from typer.main import get_command

from fanwatch.group import app
from fanwatch.rooms import COMMANDS

HEAVY = (
    "tensorflow",
    "keras",
    "flask",
    "numpy",
    "pandas",
    "sklearn",
    "matplotlib",
    "paho",
    "honcho",
    "requests",
)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )


def test_help_loads_no_room_and_nothing_heavy() -> None:
    answer = python(
        "import sys\n"
        "from fanwatch.cli import main\n"
        "sys.argv = ['fanwatch', '--help']\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print('LOADED', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    assert answer.returncode == 0, answer.stderr
    loaded = set(answer.stdout.split("LOADED")[1].split())
    assert loaded & {*HEAVY, *(room.module.partition(".")[0] for room in COMMANDS.values())} == set()
    for name, room in COMMANDS.items():
        assert name in answer.stdout
        assert room.summary in answer.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_where_the_table_says(name: str) -> None:
    group = get_command(app)
    command = group.get_command(None, name)  # type: ignore[attr-defined]  # typer keeps the type to itself
    assert command.get_short_help_str()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_shows_an_example_and_swallows_no_bracket(name: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "fanwatch.cli", name, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert f"fanwatch {name}" in answer.stdout.split("Example")[1]
    if name == "train":
        assert "^[a-z0-9]" in answer.stdout


def test_a_command_that_is_not_there_gets_a_sentence() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "fanwatch.cli", "brake"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 2
    assert "No such command 'brake'" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "absent", "sentence"),
    [
        (
            ["command", "5", "faulty"],
            "paho",
            "fanwatch command needs the extra simulator (paho is not installed)",
        ),
        (["demo"], "honcho", "fanwatch demo needs the extra demo (honcho is not installed)"),
        (["evaluate"], "pandas", "fanwatch evaluate needs the extra training (pandas is not installed)"),
        (
            ["evaluate", "skab", "--data", ".", "--out", "x"],
            "tqdm",
            "fanwatch evaluate skab needs the extra evaluation (tqdm is not installed)",
        ),
        (["bench"], "psutil", "fanwatch bench runs in the environment of development (psutil is not"),
        (["--help"], "typer", "fanwatch needs one of its extras"),
    ],
)
def test_an_extra_that_is_not_installed_is_named_with_the_way_to_get_it(
    arguments: list[str], absent: str, sentence: str
) -> None:
    answer = python(
        "import sys\n"
        f"sys.modules[{absent!r}] = None\n"
        f"sys.argv = ['fanwatch', *{arguments!r}]\n"
        "from fanwatch.cli import main\n"
        "main()\n"
    )
    assert answer.returncode == 1, answer.stderr
    assert sentence in answer.stderr
    assert "uv sync --" in answer.stderr
    assert "Traceback" not in answer.stderr


COMPLETE = """
import atexit, sys
atexit.register(lambda: print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules})))
sys.argv = ["fanwatch"]
from fanwatch.cli import main
main()
"""


def completed(line: str) -> tuple[list[str], set[str]]:
    """What bash is offered for the end of a line, and what was imported for that."""
    words = line.split(" ")
    answer = subprocess.run(
        [sys.executable, "-c", COMPLETE],
        env=os.environ
        | {"_FANWATCH_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    offered, _, loaded = answer.stdout.partition("LOADED")
    return offered.split(), set(loaded.split())


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("fanwatch ad", ["add"]),
        ("fanwatch add ", ["fan", "client"]),
        ("fanwatch evaluate s", ["skab"]),
        ("fanwatch model ro", ["rollback"]),
        ("fanwatch lo", ["logs"]),
    ],
)
def test_the_shell_completes_one_word_and_the_second_and_imports_no_room_for_that(
    line: str, offered: list[str]
) -> None:
    found, loaded = completed(line)
    assert found == offered
    assert loaded & {*HEAVY, *(room.module.partition(".")[0] for room in COMMANDS.values())} == set()


def test_the_shell_completes_every_first_word_once() -> None:
    found, _ = completed("fanwatch ")
    assert found == list(dict.fromkeys(name.split()[0] for name in COMMANDS))


def test_the_shell_completes_the_options_of_a_command_of_two_words() -> None:
    found, _ = completed("fanwatch add fan --j")
    assert found == ["--json"]
