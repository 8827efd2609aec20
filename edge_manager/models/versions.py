"""The versions of a model on a device, and the switch between them (contract/deployment.py says how they lie there).

Signatures are not looked at here: the scoring service does that itself, before it parses anything, and keeps the
version that it has when another is not as it should be.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from contract.bundle import MANIFEST_FILE, SIGNATURE_FILE, Manifest
from contract.deployment import Deployment
from model_folder.folder import ModelFolder, ModelFolderError


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
        self._folder = ModelFolder(models_dir / name, name)
        self._path = models_dir / name
        self._name = name
        self._clock = clock

    @staticmethod
    def name_of(bundle: Path) -> str:
        """The model that a bundle is of.

        Raises:
            ModelFolderError: It is no bundle.
        """
        return _manifest(bundle).name

    def deployment(self) -> Deployment | None:
        """Which versions are in use; None while nothing was ever deployed.

        Raises:
            ModelFolderError: The file is none of this model.
        """
        return self._folder.deployment()

    def versions(self) -> list[Version]:
        """Every version, sorted by name; of a folder that is itself a bundle, that one.

        Raises:
            ModelFolderError: There is no such model, or a version's manifest cannot be read.
        """
        self._must_be_there()
        return [
            Version(_manifest(folder), (folder / SIGNATURE_FILE).is_file())
            for folder in self._folder.bundles()
        ]

    def add(self, bundle: Path) -> Version:
        """Copy a bundle onto the device; it is not used yet. Adding the same one again changes nothing.

        Raises:
            ModelFolderError: It is no bundle of this model, damaged, or another one of the same version is there.
            OSError: The folder cannot be written.
        """
        manifest = read_whole(bundle)
        if manifest.name != self._name:
            raise ModelFolderError(f"{bundle}: is of model {manifest.name}, expected {self._name}")
        self._path.mkdir(parents=True, exist_ok=True)
        with self._folder.locked():
            self._begin_versions()
            self._folder.put(bundle, manifest)
            return Version(manifest, (self._path / manifest.version / SIGNATURE_FILE).is_file())

    def use(self, version: str, why: str) -> Deployment:
        """Make a version the champion, by one rename.

        Raises:
            ModelFolderError: There is no such version.
            OSError: The folder cannot be written.
        """

        def change(before: Deployment | None, at: datetime) -> Deployment:
            if before is None:
                return Deployment.first(self._name, version, at=at, why=why)
            return before.promoted(version, at=at, why=why)

        return self._change(version, change)

    def shadow(self, version: str | None, why: str) -> Deployment:
        """Score a version beside the champion; None ends that.

        Raises:
            ModelFolderError: There is no such version, or no champion.
            contract.deployment.NotDeployed: It is the champion.
            OSError: The folder cannot be written.
        """
        return self._change(version, lambda before, at: self._some(before).shadowed(version, at=at, why=why))

    def roll_back(self, why: str) -> Deployment:
        """Make the champion before the champion again.

        Raises:
            ModelFolderError: Nothing was ever deployed.
            contract.deployment.NotDeployed: There was none before.
            OSError: The folder cannot be written.
        """
        return self._change(None, lambda before, at: self._some(before).rolled_back(at=at, why=why))

    def _change(
        self, version: str | None, change: Callable[[Deployment | None, datetime], Deployment]
    ) -> Deployment:
        self._must_be_there()
        with self._folder.locked():
            self._begin_versions()
            known = {each.manifest.version for each in self.versions()}
            if version is not None and version not in known:
                raise ModelFolderError(
                    f"model {self._name} has no version {version} on this device; "
                    f"it has {', '.join(sorted(known)) or 'none'}"
                )
            before = self.deployment()
            after = change(before, self._clock())
            if after != before:
                self._folder.replace(after)
            return after

    def _begin_versions(self) -> None:
        if self._folder.is_one_bundle and self.deployment() is None:
            self._folder.begin_versions(
                read_whole(self._path), at=self._clock(), why="it came with the device"
            )

    def _must_be_there(self) -> None:
        if not self._path.is_dir():
            raise ModelFolderError(f"{self._path}: there is no model {self._name} on this device")

    def _some(self, deployment: Deployment | None) -> Deployment:
        if deployment is None:
            raise ModelFolderError(
                f"model {self._name} was never deployed here; `fanwatch model use` deploys a version"
            )
        return deployment


def read_whole(folder: Path) -> Manifest:
    """The manifest of a bundle whose every file is the one described.

    Raises:
        ModelFolderError: It is no bundle, or damaged.
    """
    manifest = _manifest(folder)
    for file, expected in manifest.files.items():
        try:
            with (folder / file).open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise ModelFolderError(f"{folder / file}: cannot be read: {error.strerror}") from error
        if found != expected:
            raise ModelFolderError(
                f"{folder / file}: is damaged: its SHA-256 is {found}, the manifest says {expected}"
            )
    return manifest


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST_FILE
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ModelFolderError(
            f"{path}: cannot be read: {error.strerror}; expected the folder of a bundle"
        ) from error
    except ValidationError as error:
        raise ModelFolderError(f"{path}: is no manifest: {error.errors()[0]['msg']}") from error
