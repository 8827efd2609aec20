"""tests/compose/engine starts containers: it runs when it is named (make test-compose), and says so when it is not."""

from pathlib import Path

import pytest

_ENGINE = Path(__file__).parent / "engine"
_left_out = pytest.StashKey[bool]()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path != _ENGINE:
        return None
    named = any(
        _ENGINE in (path, *path.parents)
        for path in (
            (config.invocation_params.dir / argument.split("::")[0]).resolve() for argument in config.args
        )
    )
    config.stash[_left_out] = not named
    return None if named else True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash.get(_left_out, False):
        terminalreporter.write_line("tests/compose/engine left out: it needs Docker, run make test-compose")
