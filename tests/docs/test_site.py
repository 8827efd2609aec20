"""The clients that docs/site.md shows are run against the real broker; every command that a document names exists."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest
from typer import Context
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from fanwatch.group import app
from fanwatch.rooms import COMMANDS
from testbed.mosquitto import Mosquitto
from testbed.process import SERVERS
from testbed.site import Site

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = (REPOSITORY / "docs" / "site.md").read_text()
FAN = "hall2-fan7"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    site = Site(tmp_path_factory.mktemp("documented"))
    site.add_fan(FAN, "its password")
    with Mosquitto(site) as server:
        yield server


def run(broker: Mosquitto, *command: str) -> bytes:
    """What a client published, run where ca.crt lies."""
    places = {
        "HOST": broker.host,
        "PORT": str(broker.tls_port),
        "PASSWORD": "its password",
        "PATH": f"{SERVERS / 'bin'}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": str(SERVERS / "lib"),
    }
    folder = broker.site.authority.parent
    with broker.connect("predictor") as predictor:
        predictor.subscribe(f"fan/messages/{FAN}")
        subprocess.run(command, cwd=folder, env=os.environ | places, check=True, timeout=60)
        return bytes(predictor.next().payload)


def test_the_try_with_mosquittos_own_client_arrives(broker: Mosquitto) -> None:
    [command] = [block for block in blocks("sh") if "mosquitto_pub" in block]
    assert FAN.encode() in run(broker, "sh", "-c", command.replace("-p 8883", f"-p {broker.tls_port}"))


def test_the_try_with_paho_arrives(broker: Mosquitto) -> None:
    [program] = blocks("python")
    assert FAN.encode() in run(broker, sys.executable, "-c", program)


def documents() -> list[str]:
    return ["README.md", *sorted(str(file.relative_to(REPOSITORY)) for file in REPOSITORY.glob("docs/*.md"))]


def unknown(named: str) -> str | None:
    """The first word that is neither a command, nor an option of it, nor what it is told; None without one."""
    command: object = get_command(app)
    # What stands behind -- is another program's.
    words = named.partition(" -- ")[0].split()
    rest = list(takewhile(re.compile("[a-z]+$").match, words))
    while rest and isinstance(command, TyperGroup):
        found = {n: command.get_command(Context(command), " ".join(rest[:n])) for n in (1, 2)}
        taken = 2 if found[2] is not None else 1
        if found[taken] is None:
            is_first_word = rest[0] in {name.partition(" ")[0] for name in COMMANDS}
            return next(iter(rest[1:]), None) if is_first_word else rest[0]
        command, rest = found[taken], rest[taken:]
    if not isinstance(command, TyperCommand):
        return None
    options = {"--help", *(name for each in command.params for name in (*each.opts, *each.secondary_opts))}
    given = [match[0] for word in words if (match := re.match("--[a-z][a-z-]*", word))]
    return next((each for each in given if each not in options), None)


# Not the namespace and the release of that name, nor a folder.
NAMED = re.compile(r"(?<![-\w/.])(?<!-n )(?<!helm install )(?<!helm upgrade )fanwatch ([a-z][^`\n|;()#,]*)")


@pytest.mark.parametrize("document", documents())
def test_every_command_that_is_named_exists_with_the_options_that_it_is_given(document: str) -> None:
    named = NAMED.findall((REPOSITORY / document).read_text())
    assert {words: wrong for words in named if (wrong := unknown(words)) is not None} == {}


@pytest.mark.parametrize(
    ("named", "wrong"),
    [
        ("nonsense", "nonsense"),
        ("fleet nonsense", "nonsense"),
        ("fleet push nonsense", "nonsense"),
        ("model nonsense fan", "nonsense"),
        ("model use fan 2 --nonsense", "--nonsense"),
        ("init --nonsense x", "--nonsense"),
        ("fleet push model fan:2 --from bundles", None),
        ("fleet", None),
        ("add fan hall", None),
        ("backup keygen --out fanwatch.key", None),
        ("pipeline schedule -- --days 30", None),
    ],
)
def test_a_command_is_known_by_all_of_its_words_and_options(named: str, wrong: str | None) -> None:
    assert unknown(named) == wrong
