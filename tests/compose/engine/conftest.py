"""The stack in containers, started once. A missing Docker engine fails the run; it never passes by skipping."""

from collections.abc import Iterator

import pytest

from testbed.containers import PROJECT, Stack, docker

_report: list[str] = []


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    engine = docker("info", check=False, timeout_s=30)
    if engine.returncode:
        pytest.exit("test-compose needs a Docker engine and none answers: .ci/docker-engine.sh start", 1)
    stack = Stack()
    # What an interrupted run left.
    stack.down("--volumes")
    stack.compose("build", "--quiet", *stack.services, timeout_s=1200)
    try:
        stack.up()
        yield stack
    finally:
        stack.down("--volumes")
        # What an older build of ours left; the layers that the next build starts from stay.
        docker("image", "prune", "--force", "--filter", f"label=com.docker.compose.project={PROJECT}")


@pytest.fixture(scope="session")
def report() -> list[str]:
    """Lines that are printed at the end of the run: figures that are measured and not asserted."""
    return _report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _report:
        terminalreporter.section(f"measured in {PROJECT}")
        for line in _report:
            terminalreporter.write_line(line)
