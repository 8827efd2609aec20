"""The clients that docs/site.md shows are run against the real broker, and its commands exist."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("document", ["docs/site.md", "README.md"])
def test_every_command_that_is_named_exists(document: str) -> None:
    named = set(re.findall(r"fanwatch ([a-z]+(?: [a-z]+)?)", (REPOSITORY / document).read_text()))
    first = {name.split()[0] for name in COMMANDS}
    wrong = {name for name in named if name not in COMMANDS and name.split()[0] not in first}
    assert wrong == set()
