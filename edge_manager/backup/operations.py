"""Making a backup of a running site, and bringing one back on an empty one."""

import io
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO

from contract.timestamp import format_timestamp
from edge_manager.backup.archive import FORMAT, About, ArchiveWriter, Manifest, unpack, verify
from edge_manager.backup.encryption import Passphrase, Recipients, opened, sealed
from edge_manager.backup.site_stack import DATABASE_BACKUP, DATABASE_RESTORE, SiteStack

__all__ = ["BackupError", "Opener", "back_up", "check", "restore"]

LEFT_OUT = {
    "logs": "they are the containers'; at most 30 MB each, and no service reads them",
    "InfluxDB's users": "setup makes them again from the secrets",
    "InfluxDB's other databases": "Fanwatch has one, fan",
    "images and the clone": "they are the release's: git, or `fanwatch bundle`",
}
_LAST_WORDS_S = 2.0
SITE, KEPT, DATABASE = "site", "kept", "influxdb"
"""The parts of a backup, in the order of its making: what is acknowledged before it begins is in the broker's queue in
KEPT, or had left it and is in DATABASE."""


class BackupError(RuntimeError):
    """A backup or a restore that could not be done; says why, and what state it left."""


@dataclass(frozen=True, slots=True)
class Opener:
    """What opens an encrypted backup, if anything."""

    key: Path | None = None
    passphrase: Passphrase | None = None

    def open(self, file: Path) -> AbstractContextManager[IO[bytes]]:
        """The plain content, as a stream."""
        return opened(file, self.key, self.passphrase)


