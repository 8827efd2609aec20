"""The file that a backup is: an ordinary tar, so that it can be read without us.

Its members, in this order: ``about.json``, then the files of each part under the part's name (``kept/monitor/...``),
and last ``manifest.json`` with the size and SHA-256 of each of them. The manifest is last because everything is
written in one stream, never twice and never to another file in between: a backup holds secrets. Who reads one goes
through it once to verify it, before anything is changed, and a second time to use it.

Only folders and regular files are in it. A name that leads anywhere else is refused, whoever wrote it there.
"""

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import PurePosixPath
from types import TracebackType
from typing import IO, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_manager.device.docker import SiteError

__all__ = ["FORMAT", "About", "ArchiveError", "ArchiveWriter", "Manifest", "checked_name", "unpack", "verify"]

FORMAT = 1
"""Of the archive. A later one is refused with the advice to use a newer Fanwatch."""
ABOUT = "about.json"
MANIFEST = "manifest.json"
_BLOCK = 1024 * 1024
_LONGEST_MANIFEST = 64 * 1024 * 1024

Sink = Callable[[], AbstractContextManager[IO[bytes]]]
"""Opens what takes one part, as a tar stream."""


class ArchiveError(SiteError):
    """A file that is no backup, or a damaged or hostile one; says what is wrong with it."""


class About(BaseModel):
    """What a backup is of."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: int
    made_at: str
    """RFC 3339."""
    fanwatch: str
    """The version of the package that made it."""
    host: str
    """The machine's name."""
    images: dict[str, str] = {}
    """The image of each service when it was made."""
    left_out: dict[str, str] = {}
    """What is not in it, and why."""


class Member(BaseModel):
    """One file of a backup."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int
    sha256: str


class Manifest(BaseModel):
    """What is in a backup: every file by its name, and what the backup is of."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    about: About
    files: dict[str, Member]

    def parts(self) -> list[str]:
        """The names of its parts."""
        return sorted({name.partition("/")[0] for name in self.files if name != ABOUT})

    def size(self) -> int:
        """The bytes of all files."""
        return sum(member.size for member in self.files.values())


class ArchiveWriter:
    """Writes one backup into a stream.

    Args:
        out: Where it goes; never sought in.
        about: What it is of.
    """

    def __init__(self, out: IO[bytes], about: About) -> None:
        self._tar = tarfile.open(mode="w|", fileobj=out, format=tarfile.PAX_FORMAT)  # noqa: SIM115 - finish() ends it
        self._about = about
        self._files: dict[str, Member] = {}
        self.add_bytes(ABOUT, about.model_dump_json(indent=2).encode())

    def add_bytes(self, name: str, content: bytes, mode: int = 0o600) -> None:
        """Adds one file.

        Raises:
            ArchiveError: Its name leads out of the archive.
        """
        info = tarfile.TarInfo(checked_name(name))
        info.size, info.mode = len(content), mode
        self._add(info, io.BytesIO(content))

    def add_tar(self, part: str, stream: IO[bytes]) -> int:
        """Adds every member of a tar stream under the name of a part; how many files.

        Raises:
            ArchiveError: The stream is no tar, or holds what is neither a folder nor a regular file.
        """
        before = len(self._files)
        with _sentences(f"what {part} sent"), tarfile.open(mode="r|", fileobj=stream) as source:
            for member in source:
                info = _plain(member)
                if info is None:
                    raise ArchiveError(f"{part}/{member.name}: is neither a folder nor a file")
                name = checked_name(member.name)
                info.name = part if name == "." else f"{part}/{name}"
                self._add(info, source.extractfile(member) if info.isreg() else None)
        return len(self._files) - before

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets go of the stream; without finish() what is there is no archive."""
        self._tar.__exit__(kind, error, trace)

    def finish(self) -> Manifest:
        """Writes the manifest and ends the archive."""
        manifest = Manifest(about=self._about, files=self._files)
        content = manifest.model_dump_json().encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode = len(content), 0o600
        self._tar.addfile(info, io.BytesIO(content))
        self._tar.close()
        return manifest

    def _add(self, info: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        if content is None:
            self._tar.addfile(info)
            return
        if info.name in self._files:
            raise ArchiveError(f"{info.name}: comes twice")
        counted = _Counted(content)
        self._tar.addfile(info, counted)
        self._files[info.name] = Member(size=counted.size, sha256=counted.sha256())


def checked_name(name: str) -> str:
    """A member's name as it may stand in an archive.

    Raises:
        ArchiveError: It is absolute, or leads out of the folder that it is unpacked into.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name or not name:
        raise ArchiveError(f"{name!r}: leads out of the archive")
    return str(path)


