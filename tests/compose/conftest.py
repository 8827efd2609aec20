"""What needs a Docker engine runs when it is named (make test-compose), and says so when it is not."""

from pathlib import Path

import pytest

_NEEDS_AN_ENGINE = {
    Path(__file__).parent / "engine": "make test-compose",
    Path(__file__).parent / "training_image": "make test-training-image",
}
_left_out = pytest.StashKey[set[Path]]()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path not in _NEEDS_AN_ENGINE:
        return None
    named = any(
        collection_path in (path, *path.parents)
        for path in (
            (config.invocation_params.dir / argument.split("::")[0]).resolve() for argument in config.args
        )
    )
    if not named:
        config.stash.setdefault(_left_out, set[Path]()).add(collection_path)
    return None if named else True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left_out: set[Path] = config.stash.get(_left_out, set())
    for folder in sorted(left_out):
        name = folder.relative_to(Path(__file__).parents[2])
        terminalreporter.write_line(f"{name} left out: it needs Docker, run {_NEEDS_AN_ENGINE[folder]}")
