"""Keys, a registry, and the command as a person runs it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from inference_toolkit.command import app
from testbed.registry import Registry
from training.signing import generate_keys

Run = Callable[..., str]


@pytest.fixture
def run() -> Run:
    """Runs `fanwatch toolkit ...`; what it wrote. Another exit code than expected fails the test."""

    def run(*arguments: str | Path, code: int = 0) -> str:
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == code, f"{done.output}\n{done.exception!r}"
        return done.output

    return run


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Private and public."""
    return generate_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as server:
        yield server