def verify(stream: IO[bytes]) -> Manifest:
    """Reads a whole backup and returns its manifest; nothing is written anywhere.

    Raises:
        ArchiveError: It is no backup, of a later format, damaged, cut short, or has a name that leads elsewhere.
    """
    found: dict[str, Member] = {}
    manifest: Manifest | None = None
    with _sentences("the backup"), tarfile.open(mode="r|", fileobj=stream) as archive:
        for member in archive:
            if manifest is not None:
                raise ArchiveError(f"{member.name}: stands behind the manifest, which is last in a backup")
            info = _plain(member)
            if info is None:
                raise ArchiveError(f"{member.name}: is neither a folder nor a file")
            name = checked_name(member.name)
            content = archive.extractfile(member)
            if content is None:
                continue
            if name == MANIFEST:
                manifest = _manifest(content, member.size)
                continue
            if name in found:
                raise ArchiveError(f"{name}: comes twice")
            found[name] = _digest(content)
            if name == ABOUT:
                continue
            if ABOUT not in found:
                raise ArchiveError(f"expected {ABOUT} first, found {name}: this is no backup of Fanwatch")
    if manifest is None:
        raise ArchiveError("it has no manifest: it was cut short, or is no backup of Fanwatch")
    _compare(manifest.files, found)
    return manifest


def unpack(stream: IO[bytes], manifest: Manifest, sinks: dict[str, Sink]) -> None:
    """Sends each part to who takes it, as a tar stream, checking every file once more on its way.

    A part without a sink is passed over. A sink is opened when its part begins and closed when it ends.

    Args:
        stream: The backup that verify() read, from its start.
        manifest: What verify() returned.
        sinks: Who takes each part.

    Raises:
        ArchiveError: It is not what was verified.
    """
    current, taker = "", None
    with (
        ExitStack() as open_now,
        _sentences("the backup"),
        tarfile.open(mode="r|", fileobj=stream) as archive,
    ):
        for member in archive:
            part, _, rest = checked_name(member.name).partition("/")
            if part != current:
                open_now.close()
                current, taker = part, None
                if part in sinks:
                    pipe = open_now.enter_context(sinks[part]())
                    taker = open_now.enter_context(
                        tarfile.open(mode="w|", fileobj=pipe, format=tarfile.PAX_FORMAT)
                    )
            info = _plain(member)
            if info is None:
                raise ArchiveError(f"{member.name}: is neither a folder nor a file")
            content = archive.extractfile(member)
            if taker is None:
                continue
            info.name = rest or "."
            if content is None:
                taker.addfile(info)
                continue
            counted = _Counted(content)
            taker.addfile(info, counted)
            if manifest.files.get(member.name) != Member(size=counted.size, sha256=counted.sha256()):
                raise ArchiveError(f"{member.name}: is not what it was a moment ago, when it was verified")


class _Counted(io.RawIOBase):
    """A file that is digested while somebody else reads it."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self._digest = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        block = self._content.read(size)
        self._digest.update(block)
        self.size += len(block)
        return block

    def sha256(self) -> str:
        return self._digest.hexdigest()


def _digest(content: IO[bytes]) -> Member:
    counted = _Counted(content)
    while counted.read(_BLOCK):
        pass
    return Member(size=counted.size, sha256=counted.sha256())


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The member's name, size, owner, mode and time, and nothing else; None when it is no folder and no file."""
    if not (member.isreg() or member.isdir()):
        return None
    info = tarfile.TarInfo(member.name)
    info.type = tarfile.DIRTYPE if member.isdir() else tarfile.REGTYPE
    info.size = 0 if member.isdir() else member.size
    info.mode, info.uid, info.gid, info.mtime = member.mode & 0o777, member.uid, member.gid, member.mtime
    return info


def _manifest(content: IO[bytes], size: int) -> Manifest:
    if size > _LONGEST_MANIFEST:
        raise ArchiveError(f"its manifest has {size} bytes; expected at most {_LONGEST_MANIFEST}")
    try:
        manifest = Manifest.model_validate_json(content.read())
    except ValidationError as error:
        raise ArchiveError(f"its manifest is none: {error.errors()[0]['msg']}") from error
    if manifest.about.format > FORMAT:
        raise ArchiveError(
            f"it has format {manifest.about.format}, made by Fanwatch {manifest.about.fanwatch}; this one reads up to "
            f"{FORMAT}: use that version, or a newer one"
        )
    return manifest


def _compare(told: dict[str, Member], found: dict[str, Member]) -> None:
    for name in sorted(told.keys() | found.keys()):
        if name not in found:
            raise ArchiveError(f"{name}: is missing, the manifest names it")
        if name not in told:
            raise ArchiveError(f"{name}: is not in the manifest")
        if told[name] != found[name]:
            raise ArchiveError(
                f"{name}: is damaged: it has {found[name].size} bytes with SHA-256 {found[name].sha256}, the manifest "
                f"says {told[name].size} with {told[name].sha256}"
            )


@contextmanager
def _sentences(what: str) -> Iterator[None]:
    """Tarfile's own errors as ours: tar says little, and a person needs to know which file is meant."""
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveError(f"{what} is cut short or no tar: {error}") from error
