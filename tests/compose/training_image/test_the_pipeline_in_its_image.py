"""training/Dockerfile is built, and the pipeline in it goes from readings to a signed bundle, as a job."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_folder.folder import ModelFolder
from testbed.containers import docker
from training.dataset import generate
from training.signing import generate_keys, verify_bundle

IMAGE = "fanwatch-test-training:1"
USER = 10001
NO_BETTER = 3


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    docker("build", "--quiet", "--file", "training/Dockerfile", "--tag", IMAGE, ".", timeout_s=2400)
    yield IMAGE
    docker("image", "rm", "--force", IMAGE)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The volume: readings, the key as a Secret of mode 0400 gives it, and a place for models."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "readings.csv").write_bytes(generate(4000, 3)[1])
    private, _ = generate_keys(folder / "keys")
    private.chmod(0o400)
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, USER, USER)
    return folder


def run(data: Path, *arguments: str) -> tuple[int, str]:
    """One container, hardened as a cluster would have it; exit code and output."""
    hardened = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    done = docker(
        "run",
        "--rm",
        "--network",
        "none",
        *hardened,
        "--volume",
        f"{data}:/data",
        IMAGE,
        *arguments,
        check=False,
        timeout_s=900,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(3000)
def test_readings_become_a_signed_model_and_the_same_again_is_no_better(image: str, data: Path) -> None:
    order = ("--data", "readings.csv", "--models", "models", "--as", "champion", "--epochs", "8")
    key = ("--key", "keys/model-signing.key")
    code, told = run(data, "run", "--run", "runs/one", *order, *key)
    assert code == 0, told
    deployment = ModelFolder(data / "models" / "fan", "fan").deployment()
    assert deployment is not None
    assert deployment.champion == "1"
    verify_bundle(data / "models" / "fan" / "1", data / "keys" / "model-signing.pub")
    code, told = run(data, "run", "--run", "runs/two", *order, *key)
    assert code == NO_BETTER, told
    code, told = run(data, "run", "--run", "runs/three", "--data", "none.csv")
    assert code == 1
    assert "none.csv: cannot be read" in told
    assert "Traceback" not in told
    assert docker("run", "--rm", "--entrypoint", "id", image, "-u").stdout.strip() == str(USER)