def back_up(
    stack: SiteStack,
    out: Path,
    lock: Recipients | Passphrase | None,
    now: datetime,
    say: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """Writes everything that a site needs into one new file, while the site runs.

    The file appears when it is whole. Only its owner may read it.

    Args:
        stack: The site.
        out: The file; never an existing one.
        lock: For whom it is encrypted; None leaves it readable, passwords included.
        now: The time, for the record.
        say: Told of each step.

    Raises:
        BackupError: A part could not be had; nothing is left behind.
        edge_manager.backup.archive.ArchiveError: A part sent what does not belong into a backup.
        OSError: The file cannot be written.
    """
    if out.exists():
        raise BackupError(f"{out} is there already, and a backup never replaces another; give a new name")
    about = About(
        format=FORMAT,
        made_at=format_timestamp(now),
        fanwatch=version("fanwatch"),
        host=stack.host(),
        images=stack.images(),
        left_out=LEFT_OUT,
    )
    growing = out.with_name(f".{out.name}.part")
    growing.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with sealed(file, lock) as stream, ArchiveWriter(stream, about) as archive:
                manifest = _write(stack, archive, say)
            file.flush()
            os.fsync(file.fileno())
        os.link(growing, out)  # and not a rename, which would replace what somebody made meanwhile
    except FileExistsError as error:
        raise BackupError(f"{out} is there already, and a backup never replaces another") from error
    finally:
        growing.unlink(missing_ok=True)
    return manifest


def _write(stack: SiteStack, archive: ArchiveWriter, say: Callable[[str], None]) -> Manifest:
    for name, path in stack.site_files().items():
        if path.is_file():
            archive.add_bytes(f"{SITE}/{name}", path.read_bytes())
    for part, command, what in (
        (KEPT, stack.places("collect"), "the broker's queue, alarms, users, models, secrets, Grafana"),
        (DATABASE, stack.database(DATABASE_BACKUP), "the history in InfluxDB"),
    ):
        say(f"copying {what}")
        with _sender(command, stack.folder, what) as stream:
            archive.add_tar(part, stream)
    return archive.finish()


def check(file: Path, opener: Opener) -> Manifest:
    """Reads a whole backup; nothing is changed.

    Raises:
        edge_manager.backup.archive.ArchiveError: It is no backup, or is damaged.
        edge_manager.backup.encryption.LockError: It does not open.
        OSError: It cannot be read.
    """
    with opener.open(file) as stream:
        return verify(stream)


def restore(
    stack: SiteStack,
    file: Path,
    opener: Opener,
    *,
    overwrite: bool,
    say: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """Brings a site back: verifies the whole file, looks that nothing is in the way, and only then writes.

    Nothing runs when it is done.

    Args:
        stack: The site, empty.
        file: The backup.
        opener: What opens it.
        overwrite: Throws away what is there.
        say: Told of each step.

    Raises:
        BackupError: Data is there and overwrite is not given, or a part could not be brought back.
        edge_manager.backup.archive.ArchiveError: It is no backup, or is damaged; nothing was changed.
        edge_manager.backup.encryption.LockError: It does not open; nothing was changed.
        OSError: It cannot be read, or the site not written.
    """
    say("verifying the backup")
    manifest = check(file, opener)
    new_files = _bring_back_files(stack, file, opener, manifest, say)
    try:
        stack.prepare()
        in_the_way = _in_the_way(stack, overwrite=overwrite)
    except BaseException:
        for new in new_files:
            new.unlink(missing_ok=True)
        raise
    stack.stop()
    if in_the_way:
        say("throwing away what is there")
        _run(stack.places("clear"), stack.folder, "emptying the volumes")
    try:
        _bring_back(stack, file, opener, manifest, say)
    except BaseException as error:
        with suppress(Exception):
            stack.stop()
        if isinstance(error, KeyboardInterrupt):
            raise
        raise BackupError(
            f"{error}. The site is half restored: do not start it; repair the cause and restore again with "
            "--overwrite-existing-data"
        ) from error
    return manifest


def _in_the_way(stack: SiteStack, *, overwrite: bool) -> list[str]:
    """What would be overwritten.

    Raises:
        BackupError: There is something, and it may not be.
    """
    answer = _run(stack.places("held"), stack.folder, "looking for data")
    found = [str(name) for name in json.loads(answer)]
    running = [f"{name} runs" for name in stack.running()]
    in_the_way = [*found, *running]
    if in_the_way and not overwrite:
        raise BackupError(
            f"this site has data already ({', '.join(in_the_way)}), and nothing was changed. To throw it away for "
            "the backup's: the same command with --overwrite-existing-data"
        )
    return in_the_way


def _bring_back_files(
    stack: SiteStack, file: Path, opener: Opener, manifest: Manifest, say: Callable[[str], None]
) -> list[Path]:
    """Writes the files of the host that are not there, and returns them; one that is there is this machine's own."""
    content = io.BytesIO()

    @contextmanager
    def keep() -> Iterator[IO[bytes]]:
        yield content

    with opener.open(file) as stream:
        unpack(stream, manifest, {SITE: keep})
    content.seek(0)
    if not content.getbuffer().nbytes:
        return []
    written = []
    with tarfile.open(mode="r|", fileobj=content) as archive:
        for member in archive:
            taken = archive.extractfile(member)
            # Only where this machine's own stack says: a backup does not choose where to write.
            target = stack.site_files().get(member.name)
            if taken is None or target is None:
                continue
            if target.is_file():
                say(f"{target} stays as it is on this machine")
                continue
            target.write_bytes(taken.read())
            written.append(target)
    return written


def _bring_back(
    stack: SiteStack, file: Path, opener: Opener, manifest: Manifest, say: Callable[[str], None]
) -> None:
    @contextmanager
    def volumes() -> Iterator[IO[bytes]]:
        say("bringing back the volumes")
        with _taker(stack.places("place"), stack.folder, "the volumes") as stream:
            yield stream

    @contextmanager
    def database() -> Iterator[IO[bytes]]:
        say("bringing back the history in InfluxDB")
        stack.start_database()
        with _taker(stack.database(DATABASE_RESTORE), stack.folder, "the history in InfluxDB") as stream:
            yield stream

    with opener.open(file) as stream:
        unpack(stream, manifest, {KEPT: volumes, DATABASE: database})
    stack.stop()


@contextmanager
def _sender(command: list[str], folder: Path, what: str) -> Iterator[IO[bytes]]:
    """What a command writes, which has to end well."""
    with subprocess.Popen(  # noqa: S603 - a list
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        said = _Said(process)
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            yield process.stdout
        except ValueError as error:
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
def _taker(command: list[str], folder: Path, what: str) -> Iterator[IO[bytes]]:
    """What a command reads, which has to end well."""
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


def _run(command: list[str], folder: Path, what: str) -> str:
    ended = subprocess.run(  # noqa: S603 - a list
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise BackupError(f"{what} failed: {(ended.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    return ended.stdout
