"""The file: a tar archive of a manifest, its signature, then every file that the manifest names, in its order.

Plain formats, so that a careful person can check it without us: manifest.json lists each file with size and SHA-256,
and manifest.sig is an ECDSA signature over P-256 with SHA-256 of manifest.json (DER), by a key of
`fanwatch model keygen`.

    openssl dgst -sha256 -verify model-signing.pub -signature manifest.sig manifest.json

What comes is not believed: the signature is checked before the manifest is parsed, and every digest before anything is
written.
"""

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from contract.bundle import Sha256
from contract.timestamp import TimeStamp

__all__ = [
    "IMAGES",
    "MODELS",
    "SITE",
    "BundleError",
    "Entry",
    "SiteManifest",
    "check_bundle",
    "entry_of",
    "unpack_bundle",
    "write_bundle",
]

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
IMAGES = "images.tar"
SITE, MODELS = "site/", "models/"
_MOST_MANIFEST_BYTES = 4 * 1024**2
_MOST_SIGNATURE_BYTES = 1024
_BLOCK = 1 << 20


class BundleError(ValueError):
    """A bundle that is not what it must be, or cannot be made or used here; says what and what to do."""


class Entry(BaseModel):
    """One file of the bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Annotated[
        str, Field(max_length=1000, description="images.tar, site/... or models/NAME/VERSION/...")
    ]
    size: Annotated[int, Field(ge=0)]
    sha256: Sha256
    executable: bool = False

    @field_validator("path")
    @classmethod
    def _inside(cls, path: str) -> str:
        parts = path.split("/")
        if not path.isprintable() or "\\" in path or any(part in {"", ".", ".."} for part in parts):
            raise ValueError(f"path {path!r} leads out of the folder, or is none")
        if path != IMAGES and not path.startswith((SITE, MODELS)):
            raise ValueError(f"path {path!r} is none of a bundle")
        return path


class SiteManifest(BaseModel):
    """What a bundle says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    made_at: TimeStamp
    architecture: str = Field(description="Of the images, as Docker names it: amd64, arm64.")
    images: tuple[str, ...] = Field(description="Names of the images in images.tar.")
    files: tuple[Entry, ...] = Field(min_length=1)

    @field_validator("files")
    @classmethod
    def _no_path_twice(cls, files: tuple[Entry, ...]) -> tuple[Entry, ...]:
        paths = [entry.path for entry in files]
        # Neither the same file twice, nor one that another's folder would have to be.
        if len(set(paths)) != len(paths) or any(
            f"{one}/" == other[: len(one) + 1] for one in paths for other in paths
        ):
            raise ValueError("a path stands twice, or is a file and a folder")
        return files


