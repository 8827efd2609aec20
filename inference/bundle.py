"""Reading a model bundle: nothing of it reaches a parser before signature and digests have been checked."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from contract.bundle import MANIFEST_FILE, SIGNATURE_FILE, Manifest
from inference.errors import ModelUnusable
from inference.signature import Signers

_MAX_MANIFEST_BYTES = 1024 * 1024
_MAX_FILE_BYTES = 1024**3
"""Read into memory as a whole; a model that an edge device serves is a thousandth of that."""


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes:
        manifest: What it says of itself.
        files: The content of each file, by name; the very bytes whose digest was checked, so that a file
            exchanged on disk afterwards changes nothing.
        is_signed: Whether one of our keys has signed it; false also where nobody looked.
    """

    manifest: Manifest
    files: Mapping[str, bytes]
    is_signed: bool = False


def read_bundle(folder: Path, name: str, signers: Signers | None) -> Bundle:
    """Read and verify a bundle.

    Args:
        folder: Holds it, and nothing else.
        name: Of the model.
        signers: Whose bundles are taken; None takes unsigned ones.

    Raises:
        ModelUnusable: The folder, the manifest or a file is missing, malformed, not the one that was packed, or not
            signed by anybody of ours.
    """
    signed = None if signers is None else _read_all(folder)
    if signers is not None and signed is not None:
        signers.check(folder, signed)
    content = _content(folder, MANIFEST_FILE, signed)
    manifest = _manifest(folder / MANIFEST_FILE, content)
    if manifest.name != name:
        raise ModelUnusable(f"{folder / MANIFEST_FILE}: is of model {manifest.name!r}, expected {name!r}")
    files = {file: _verified(folder, file, digest, signed) for file, digest in manifest.files.items()}
    return Bundle(manifest, MappingProxyType(files), is_signed=signed is not None)


def _read_all(folder: Path) -> dict[str, bytes]:
    """Every file of the folder. What begins with a dot is no part of a bundle; Kubernetes mounts have such."""
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise _unreadable(folder, error) from error
    return {name: _read(folder, name) for name in names}


def _content(folder: Path, file: str, signed: Mapping[str, bytes] | None) -> bytes:
    """Of a file: the bytes whose signature was checked, where one was."""
    if signed is None:
        return _read(folder, file)
    if file not in signed:
        raise ModelUnusable(f"{folder / file}: cannot be read: it is not there, or not signed")
    return signed[file]


def _manifest(path: Path, content: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors()[:5]
        )
        raise ModelUnusable(f"{path}: is no manifest: {problems}") from error


def _verified(folder: Path, file: str, expected: str, signed: Mapping[str, bytes] | None) -> bytes:
    content = _content(folder, file, signed)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ModelUnusable(
            f"{folder / file}: is damaged or not the file that was packed: its SHA-256 is {found}, "
            f"{MANIFEST_FILE} says {expected}; copy the bundle again"
        )
    return content


def _read(folder: Path, file: str) -> bytes:
    """Content of a regular file that lies in the folder, also after symbolic links are followed."""
    path = folder / file
    limit = _MAX_MANIFEST_BYTES if file in {MANIFEST_FILE, SIGNATURE_FILE} else _MAX_FILE_BYTES
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(folder.resolve(strict=True)):
            raise ModelUnusable(f"{path}: points outside of the bundle, to {real}")
        if not real.is_file():
            raise ModelUnusable(f"{path}: is not a regular file")
        if real.stat().st_size > limit:
            raise ModelUnusable(f"{path}: is larger than {limit} bytes")
        return real.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> ModelUnusable:
    return ModelUnusable(
        f"{path}: cannot be read: {error.strerror}; FANWATCH_MODELS_DIR and FANWATCH_MODEL_NAME "
        "name the folder of the bundle"
    )
