"""The demo itself, run as people run it: it stops by itself or when told, and leaves nothing running."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from demo.ports import LOOPBACK
from testbed.process import SERVERS
from testbed.waiting import wait_until

FIGURES = ["published", "scored", "rejected", "missing", "accuracy", "p50_ms", "p99_ms", "first_verdict_s"]
ENDS_WITHIN_S = 90
MARK = "DEMO_TEST_RUN"


class DemoRun:
    """One run; every process of it carries a mark in its environment, so that what is left can be found."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._mark = secrets.token_hex(8)
        self.folder = folder
        # Mosquitto is installed when the tests run: the one that they have built.
        path = os.pathsep.join([str(SERVERS / "bin"), os.environ.get("PATH", os.defpath)])
        self.process = subprocess.Popen(
            # As from a terminal: a shell starts what it puts into the background, as these tests, with SIGINT ignored.
            ["env", "--default-signal=INT", sys.executable, "-m", "demo", "--folder", str(folder), *options],
            env=os.environ | {MARK: self._mark, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def await_line(self, part: str) -> str:
        """Read on until a line has that part in it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if part in line:
                return line
        raise AssertionError(f"the demo ended without a line with {part!r}: {self.process.stderr}")

    def finish(self) -> tuple[int, list[str], str]:
        """Await its end: exit code, the rest of its lines, and what it complained of."""
        output, errors = self.process.communicate(timeout=ENDS_WITHIN_S)
        return self.process.returncode, output.splitlines(), errors

    def processes(self) -> list[psutil.Process]:
        """Whatever of this run is running."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def service(self, module: str) -> psutil.Process:
        """The process of a service, by its module (and not honcho's process that watches it)."""
        return next(process for process in self.processes() if process.cmdline()[1:3] == ["-m", module])

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == self._mark
        except psutil.Error:
            return False


@pytest.fixture
def runs() -> Iterator[list[DemoRun]]:
    started: list[DemoRun] = []
    yield started
    for run in started:
        for process in run.processes():
            process.kill()
        run.process.wait()


def started(runs: list[DemoRun], folder: Path, *options: str) -> DemoRun:
    run = DemoRun(folder, *options)
    runs.append(run)
    return run


@pytest.mark.parametrize("broker", ["mosquitto", "embedded"])
def test_a_demo_with_a_duration_stops_by_itself_and_its_last_line_has_the_figures(
    runs: list[DemoRun], tmp_path: Path, broker: str
) -> None:
    run = started(runs, tmp_path, "--duration", "20", "--broker", broker)
    code, lines, errors = run.finish()
    assert code == 0, errors
    figures = json.loads(lines[-1])
    assert list(figures) == FIGURES
    assert figures["scored"] > 0
    assert figures["missing"] == figures["rejected"] == 0
    assert figures["published"] == figures["scored"]
    assert figures["accuracy"] > 0.9
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    assert figures["first_verdict_s"] > 0
    assert any(line.startswith("Live page:  http://127.0.0.1:") for line in lines)
    status = [line for line in lines if " s  " in line]
    assert len(status) >= 15
    assert not run.processes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_still_gives_the_figures(
    runs: list[DemoRun], tmp_path: Path, number: signal.Signals
) -> None:
    run = started(runs, tmp_path)
    run.await_line("verdicts,")
    assert len(run.processes()) >= 7
    run.process.send_signal(number)
    code, lines, errors = run.finish()
    assert code == 0, errors
    assert json.loads(lines[-1])["scored"] > 0
    assert not run.processes()


@pytest.mark.parametrize("tries", range(4))
def test_a_signal_while_it_starts_leaves_nothing_either(
    runs: list[DemoRun], tmp_path: Path, tries: int
) -> None:
    run = started(runs, tmp_path)
    run.await_line("Stop with Ctrl-C")
    # At once, and when one, two or three parts have been started; to the whole group, as a terminal does.
    wait_until(lambda: len(run.processes()) > 2 * tries, within_s=20, what="some parts")
    os.killpg(run.process.pid, signal.SIGINT)
    code, _, errors = run.finish()
    assert code == 0, errors
    assert "Traceback" not in errors
    assert not run.processes()


def test_when_one_service_dies_everything_stops_and_its_name_is_said(
    runs: list[DemoRun], tmp_path: Path
) -> None:
    run = started(runs, tmp_path, "--duration", "60")
    run.await_line("verdicts,")
    run.service("predictor").kill()
    code, lines, errors = run.finish()
    assert code != 0
    assert "predictor stopped by itself" in errors
    assert list(json.loads(lines[-1])) == FIGURES
    assert not run.processes()


def test_a_taken_port_is_said_and_the_next_one_used(runs: list[DemoRun], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((LOOPBACK, 8080))
            taken.listen()
        except OSError:
            pass  # somebody else has it: as good
        run = started(runs, tmp_path)
        assert "Port 8080 is taken, so page is on " in run.await_line("Port 8080")
        page = run.await_line("Live page").split()[-1]
        assert not page.endswith(":8080")
        run.process.send_signal(signal.SIGINT)
        assert run.finish()[0] == 0


def test_a_second_demo_in_the_same_folder_gets_a_sentence(runs: list[DemoRun], tmp_path: Path) -> None:
    first = started(runs, tmp_path)
    first.await_line("Live page")
    code, _, errors = started(runs, tmp_path).finish()
    assert code == 2
    assert "a demo is running already" in errors
    first.process.send_signal(signal.SIGINT)
    assert first.finish()[0] == 0


def test_one_command_breaks_a_fan_of_the_running_demo(runs: list[DemoRun], tmp_path: Path) -> None:
    run = started(runs, tmp_path)
    order = run.await_line("Break another")
    run.await_line("broken: fan 5")
    words = order.split(": ", 1)[1].split(". Stop", maxsplit=1)[0]
    subprocess.run(["/bin/sh", "-c", words], check=True, timeout=30, env=os.environ)
    wait_until(lambda: "broken: fan 3, 5" in run.await_line(" s  "), within_s=20, what="fan 3 to break")
    run.process.send_signal(signal.SIGINT)
    assert run.finish()[0] == 0
    assert not run.processes()
