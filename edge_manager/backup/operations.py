"""Making a backup of a running site, and bringing one back on an empty one."""

import io
import json
import os
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
from edge_manager.backup.pipes import BackupError, run, sender, taker
from edge_manager.backup.site_files import bring_back, take_away
from edge_manager.backup.site_stack import DATABASE_BACKUP, DATABASE_RESTORE, SiteStack

__all__ = ["BackupError", "Opener", "back_up", "check", "restore"]

LEFT_OUT = {
    "logs": "they are the containers'; at most 30 MB each, and no service reads them",
    "InfluxDB's users": "setup makes them again from the secrets",
    "InfluxDB's other databases": "Fanwatch has one, fan",
    "images and the clone": "they are the release's: git, or `fanwatch bundle`",
}
SITE, KEPT, DATABASE = "site", "kept", "influxdb"
"""The parts of a backup, in the order of its making: what is acknowledged before it begins is in the broker's queue in
KEPT, or had left it and is in DATABASE."""


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
    for name, file in stack.site_files().items():
        if file.place.is_file():
            archive.add_bytes(f"{SITE}/{name}", file.place.read_bytes())
        elif file.named:
            say(f"left out: {file.place} is no file; {file.variable} names it")
    for part, command, what in (
        (KEPT, stack.places("collect"), "the broker's queue, alarms, users, models, secrets, Grafana"),
        (DATABASE, stack.database(DATABASE_BACKUP), "the history in InfluxDB"),
    ):
        say(f"copying {what}")
        with sender(command, stack.folder, what) as stream:
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
        edge_manager.device.docker.SiteError: Docker refused, or a file's place is taken; nothing was changed.
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
        take_away(new_files)
        raise
    stack.stop()
    try:
        if in_the_way:
            say("throwing away what is there")
            run(stack.places("clear"), stack.folder, "emptying the volumes")
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
    answer = run(stack.places("held"), stack.folder, "looking for data")
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
    """Writes the files of the host that are not there, and returns them."""
    content = io.BytesIO()

    @contextmanager
    def keep() -> Iterator[IO[bytes]]:
        yield content

    with opener.open(file) as stream:
        unpack(stream, manifest, {SITE: keep})
    content.seek(0)
    return bring_back(stack.site_files, content, say) if content.getbuffer().nbytes else []


def _bring_back(
    stack: SiteStack, file: Path, opener: Opener, manifest: Manifest, say: Callable[[str], None]
) -> None:
    @contextmanager
    def volumes() -> Iterator[IO[bytes]]:
        say("bringing back the volumes")
        with taker(stack.places("place"), stack.folder, "the volumes") as stream:
            yield stream

    @contextmanager
    def database() -> Iterator[IO[bytes]]:
        say("bringing back the history in InfluxDB")
        stack.start_database()
        with taker(stack.database(DATABASE_RESTORE), stack.folder, "the history in InfluxDB") as stream:
            yield stream

    with opener.open(file) as stream:
        unpack(stream, manifest, {KEPT: volumes, DATABASE: database})
    stack.stop()
