"""One real server as a process of this machine: started, stopped, killed, started again on the same port and data."""

import os
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from testbed.waiting import wait_until

REPOSITORY = Path(__file__).parents[1]
SERVERS = Path(os.environ.get("FANWATCH_SERVERS_DIR", REPOSITORY / ".cache" / "servers"))

START_WITHIN_S = 30
STOP_WITHIN_S = 20


def server_binary(name: str) -> Path:
    """The built server of that name.

    Raises:
        FileNotFoundError: It has not been built; with the command that does.
    """
    path = SERVERS / "bin" / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run testbed/install.sh")
    return path


def without_line(configuration: Path, line: str) -> str:
    """A shipped configuration with one setting taken out: the test of a setting shows what then goes wrong.

    Args:
        configuration: The shipped file.
        line: The setting as it stands there, without its indentation; taken out wherever it stands.

    Raises:
        ValueError: The line is not there.
    """
    lines = configuration.read_text().splitlines(keepends=True)
    kept = [kept for kept in lines if kept.strip() != line]
    if len(kept) == len(lines):
        raise ValueError(f"{configuration} has no line {line!r}")
    return "".join(kept)


def with_line(configuration: Path, old: str, new: str) -> str:
    """A shipped configuration with one setting changed, wherever it stands.

    Raises:
        ValueError: The old line is not there.
    """
    lines = configuration.read_text().splitlines(keepends=True)
    changed = [line.replace(old, new) if line.strip() == old else line for line in lines]
    if changed == lines:
        raise ValueError(f"{configuration} has no line {old!r}")
    return "".join(changed)


class ServerProcess(ABC):
    """What the servers have in common. A subclass gives the command and says when the server is ready.

    Args:
        name: Names the log file.
        folder: The server's own folder; it outlives the process, so that a restart finds its data.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.log_file = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def command(self) -> list[str]:
        """The command line of the server."""

    def environment(self) -> dict[str, str]:
        """What its environment has beyond that of the tests."""
        return {}

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the running server does its work."""

    def start(self, *, wait: bool = True) -> Self:
        """Starts it, and waits until it does its work unless told otherwise.

        Raises:
            RuntimeError: It ended instead; with the end of its log.
            TimeoutError: It is not ready in time.
        """
        assert self._process is None, f"{self.name} runs already"
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        # The server ends with the tests, however those end: setpriv becomes the server, so the pid is the server's.
        setpriv = shutil.which("setpriv")
        guard = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*guard, *self.command()],
                env=os.environ | self.environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, within_s: float = START_WITHIN_S) -> None:
        """Waits until it does its work."""
        wait_until(self._ready_or_dead, within_s=within_s, what=f"{self.name} to be ready\n{self.log()}")

    def stop(self) -> None:
        """Ends it as an operator does (SIGTERM)."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            self._process = None
            raise
        self._process = None

    def kill(self) -> None:
        """Ends it without warning (SIGKILL)."""
        process = self._running()
        process.kill()
        process.wait()
        self._process = None

    def restart(self, *, killed: bool = False) -> None:
        """Stops or kills it and starts it again on the same port and data."""
        if killed:
            self.kill()
        else:
            self.stop()
        self.start()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal: SIGHUP to reload, SIGSTOP and SIGCONT to freeze it and let it go on."""
        self._running().send_signal(number)

    @property
    def pid(self) -> int:
        """The running server's process id."""
        return self._running().pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def has_ended(self) -> bool:
        """Whether it was started and has ended by itself; wait_ended() takes note of that."""
        return self._process is not None and self._process.poll() is not None

    def wait_ended(self, within_s: float = START_WITHIN_S) -> int:
        """Waits until it ends by itself; its exit status."""
        status = self._running().wait(within_s)
        self._process = None
        return status

    def log(self, *, last: int = 4000) -> str:
        """The end of what this run has logged."""
        if not self.log_file.exists():
            return ""
        with self.log_file.open("rb") as file:
            file.seek(self._log_start)
            return file.read()[-last:].decode(errors="replace")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} does not run"
        return self._process

    def _ready_or_dead(self) -> bool:
        status = self._running().poll()
        if status is not None:
            self._process = None
            raise RuntimeError(f"{self.name} ended with {status} instead of starting:\n{self.log()}")
        return self.is_ready()
