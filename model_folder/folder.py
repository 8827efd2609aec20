"""MODELS_DIR/NAME: contract/deployment.py says how versions and deployment lie there, this reads and changes them.

What a rename makes visible is on the disk before it (fsync of the file, then of its folder, as fsync(2) asks for): a
power cut leaves the deployment before or the one after, and no version that is half there.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from fcntl import LOCK_EX, flock
from pathlib import Path

from pydantic import ValidationError

from contract.bundle import MANIFEST_FILE, SIGNATURE_FILE, Manifest
from contract.deployment import DEPLOYMENT_FILE, Deployment

LOCK_FILE = ".deployment.lock"
_MAX_BYTES = 64 * 1024


class ModelFolderError(ValueError):
    """A folder of a model is not as it must be, or what was asked of it cannot be done; says what was found."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """The folder of one model.

    Args:
        path: MODELS_DIR/NAME.
        name: Of the model.
    """

    path: Path
    name: str

    def deployment(self) -> Deployment | None:
        """Which versions are in use; None where no file says so.

        Raises:
            ModelFolderError: The file cannot be read, or is none of this model.
        """
        path = self.path / DEPLOYMENT_FILE
        try:
            deployment = Deployment.model_validate_json(path.read_bytes()[:_MAX_BYTES])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ModelFolderError(f"{path}: cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise ModelFolderError(
                f"{path}: does not say which version to serve: {error.errors()[0]['msg']}"
            ) from error
        if deployment.model != self.name:
            raise ModelFolderError(f"{path}: is of model {deployment.model}, expected {self.name}")
        return deployment

    def bundles(self) -> list[Path]:
        """The folder of every version that lies there, sorted; the folder itself where it is the one bundle."""
        found = sorted(path.parent for path in self.path.glob(f"*/{MANIFEST_FILE}"))
        return found or ([self.path] if self.is_one_bundle else [])

    @property
    def is_one_bundle(self) -> bool:
        """Whether it is itself a bundle, as a device has it at first."""
        return (self.path / MANIFEST_FILE).is_file()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes it meanwhile, whichever process; the folder must be there.

        Raises:
            OSError: It cannot be written.
        """
        lock = os.open(self.path / LOCK_FILE, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            flock(lock, LOCK_EX)
            yield
        finally:
            os.close(lock)

    def replace(self, deployment: Deployment) -> None:
        """Say which versions are in use, by one rename; under the lock.

        Raises:
            OSError: The folder cannot be written.
        """
        descriptor, name = tempfile.mkstemp(prefix=".deployment-", dir=self.path)
        fresh = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(deployment.model_dump_json(indent=2) + "\n")
            fresh.chmod(0o644)  # the scoring service may be another user
            _sync(fresh)
            fresh.replace(self.path / DEPLOYMENT_FILE)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        _sync(self.path)

    def put(self, bundle: Path, manifest: Manifest) -> None:
        """Copy a bundle to its version's folder, where it appears whole or not at all; under the lock.

        The same one that is there already stays, with its signature: two signatures of one bundle always differ.

        Args:
            bundle: Its folder.
            manifest: Its own, by which every file was checked.

        Raises:
            ModelFolderError: Another bundle of this version is there.
            OSError: The folder cannot be written.
        """
        target = self.path / manifest.version
        files = [*manifest.files, MANIFEST_FILE]
        signed = (bundle / SIGNATURE_FILE).is_file()
        if target.exists():
            if any(_content(target / file) != _content(bundle / file) for file in files):
                raise ModelFolderError(
                    f"{target}: another bundle of version {manifest.version} is there already; "
                    "a version never changes: give the new one another"
                )
            if signed and not (target / SIGNATURE_FILE).exists():
                fresh_signature = self.path / f".{manifest.version}-{SIGNATURE_FILE}"
                _copy(bundle / SIGNATURE_FILE, fresh_signature)
                fresh_signature.replace(target / SIGNATURE_FILE)
                _sync(target)
            return
        with tempfile.TemporaryDirectory(dir=self.path, prefix=f".{manifest.version}-") as scratch:
            fresh = Path(scratch, "new")
            fresh.mkdir(mode=0o755)
            for file in [*files, SIGNATURE_FILE] if signed else files:
                _copy(bundle / file, fresh / file)
            _sync(fresh)
            fresh.rename(target)
        _sync(self.path)

    def begin_versions(self, manifest: Manifest, *, at: datetime, why: str) -> Deployment:
        """A folder that is itself a bundle becomes one of versions, that bundle the champion; under the lock.

        Args:
            manifest: The bundle's own, by which every file was checked.
            at: The present.
            why: For people.

        Raises:
            ModelFolderError: Another bundle of this version is there.
            OSError: The folder cannot be written.
        """
        self.put(self.path, manifest)  # copied before anything names it
        first = Deployment.first(self.name, manifest.version, at=at, why=why)
        self.replace(first)
        return first


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    _sync(target)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
