"""The commands of docs/examples/model-ci.yml, run here one after the other as a runner would. Loads TensorFlow."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from inference_toolkit.registry import pull_bundle
from testbed.registry import Registry
from training.bundle import read_manifest
from training.dataset import generate
from training.signing import generate_keys, verify_bundle

WORKFLOW = Path(__file__).parents[2] / "docs" / "examples" / "model-ci.yml"
INSTALLED_ALREADY = "Install"
"""The one command that is left out: this environment is what it would make."""


def described() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())
    return content


class Runner:
    """A checkout, and the steps' outputs."""

    def __init__(self, folder: Path, secret: str) -> None:
        self.folder = folder
        self.secret = secret
        self.outputs: dict[str, str] = {}
        self.done: list[str] = []

    def run(self, workflow: dict[str, Any], **variables: str) -> None:
        for step in workflow["jobs"]["release"]["steps"]:
            if "run" not in step or step["name"] == INSTALLED_ALREADY or not self.wanted(step.get("if")):
                continue
            self.step(step, workflow["env"] | variables)
            self.done.append(step["name"])

    def wanted(self, condition: str | None) -> bool:
        if condition is None:
            return True
        output, equals, value = condition.partition(" == ")
        assert equals, f"this runner knows only ==, not {condition}"
        return self.outputs.get(output) == value.strip("'")

    def step(self, step: dict[str, Any], variables: dict[str, str]) -> None:
        own = {
            name: value.replace("${{ secrets.MODEL_SIGNING_KEY }}", self.secret)
            for name, value in step.get("env", {}).items()
        }
        outputs = self.folder / "outputs.txt"
        outputs.write_text("")
        answer = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.folder,
            env=os.environ
            | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "GITHUB_OUTPUT": str(outputs)}
            | variables
            | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=400,
            check=False,
        )
        assert answer.returncode == 0, f"{step['name']}: {answer.stdout}"
        assert "PRIVATE KEY" not in answer.stdout
        for line in outputs.read_text().splitlines():
            name, _, value = line.partition("=")
            self.outputs[f"steps.{step['id']}.outputs.{name}"] = value


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    private, public = generate_keys(tmp_path / "vault")
    checkout = tmp_path / "checkout"
    (checkout / "data").mkdir(parents=True)
    (checkout / "data" / "readings.csv").write_bytes(generate(4000, 3)[1])
    (checkout / "data" / "model-signing.pub").write_bytes(public.read_bytes())
    return Runner(checkout, private.read_text())


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as server:
        yield server


@pytest.mark.timeout(600)  # commands that load TensorFlow or MLflow, on a machine with other work
def test_its_commands_train_gate_sign_and_pack_a_bundle_and_publish_none_that_is_no_better(
    runner: Runner, registry: Registry, tmp_path: Path
) -> None:
    workflow = described()
    here = {"REGISTRY": f"{registry.host}/models", "FANWATCH_REGISTRY_PLAIN_HTTP": "true"}
    runner.run(workflow, EPOCHS="8", **here)
    assert runner.outputs == {"steps.pipeline.outputs.passed": "true"}
    assert runner.done[-1] == "Push to the registry"
    assert read_manifest(runner.folder / "dist" / "unpacked" / "bundle").model_id == "fan:1"
    assert (runner.folder / "models" / "fan" / "1" / "model.sig").is_file()

    pulled = tmp_path / "pulled"
    assert pull_bundle(f"{registry.host}/models/fan:1", pulled, plain_http=True).model_id == "fan:1"
    verify_bundle(pulled, runner.folder / "data" / "model-signing.pub")

    (runner.folder / "runs" / "ci").rename(runner.folder / "runs" / "last-week")
    runner.run(workflow, EPOCHS="8", **here)
    assert runner.outputs == {"steps.pipeline.outputs.passed": "false"}
    assert runner.done[-1] == "Train, gate, register, sign"


def test_no_step_may_write_to_the_repository_and_every_action_has_a_version() -> None:
    workflow = described()
    assert workflow["permissions"] == {"contents": "read"}
    used = [step["uses"] for step in workflow["jobs"]["release"]["steps"] if "uses" in step]
    assert all("@v" in action for action in used)
