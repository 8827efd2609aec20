"""The commands of docs/pipeline.md do what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from training.bundle import read_manifest
from training.deployed import read_deployment
from training.settings import PipelineSettings
from training.steps.all_steps import STEP_NAMES

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = (REPOSITORY / "docs" / "pipeline.md").read_text()


# Eight commands, four of which load TensorFlow or MLflow, on a machine with other work.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The block under "Try it", run line by line in an empty folder."""
    (block,) = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
    folder = tmp_path_factory.mktemp("tried")
    answer = subprocess.run(
        ["bash", "-e", "-c", block],
        cwd=folder,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout
    return folder, answer.stdout


def test_the_tried_commands_make_a_signed_challenger_and_find_every_step_done(
    tried: tuple[Path, str],
) -> None:
    folder, output = tried
    deployment = read_deployment(folder / "models", "fan")
    assert deployment is not None
    assert (deployment.champion, deployment.challenger) == ("1", "2")
    assert read_manifest(folder / "models" / "fan" / "2").model_id == "fan:2"
    assert "models/fan/2: the signature holds" in output
    assert output.count("done before") == len(STEP_NAMES)


def test_the_documents_way_to_verify_is_one(tried: tuple[Path, str]) -> None:
    folder, _ = tried
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    (command,) = re.findall(r"`(model_signing verify.*?)`", DOCUMENT, re.DOTALL)
    (folder / "model-signing.pub").write_bytes((folder / "keys" / "model-signing.pub").read_bytes())

    def checks() -> list[int]:
        calls = [
            [sys.executable, "-c", code],
            [str(Path(sys.executable).parent / "model_signing"), *command.split()[1:]],
        ]
        return [
            subprocess.run(call, cwd=folder, capture_output=True, timeout=60, check=False).returncode
            for call in calls
        ]

    assert checks() == [0, 0]
    (folder / "models" / "fan" / "2" / ".gitignore").write_text("more")
    assert checks()[0] != 0


def test_the_table_of_steps_and_of_variables_is_whole() -> None:
    steps = DOCUMENT.split("## The steps")[1].split("\n## ")[0]
    assert tuple(re.findall(r"^\| ([a-z]+) \|", steps, re.MULTILINE))[1:] == STEP_NAMES
    named = {
        str(field.validation_alias or f"FANWATCH_{name.upper()}")
        for name, field in PipelineSettings.model_fields.items()
    }
    assert named <= set(re.findall(r"`([A-Z_]+)`", DOCUMENT))
