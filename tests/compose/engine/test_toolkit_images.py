"""What `fanwatch toolkit build` makes: a small image that is not root, serves its one model, and takes no other."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import skops.io
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from inference_toolkit.command import app
from testbed.containers import BIND, ROOT, docker
from testbed.registry import Registry
from testbed.waiting import wait_until
from tests.inference_toolkit.example_models import learned_pump, trucks_project
from tests.inference_toolkit.projects import rows_and_faults, write_project
from training.signing import generate_keys, sign_bundle

PORT = 18000


def run(*arguments: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == code, f"{done.output}\n{done.exception!r}"
    return done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    generate_keys(folder / "keys")
    run("new", "pump", "--out", folder / "handler")
    rows, faults = rows_and_faults()
    model = skops.io.dumps(LogisticRegression(max_iter=1000).fit(rows, faults))
    write_project(folder / "onnx", "model.skops", model)
    return folder


def built(folder: Path, project: Path, tag: str) -> Iterator[str]:
    bundle = folder / f"bundle-{project.name}"
    run("pack", project, "--out", bundle, "--key", folder / "keys" / "model-signing.key")
    yield from image_of(folder, bundle, tag)


def image_of(folder: Path, bundle: Path, tag: str) -> Iterator[str]:
    run("build", bundle, "--public-key", folder / "keys" / "model-signing.pub", "--tag", tag)
    yield tag
    docker("image", "rm", "--force", tag)


@pytest.fixture(scope="module")
def litert(folder: Path) -> Iterator[str]:
    yield from built(folder, ROOT / "examples" / "fan", "fanwatch-test-fan:1")


@pytest.fixture(scope="module")
def onnx(folder: Path) -> Iterator[str]:
    yield from built(folder, folder / "onnx", "fanwatch-test-onnx:1")


@pytest.fixture(scope="module")
def handler(folder: Path) -> Iterator[str]:
    yield from built(folder, folder / "handler", "fanwatch-test-handler:1")


@pytest.fixture(scope="module")
def skab(folder: Path) -> Iterator[str]:
    learned_pump(folder)
    bundle = folder / "pump"
    sign_bundle(bundle, folder / "keys" / "model-signing.key")
    yield from image_of(folder, bundle, "fanwatch-test-skab:1")


@pytest.fixture(scope="module")
def aps(folder: Path) -> Iterator[str]:
    trucks_project(folder)
    yield from built(folder, folder / "aps", "fanwatch-test-aps:1")


@contextmanager
def container(image: str, *options: str) -> Iterator[str]:
    """The image as the command says to try it: its root file system read-only, no capability, nothing but its port."""
    hardened = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    name = docker(
        "run", "--detach", *hardened, "--publish", f"{BIND}:{PORT}:8000", *options, image
    ).stdout.strip()
    try:
        yield name
    finally:
        docker("rm", "--force", name)


def is_healthy(name: str) -> bool:
    state = json.loads(docker("inspect", "--format", "{{json .State}}", name).stdout)
    assert state["Running"], docker("logs", name).stdout
    return bool(state["Health"]["Status"] == "healthy")


def served_by(name: str, model: str) -> dict[str, Any]:
    wait_until(lambda: is_healthy(name), within_s=120, what=f"{name} to be healthy")
    answer: dict[str, Any] = requests.get(f"http://{BIND}:{PORT}/v2/models/{model}", timeout=20).json()
    return answer


@pytest.mark.parametrize(
    ("image", "model", "platform"),
    [
        ("litert", "fan", "litert"),
        ("onnx", "pump", "onnxruntime_onnx"),
        ("handler", "pump", "fanwatch_handler"),
        ("skab", "pump", "litert"),
        ("aps", "aps", "onnxruntime_onnx"),
    ],
)
def test_the_image_of_a_model_serves_it_and_is_not_root(
    image: str, model: str, platform: str, request: pytest.FixtureRequest, report: list[str]
) -> None:
    tag = request.getfixturevalue(image)
    with container(tag) as name:
        assert served_by(name, model)["platform"] == platform
        assert docker("exec", name, "id", "-u").stdout.strip() == "10001"
        found = docker("exec", name, "ls", "/app/models").stdout.split()
        assert sorted(found) == sorted([model, "model-signing.pub"])
    size = int(docker("image", "inspect", "--format", "{{.Size}}", tag).stdout)
    base = int(docker("image", "inspect", "--format", "{{.Size}}", "python:3.13-slim").stdout)
    report.append(
        f"image of a {image} model: {size / 1e6:.0f} MB, {(size - base) / 1e6:.0f} MB above its base"
    )


def test_an_image_holds_only_the_runtime_that_its_model_needs(litert: str, onnx: str, handler: str) -> None:
    names = ("onnxruntime", "sklearn", "tensorflow")
    program = f"import importlib.util as u; print(*[n for n in {names!r} if u.find_spec(n)])"
    for tag, expected in ((litert, ""), (handler, ""), (onnx, "onnxruntime")):
        told = docker("run", "--rm", "--entrypoint", "python", tag, "-c", program).stdout.strip()
        assert told == expected


def test_an_image_takes_no_bundle_that_another_key_signed(litert: str, folder: Path) -> None:
    generate_keys(folder / "stranger")
    bundle = folder / "strangers"
    run(
        "pack", ROOT / "examples" / "fan", "--out", bundle, "--key", folder / "stranger" / "model-signing.key"
    )
    with container(litert, "--volume", f"{bundle}:/app/models/fan:ro") as name:
        assert docker("wait", name).stdout.strip() == "1"
        assert "is not as /app/models/model-signing.pub signed it" in docker("logs", name).stdout


def test_an_image_goes_to_a_registry_and_comes_back(litert: str, tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as registry:
        sent = run("push", litert, f"{registry.host}/images/fan:1").strip()
        assert sent.startswith(f"{registry.host}/images/fan@sha256:")
        docker("image", "rm", "--force", f"{registry.host}/images/fan:1")
        docker("pull", "--quiet", sent)
        docker("image", "rm", "--force", sent)


def test_a_project_that_does_not_build_says_what_the_engine_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = folder / "bundle-again"
    run("pack", folder / "onnx", "--out", bundle, "--key", folder / "keys" / "model-signing.key")
    key = folder / "keys" / "model-signing.pub"
    assert "docker build failed" in run("build", bundle, "--public-key", key, "--tag", "Not A Tag", code=1)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert "docker is not installed" in run("build", bundle, "--public-key", key, "--tag", "pump:1", code=1)
