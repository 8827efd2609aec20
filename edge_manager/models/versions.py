"""The versions of a model on a device, and the switch between them (contract/deployment.py says how they lie there).

Signatures are not looked at here: the scoring service does that itself, before it parses anything, and keeps the
version that it has when another is not as it should be.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fcntl import LOCK_EX, flock
from pathlib import Path

from pydantic import ValidationError

from contract.bundle import MANIFEST_FILE, SIGNATURE_FILE, Manifest
from contract.deployment import DEPLOYMENT_FILE, Deployment
from contract.timestamp import format_timestamp

_LOCK_FILE = ".deployment.lock"


class ModelError(ValueError):
    """What was asked of a model cannot be done; says why and what there is."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version that lies on the device."""

    manifest: Manifest
    is_signed: bool
    """Whether it has a signature; whose it is, the scoring service decides."""


class ModelVersions:
    """One model's folder, MODELS_DIR/NAME.

    Args:
        models_dir: Holds one folder a model.
        name: Of the model.
        clock: What the time is.
    """

    def __init__(
        self, models_dir: Path, name: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._folder = models_dir / name
        self._name = name
        self._clock = clock

    @staticmethod
    def name_of(bundle: Path) -> str:
        """The model that a bundle is of.

        Raises:
            ModelError: It is no bundle.
        """
        return _manifest(bundle).name

    def deployment(self) -> Deployment | None:
        """Which versions are in use; None while nothing was ever deployed.

        Raises:
            ModelError: The file is none of this model.
        """
        path = self._folder / DEPLOYMENT_FILE
        try:
            return Deployment.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise ModelError(f"{path}: does not say which version is in use: {error}") from error

    def versions(self) -> list[Version]:
        """Every version, sorted by name; of a folder that is itself a bundle, that one.

        Raises:
            ModelError: There is no such model, or a version's manifest cannot be read.
        """
        if not self._folder.is_dir():
            raise ModelError(f"{self._folder}: there is no model {self._name} on this device")
        folders = sorted(path.parent for path in self._folder.glob(f"*/{MANIFEST_FILE}"))
        if not folders and (self._folder / MANIFEST_FILE).is_file():
            folders = [self._folder]
        return [Version(_manifest(folder), (folder / SIGNATURE_FILE).is_file()) for folder in folders]

    def add(self, bundle: Path) -> Version:
        """Copy a bundle onto the device; it is not used yet. Adding the same one again changes nothing.

        Raises:
            ModelError: It is no bundle of this model, damaged, or another one of the same version is there.
            OSError: The folder cannot be written.
        """
        manifest = _whole(bundle)
        if manifest.name != self._name:
            raise ModelError(f"{bundle}: is of model {manifest.name}, expected {self._name}")
        with self._locked():
            self._move_single_bundle_aside()
            self._copy(bundle, manifest)
            return Version(manifest, (self._folder / manifest.version / SIGNATURE_FILE).is_file())

    def use(self, version: str, why: str) -> Deployment:
        """Make a version the champion, by one rename.

        Raises:
            ModelError: There is no such version.
            OSError: The folder cannot be written.
        """

        def change(before: Deployment | None, at: datetime) -> Deployment:
            if before is None:
                return Deployment(
                    model=self._name, champion=version, since=format_timestamp(at), why=why[:500]
                )
            return before.promoted(version, at=at, why=why)

        return self._change(version, change)

    def shadow(self, version: str | None, why: str) -> Deployment:
        """Score a version beside the champion; None ends that.

        Raises:
            ModelError: There is no such version, or no champion.
            contract.deployment.NotDeployed: It is the champion.
            OSError: The folder cannot be written.
        """
        return self._change(version, lambda before, at: self._some(before).shadowed(version, at=at, why=why))

    def roll_back(self, why: str) -> Deployment:
        """Make the champion before the champion again.

        Raises:
            ModelError: Nothing was ever deployed.
            contract.deployment.NotDeployed: There was none before.
            OSError: The folder cannot be written.
        """
        return self._change(None, lambda before, at: self._some(before).rolled_back(at=at, why=why))

    def _change(
        self, version: str | None, change: Callable[[Deployment | None, datetime], Deployment]
    ) -> Deployment:
        if not self._folder.is_dir():
            raise ModelError(f"{self._folder}: there is no model {self._name} on this device")
        with self._locked():
            self._move_single_bundle_aside()
            known = {each.manifest.version for each in self.versions()}
            if version is not None and version not in known:
                raise ModelError(
                    f"model {self._name} has no version {version} on this device; "
                    f"it has {', '.join(sorted(known)) or 'none'}"
                )
            before = self.deployment()
            after = change(before, self._clock())
            if after != before:
                _replace(self._folder / DEPLOYMENT_FILE, after)
            return after

    def _move_single_bundle_aside(self) -> None:
        """A folder that is itself a bundle becomes one with versions: that bundle, as the champion."""
        if self.deployment() is not None or not (self._folder / MANIFEST_FILE).is_file():
            return
        manifest = _whole(self._folder)
        self._copy(self._folder, manifest)
        at = format_timestamp(self._clock())
        first = Deployment(
            model=self._name, champion=manifest.version, since=at, why="it came with the device"
        )
        _replace(self._folder / DEPLOYMENT_FILE, first)

    def _copy(self, bundle: Path, manifest: Manifest) -> None:
        target = self._folder / manifest.version
        if target.exists():
            if _whole(target) != manifest:
                raise ModelError(
                    f"{target}: another bundle of version {manifest.version} is there already; "
                    "a version never changes: give the new one another"
                )
            return
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".adding-") as scratch:
            fresh = Path(scratch, "new")
            fresh.mkdir(mode=0o755)
            for file in (MANIFEST_FILE, SIGNATURE_FILE, *manifest.files):
                if (bundle / file).is_file():
                    shutil.copyfile(bundle / file, fresh / file)
            fresh.rename(target)

    def _some(self, deployment: Deployment | None) -> Deployment:
        if deployment is None:
            raise ModelError(
                f"model {self._name} was never deployed here; `fanwatch model use` deploys a version"
            )
        return deployment

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Nobody else changes the deployment meanwhile, the scoring service that goes back by itself included."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._folder / _LOCK_FILE, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            flock(lock, LOCK_EX)
            yield
        finally:
            os.close(lock)


def _whole(folder: Path) -> Manifest:
    """The manifest of a bundle whose every file is the one described."""
    manifest = _manifest(folder)
    for file, expected in manifest.files.items():
        try:
            with (folder / file).open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"{folder / file}: cannot be read: {error.strerror}") from error
        if found != expected:
            raise ModelError(
                f"{folder / file}: is damaged: its SHA-256 is {found}, the manifest says {expected}"
            )
    return manifest


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST_FILE
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read: {error.strerror}; expected the folder of a bundle"
        ) from error
    except ValidationError as error:
        raise ModelError(f"{path}: is no manifest: {error.errors()[0]['msg']}") from error


def _replace(path: Path, deployment: Deployment) -> None:
    descriptor, fresh = tempfile.mkstemp(prefix=".deployment-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(deployment.model_dump_json(indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).chmod(0o644)
        Path(fresh).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(fresh).unlink()
        raise
