"""The versions of one model on disk, and which of them are in use (contract/deployment.py says how they lie there)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from contract.deployment import DEPLOYMENT_FILE, Deployment
from inference.bundle import Bundle, read_bundle
from inference.errors import ModelUnusable
from inference.signature import Signers
from model_folder.folder import ModelFolder, ModelFolderError

Stamp = tuple[int, int]
"""Tells one deployment.json from the next: its inode and its time of change in ns."""

VerifiedVersions = Mapping[str | None, Bundle]
"""Bundles by version; None is the one that the folder itself is."""


@dataclass(frozen=True, slots=True)
class ModelStore:
    """One model's folder.

    Args:
        folder: Of the model: MODELS_DIR/NAME.
        name: Of the model.
        signers: Whose bundles are taken; None takes unsigned ones.
    """

    folder: Path
    name: str
    signers: Signers | None

    def stamp(self) -> Stamp | None:
        """What stands there now; None where there is no deployment."""
        try:
            found = (self.folder / DEPLOYMENT_FILE).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def deployment(self) -> Deployment | None:
        """Which versions are in use; None where the folder itself is the one bundle.

        Raises:
            ModelUnusable: The file cannot be read, or is none of this model.
        """
        try:
            return ModelFolder(self.folder, self.name).deployment()
        except ModelFolderError as error:
            raise ModelUnusable(str(error)) from error

    def bundle(self, version: str | None) -> Bundle:
        """The bundle of a version, verified; of the folder itself for None.

        Raises:
            ModelUnusable: It is missing, damaged, not signed, or of another version than its folder says.
        """
        folder = self.folder if version is None else self.folder / version
        bundle = read_bundle(folder, self.name, self.signers)
        if version not in {None, bundle.manifest.version}:
            raise ModelUnusable(f"{folder}: holds version {bundle.manifest.version}, expected {version}")
        return bundle

    def first(self) -> VerifiedVersions:
        """What a service that starts now would serve: the champion, or the one before where that is unusable.

        Raises:
            ModelUnusable: Neither can be served.
        """
        deployment = self.deployment()
        if deployment is None:
            return {None: self.bundle(None)}
        try:
            return {deployment.champion: self.bundle(deployment.champion)}
        except ModelUnusable:
            if deployment.previous is None:
                raise
            return {deployment.previous: self.bundle(deployment.previous)}

    def change(self, change: Callable[[Deployment], Deployment]) -> Deployment:
        """Replace the deployment by one rename, unless it is as it should be already.

        Args:
            change: Of what stands there now, which another process may have changed a moment ago.

        Raises:
            ModelUnusable: There is no deployment to change.
            OSError: The folder cannot be written.
            contract.deployment.NotDeployed: From ``change``.
        """
        folder = ModelFolder(self.folder, self.name)
        with folder.locked():
            before = self.deployment()
            if before is None:
                raise ModelUnusable(
                    f"{self.folder}: holds no {DEPLOYMENT_FILE}, so there is nothing to change"
                )
            after = change(before)
            if after != before:
                folder.replace(after)
            return after