def entry_of(path: str, file: Path) -> Entry:
    """Describes a file that is to go into a bundle."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    status = file.stat()
    return Entry(path=path, size=status.st_size, sha256=digest, executable=bool(status.st_mode & 0o100))


def write_bundle(
    out: IO[bytes],
    manifest: SiteManifest,
    sources: Mapping[str, Path],
    private_key: Path,
    password: bytes | None,
) -> None:
    """Writes a bundle.

    Args:
        out: Where to.
        manifest: What it says.
        sources: Where each of its paths lies now.
        private_key: PEM, on the curve P-256.
        password: Of that key.

    Raises:
        BundleError: The key cannot be used, or a file has changed since it was described.
    """
    text = manifest.model_dump_json(indent=1).encode()
    signature = _private_key(private_key, password).sign(text, ec.ECDSA(hashes.SHA256()))
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for name, content in ((MANIFEST, text), (SIGNATURE, signature)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for entry in manifest.files:
            member = tarfile.TarInfo(entry.path)
            member.size, member.mode = entry.size, 0o755 if entry.executable else 0o644
            with sources[entry.path].open("rb") as file:
                archive.addfile(member, _Checked(file, entry))


def check_bundle(file: Path, public_keys: Sequence[Path]) -> SiteManifest:
    """Checks the signature and every digest. Nothing is written.

    Raises:
        BundleError: Nobody we know has signed it, or it is not what was signed.
    """
    with _opened(file, public_keys) as (manifest, archive):
        for entry, content in _entries(manifest, archive):
            _copy(entry, content, lambda _block: None)
    return manifest


def unpack_bundle(file: Path, public_keys: Sequence[Path], folder: Path) -> SiteManifest:
    """Checks everything, then writes it into an empty folder, checking again what is written.

    Raises:
        BundleError: As check_bundle.
        OSError: The folder cannot be written.
    """
    before = check_bundle(file, public_keys)
    with _opened(file, public_keys) as (manifest, archive):
        if manifest != before:
            raise BundleError(f"{file}: was exchanged while it was read")
        for entry, content in _entries(manifest, archive):
            target = folder / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:
                _copy(entry, content, out.write)
            target.chmod(0o755 if entry.executable else 0o644)
    return manifest


@contextmanager
def _opened(file: Path, public_keys: Sequence[Path]) -> Iterator[tuple[SiteManifest, tarfile.TarFile]]:
    try:
        with file.open("rb") as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            text = _head(archive, MANIFEST, _MOST_MANIFEST_BYTES)
            _check_signature(file, text, _head(archive, SIGNATURE, _MOST_SIGNATURE_BYTES), public_keys)
            try:
                manifest = SiteManifest.model_validate_json(text)
            except ValidationError as error:
                why = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
                raise BundleError(f"{file}: {MANIFEST} is of another version of Fanwatch: {why}") from error
            yield manifest, archive
    except (tarfile.TarError, EOFError) as error:
        raise BundleError(f"{file}: is no bundle, or was cut off: {error}; copy it again") from error
    except FileNotFoundError as error:
        raise BundleError(f"{file}: is not there; `fanwatch bundle --out {file.name}` makes one") from error


def _head(archive: tarfile.TarFile, name: str, most: int) -> bytes:
    member = archive.next()
    content = archive.extractfile(member) if member is not None and member.isreg() else None
    if member is None or content is None or member.name != name or member.size > most:
        raise BundleError(
            f"is no bundle of Fanwatch: expected {name}, found {member.name if member else 'nothing'!r}"
        )
    return content.read()


def _entries(manifest: SiteManifest, archive: tarfile.TarFile) -> Iterator[tuple[Entry, IO[bytes]]]:
    """Each file with its content; exactly those that the manifest names, in its order."""
    for entry in manifest.files:
        member = archive.next()
        content = archive.extractfile(member) if member is not None and member.isreg() else None
        if member is None or content is None or member.name != entry.path or member.size != entry.size:
            found = "the end" if member is None else repr(member.name)
            raise BundleError(
                f"expected {entry.path} with {entry.size:,} bytes, found {found}: not what was signed"
            )
        yield entry, content
    more = archive.next()
    if more is not None:
        raise BundleError(f"holds {more.name!r} too, which nobody has signed")


def _copy(entry: Entry, content: IO[bytes], write: Callable[[bytes], object]) -> None:
    digest = hashlib.sha256()
    while block := content.read(_BLOCK):
        digest.update(block)
        write(block)
    if digest.hexdigest() != entry.sha256:
        raise BundleError(
            f"{entry.path} is damaged: its SHA-256 is not the one that was signed; copy the bundle again"
        )


def _check_signature(file: Path, text: bytes, signature: bytes, public_keys: Sequence[Path]) -> None:
    for path in public_keys:
        try:
            key = serialization.load_pem_public_key(path.read_bytes())
        except (OSError, ValueError) as error:
            raise BundleError(f"{path}: cannot be read as a public key in PEM: {error}") from error
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise BundleError(
                f"{path}: is no key of `fanwatch model keygen`: expected one on an elliptic curve"
            )
        try:
            key.verify(signature, text, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            continue
        return
    names = ", ".join(str(path) for path in public_keys) or "nobody"
    raise BundleError(f"{file}: is not signed by {names}; nothing of it was used")


def _private_key(path: Path, password: bytes | None) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password)
    except (OSError, ValueError, TypeError) as error:
        raise BundleError(
            f"{path}: cannot be used as a private key: {error}; `fanwatch model keygen` makes one"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BundleError(f"{path}: is no key of `fanwatch model keygen`: expected one on an elliptic curve")
    return key


class _Checked(io.RawIOBase):
    """A file that must still be what was described when it has been read to its end."""

    def __init__(self, file: IO[bytes], entry: Entry) -> None:
        self._file, self._entry, self._left = file, entry, entry.size
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self._digest.update(block)
        self._left -= len(block)
        if self._left <= 0 and (self._left < 0 or self._digest.hexdigest() != self._entry.sha256):
            raise BundleError(f"{self._entry.path} has changed while the bundle was made; make it again")
        return block
