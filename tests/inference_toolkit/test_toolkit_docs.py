"""The lines of docs/toolkit.md do what they say."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import yaml

from contract.deployment import DEPLOYMENT_FILE, Deployment
from fanwatch.rooms import COMMANDS
from inference.settings import InferenceSettings
from testbed.process import REPOSITORY
from testbed.registry import Registry

DOCUMENT = (REPOSITORY / "docs" / "toolkit.md").read_text()


def lines(language: str) -> list[str]:
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_the_lines_to_try_take_a_model_from_nothing_onto_a_device(registry: Registry, tmp_path: Path) -> None:
    for line in lines("sh"):
        program, *arguments = shlex.split(line.replace("registry.example", registry.host))
        assert program == "fanwatch"
        done = subprocess.run(
            [sys.executable, "-m", "fanwatch.cli", *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "FANWATCH_REGISTRY_PLAIN_HTTP": "true"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    deployment = Deployment.model_validate_json((tmp_path / "models" / "pump" / DEPLOYMENT_FILE).read_bytes())
    assert deployment.champion == "1"


def test_every_command_that_is_named_is_there() -> None:
    named = set(re.findall(r"fanwatch ((?:toolkit|model|pipeline) [a-z]+)", DOCUMENT)) - {"pipeline run"}
    assert named <= set(COMMANDS)
    rows = DOCUMENT.split("## What each command does")[1].split("\n## ")[0]
    described = {f"toolkit {name}" for name in re.findall(r"^\| `([a-z]+)", rows, re.MULTILINE)}
    assert described == {name for name in COMMANDS if name.startswith("toolkit ")}


def test_the_override_for_the_stack_names_what_the_image_and_the_service_know() -> None:
    service = yaml.safe_load("\n".join(lines("yaml")))["services"]["inference"]
    recipe = (REPOSITORY / "inference" / "Dockerfile").read_text()
    assert all(f"ARG {name}=" in recipe for name in service["build"]["args"])
    fields = {f"FANWATCH_{name.upper()}" for name in InferenceSettings.model_fields}
    assert set(service["environment"]) <= fields
