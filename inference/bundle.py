"""Reading a model bundle: nothing of it reaches a parser before its digest has been checked."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from contract.bundle import MANIFEST_FILE, Manifest

_MAX_MANIFEST_BYTES = 1024 * 1024


class ModelUnusable(Exception):  # noqa: N818 - it names the state
    """No model can be served: says which file or setting, what was found, what was expected."""


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes:
        manifest: What it says of itself.
        files: The content of each file, by name; the very bytes whose digest was checked, so that a file
            exchanged on disk afterwards changes nothing.
    """

    manifest: Manifest
    files: Mapping[str, bytes]


def read_bundle(models_dir: Path, name: str) -> Bundle:
    """Read and verify the bundle ``models_dir/name``.

    Raises:
        ModelUnusable: The folder, the manifest or a file is missing, malformed, or not the one that was packed.
    """
    folder = models_dir / name
    manifest = _read_manifest(folder)
    if manifest.name != name:
        raise ModelUnusable(f"{folder / MANIFEST_FILE}: is of model {manifest.name!r}, expected {name!r}")
    files = {file: _read_verified(folder, file, digest) for file, digest in manifest.files.items()}
    return Bundle(manifest, MappingProxyType(files))


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST_FILE
    content = _read(folder, MANIFEST_FILE, _MAX_MANIFEST_BYTES)
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors()[:5]
        )
        raise ModelUnusable(f"{path}: is no manifest: {problems}") from error


def _read_verified(folder: Path, file: str, expected: str) -> bytes:
    content = _read(folder, file)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ModelUnusable(
            f"{folder / file}: is damaged or not the file that was packed: its SHA-256 is {found}, "
            f"{MANIFEST_FILE} says {expected}; copy the bundle again"
        )
    return content


def _read(folder: Path, file: str, limit: int | None = None) -> bytes:
    """Content of a regular file that lies in the folder, also after symbolic links are followed."""
    path = folder / file
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(folder.resolve(strict=True)):
            raise ModelUnusable(f"{path}: points outside of the bundle, to {real}")
        if not real.is_file():
            raise ModelUnusable(f"{path}: is not a regular file")
        if limit is not None and real.stat().st_size > limit:
            raise ModelUnusable(f"{path}: is larger than {limit} bytes")
        return real.read_bytes()
    except OSError as error:
        raise ModelUnusable(
            f"{path}: cannot be read: {error.strerror}; FANWATCH_MODELS_DIR and FANWATCH_MODEL_NAME "
            "name the folder of the bundle"
        ) from error
