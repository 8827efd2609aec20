"""What lies in the volumes of a site, read and written by a container that sees them all and has no network.

`python -m edge_manager.backup.places collect` writes them to standard output as a tar stream while their owners run,
`place` takes one from standard input, `held` says which are not empty, `clear` empties them.

A SQLite database is copied by SQLite's own backup (https://sqlite.org/backup.html), so that what is copied is one
committed state, whatever its owner writes meanwhile; its journal files are part of that and not copied. Everything else
is written once and renamed, so that a file is whole whenever it is read.
"""

import json
import os
import shutil
import sqlite3
import sys
import tarfile
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Annotated, NoReturn

import typer

__all__ = ["FIRST", "NOT_COPIED", "PlaceError", "clear", "collect", "held", "place"]

FIRST = "mosquitto"
"""Copied before all else: a reading that was acknowledged before the backup is in the broker's queue here, or was given
to Telegraf before, and then it is in InfluxDB's part, which is made last."""
NOT_COPIED = ("influxdb",)
"""Only emptied, and given back to its owner: a running InfluxDB is asked for its backup."""
_SCRATCH = ".fanwatch-snapshot"
_TEMPORARY = (".new-", ".adding-", ".deployment-", _SCRATCH)
_JOURNALS = ("-wal", "-shm", "-journal")
_MAGIC = b"SQLite format 3\0"
_ROOM_LEFT = 0.10
"""The broker ends itself where less than 5 % is free (mosquitto/healthcheck.sh): a copy never comes near that."""

Owner = Callable[[Path, int, int], None]


class PlaceError(RuntimeError):
    """What is there cannot be copied, or what is given cannot be placed; says why."""


def held(root: Path) -> list[str]:
    """The places that are not empty."""
    return [name for name in _places(root) if any(True for _ in _files(root / name))]


def clear(root: Path) -> None:
    """Empties every place; the places stay, since they are mounts."""
    for name in _places(root):
        for entry in (root / name).iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def collect(root: Path, out: IO[bytes], say: Callable[[str], None] = lambda _: None) -> None:
    """Writes every place as a tar stream, the broker's first.

    Args:
        root: Holds a folder for each place.
        out: Where the stream goes.
        say: Told what is left out.

    Raises:
        PlaceError: A database cannot be copied, or there is no room for its copy.
    """
    names = _places(root)
    with tarfile.open(mode="w|", fileobj=out, format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(names, key=lambda each: (each != FIRST, each)):
            for path in [root / name] if name in NOT_COPIED else _tree(root / name, say):
                _add(archive, path, str(path.relative_to(root)), say)


def place(root: Path, stream: IO[bytes], own: Owner = os.chown) -> int:
    """Writes what a tar stream of collect() holds; how many files.

    Args:
        root: Holds an empty folder for each place.
        stream: The tar.
        own: Gives a file to its owner; os.chown, which needs root.

    Raises:
        PlaceError: A member is of no place here, or is neither folder nor file. The backup's own names were checked
            before; this is the last line.
    """
    known, placed = _places(root), 0
    with tarfile.open(mode="r|", fileobj=stream) as archive:
        for member in archive:
            target = _target(root, known, member)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            elif member.isreg():
                _write(target, archive.extractfile(member))
                placed += 1
            else:
                raise PlaceError(f"{member.name}: is neither a folder nor a file")
            own(target, member.uid, member.gid)
            target.chmod(member.mode & 0o777)
    return placed


def _target(root: Path, known: list[str], member: tarfile.TarInfo) -> Path:
    name = next((each for each in known if f"{member.name}/".startswith(f"{each}/")), None)
    if name is None:
        raise PlaceError(
            f"{member.name}: there is no such place on this machine; there are {', '.join(known)}"
        )
    rest, folder = member.name[len(name) + 1 :], (root / name).resolve()
    if not rest:
        return folder
    try:
        # The standard library's own filter: nothing absolute, no "..", no device, no link out of the folder.
        tarfile.data_filter(member.replace(name=rest), str(folder))
    except tarfile.FilterError as error:
        raise PlaceError(f"{member.name}: {error}") from error
    return folder / rest


def _places(root: Path) -> list[str]:
    """The mounts under the root: each folder, and below `secrets` one for each reader."""
    found = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and entry.name != "secrets")
    secrets = root / "secrets"
    if secrets.is_dir():
        found += sorted(f"secrets/{entry.name}" for entry in secrets.iterdir() if entry.is_dir())
    return found


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())


def _tree(folder: Path, say: Callable[[str], None]) -> Iterator[Path]:
    """A folder and everything in it that belongs to a backup, parents first."""
    yield folder
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(_TEMPORARY) or entry.name == "lost+found":
            continue
        if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
            say(f"left out: {entry} is neither a folder nor a file")
        elif entry.is_dir():
            yield from _tree(entry, say)
        elif not _is_journal(entry):
            yield entry


