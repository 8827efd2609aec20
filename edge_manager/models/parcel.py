"""A bundle as one stream, for the way to another machine: a tar archive with its files, flat, and nothing else."""

import tarfile
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter, ValidationError

from contract.bundle import MANIFEST_FILE, SIGNATURE_FILE, FileName, Manifest
from edge_manager.models.source import MOST_BYTES
from model_folder.folder import ModelFolderError

__all__ = ["pack", "unpack"]

_FILE_NAME: TypeAdapter[str] = TypeAdapter(FileName)
_MOST_FILES = 100


def pack(bundle: Path, manifest: Manifest, stream: BinaryIO) -> None:
    """Writes a bundle's files.

    Args:
        bundle: Its folder.
        manifest: Its own.
        stream: Where to.
    """
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
        for name in (MANIFEST_FILE, SIGNATURE_FILE, *manifest.files):
            if (bundle / name).is_file():
                archive.add(bundle / name, name, filter=_anonymous)


def unpack(stream: BinaryIO, folder: Path) -> None:
    """Writes what comes into an empty folder. Nothing is written outside of it, and no more than a bundle may be large.

    Raises:
        ModelFolderError: It is no such archive, or holds something that no bundle has.
        OSError: The folder cannot be written.
    """
    left, files = MOST_BYTES, 0
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                try:
                    _FILE_NAME.validate_python(member.name)
                except ValidationError:
                    raise ModelFolderError(
                        f"the archive holds {member.name!r}, which no bundle has"
                    ) from None
                left, files = left - member.size, files + 1
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or left < 0 or files > _MOST_FILES:
                    raise ModelFolderError(
                        f"the archive holds {member.name!r}, which is no plain file or too much for a bundle"
                    )
                with (folder / member.name).open("xb") as file:
                    while block := content.read(1 << 20):
                        file.write(block)
    except (tarfile.TarError, EOFError) as error:
        raise ModelFolderError(f"what came is no archive of a bundle: {error}") from error
    except FileExistsError as error:
        raise ModelFolderError(f"the archive holds {Path(str(error.filename)).name!r} twice") from error


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member
