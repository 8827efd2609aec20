"""Programs that send what a backup is made of, or take what it holds: whole, or an error with their own words."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from edge_manager.backup.archive import ArchiveError
from edge_manager.device.docker import SiteError

__all__ = ["BackupError", "run", "sender", "taker"]

_LAST_WORDS_S = 2.0


class BackupError(SiteError):
    """A backup or a restore that could not be done; says why, and what state it left."""


@contextmanager
def sender(command: list[str], folder: Path, what: str) -> Iterator[IO[bytes]]:
    """What a command writes while it runs, which has to end well.

    Raises:
        BackupError: It did not.
    """
    with subprocess.Popen(  # noqa: S603 - a list
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        said = _Said(process)
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            yield process.stdout
        except ArchiveError as error:
            # Its own words, when it failed, say more than that its stream was cut short.
            try:
                failed = process.wait(_LAST_WORDS_S) != 0
            except subprocess.TimeoutExpired:
                failed = False  # it goes on, so what it sent is the mistake
                process.kill()
            if failed:
                raise BackupError(f"{what} could not be copied: {said.end()}") from error
            raise
        except BaseException:
            process.kill()
            raise
        while process.stdout.read(1024 * 1024):
            pass
        if process.wait():
            raise BackupError(f"{what} could not be copied: {said.end()}")


@contextmanager
def taker(command: list[str], folder: Path, what: str) -> Iterator[IO[bytes]]:
    """What a command reads while it runs, which has to end well.

    Raises:
        BackupError: It did not.
    """
    with subprocess.Popen(  # noqa: S603 - a list
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        said = _Said(process)
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for
        try:
            yield process.stdin
            process.stdin.close()
        except BrokenPipeError as error:
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()
            raise BackupError(f"{what} could not be brought back: {said.end()}") from error
        except BaseException:
            # What was sent is not whole: it must not be taken for that.
            process.kill()
            raise
        if process.wait():
            raise BackupError(f"{what} could not be brought back: {said.end()}")


class _Said:
    """What a process writes to standard error, read while it runs so that it is never held up."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._lines: list[str] = []
        self._stream = process.stderr
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._stream is not None  # noqa: S101 - a pipe was asked for
        for line in self._stream:
            self._lines = [*self._lines, line.decode(errors="replace").strip()][-20:]

    def end(self) -> str:
        """Its last line that is not empty."""
        self._thread.join(5)
        return next(
            (line.removeprefix("error: ") for line in reversed(self._lines) if line), "it said nothing"
        )


def run(command: list[str], folder: Path, what: str) -> str:
    """What a command writes, which has to end well.

    Raises:
        BackupError: It did not.
    """
    ended = subprocess.run(  # noqa: S603 - a list
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        said = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise BackupError(f"{what} failed: {said.removeprefix('error: ')}")
    return ended.stdout