def _is_journal(path: Path) -> bool:
    return any(
        path.name.endswith(suffix) and _is_database(path.with_name(path.name.removesuffix(suffix)))
        for suffix in _JOURNALS
    )


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except FileNotFoundError:
        return False


def _add(archive: tarfile.TarFile, path: Path, name: str, say: Callable[[str], None]) -> None:
    try:
        if path.is_dir():
            archive.addfile(_described(archive, path, name))
        elif _is_database(path):
            with _snapshot(path) as copy:
                info = _described(archive, path, name)
                info.size = copy.stat().st_size
                with copy.open("rb") as content:
                    archive.addfile(info, content)
        else:
            with path.open("rb") as content:
                info = archive.gettarinfo(arcname=name, fileobj=content)
                archive.addfile(info, content)
    except FileNotFoundError:
        say(f"left out: {path} went away meanwhile")


def _described(archive: tarfile.TarFile, path: Path, name: str) -> tarfile.TarInfo:
    # Resolved, because a place itself may be a link where no container mounts it; below it links are left out.
    return archive.gettarinfo(str(path.resolve()), arcname=name)


@contextmanager
def _snapshot(database: Path) -> Iterator[Path]:
    """A copy of a database as its last commit left it, beside it, for as long as it is needed."""
    _need_room(database)
    copy = database.with_name(f"{_SCRATCH}-{database.name}")
    copy.unlink(missing_ok=True)
    try:
        source = f"file:{urllib.parse.quote(str(database))}?mode=rw"
        try:
            with (
                closing(sqlite3.connect(source, uri=True, timeout=30)) as live,
                closing(sqlite3.connect(copy)) as new,
            ):
                # All pages in one step: in several, each commit of the owner would start it again.
                live.backup(new, pages=-1)
                # One file, whatever the owner's mode: it makes its journal again when it opens it.
                new.execute("PRAGMA journal_mode=DELETE")
                [[verdict]] = new.execute("PRAGMA quick_check(1)").fetchall()
        except sqlite3.Error as error:
            raise PlaceError(f"{database}: cannot be copied: {error}") from error
        if verdict != "ok":
            raise PlaceError(f"{database}: is damaged: {verdict}")
        yield copy
    finally:
        for suffix in ("", *_JOURNALS):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)


def _need_room(database: Path) -> None:
    journal = database.with_name(f"{database.name}-wal")
    needed = database.stat().st_size + (journal.stat().st_size if journal.exists() else 0)
    disk = shutil.disk_usage(database.parent)
    if disk.free - needed < _ROOM_LEFT * disk.total:
        raise PlaceError(
            f"{database}: no room for a copy of {needed / 1e6:.0f} MB beside it: {disk.free / 1e6:.0f} MB are "
            "free, and a tenth of the disk has to stay so; make room"
        )


def _write(target: Path, content: IO[bytes] | None) -> None:
    assert content is not None  # noqa: S101 - a regular file has one
    target.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        shutil.copyfileobj(content, file, 1024 * 1024)
        file.flush()
        os.fsync(file.fileno())


app = typer.Typer(
    no_args_is_help=True,
    help="The volumes of a site; called by `fanwatch backup` and `fanwatch restore`.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
Root = Annotated[Path, typer.Option(envvar="FANWATCH_KEPT_ROOT", help="Holds a folder for each volume.")]
_ROOT = Path("/kept")


@app.command("collect")
def collect_command(root: Root = _ROOT) -> None:
    """Writes the volumes to standard output, as a tar stream."""
    try:
        collect(root, sys.stdout.buffer, lambda line: typer.echo(line, err=True))
    except (PlaceError, OSError) as error:
        _fail(error)


@app.command("place")
def place_command(
    root: Root = _ROOT,
    keep_owner: Annotated[
        bool, typer.Option("--keep-owner", help="Files stay this user's: for a site without containers.")
    ] = False,
) -> None:
    """Writes what standard input, a tar stream of `collect`, holds."""
    try:
        placed = place(root, sys.stdin.buffer, _nobody if keep_owner else os.chown)
    except (PlaceError, OSError, tarfile.TarError) as error:
        _fail(error)
    typer.echo(f"{placed} files", err=True)


@app.command("held")
def held_command(root: Root = _ROOT) -> None:
    """Says which volumes are not empty, as a JSON list."""
    typer.echo(json.dumps(held(root)))


@app.command("clear")
def clear_command(root: Root = _ROOT) -> None:
    """Empties the volumes."""
    try:
        clear(root)
    except OSError as error:
        _fail(error)


def _nobody(_path: Path, _uid: int, _gid: int) -> None:
    pass


def _fail(error: Exception) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
