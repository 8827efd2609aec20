"""The folder that bundles are served from: what is in use there, and putting another version beside it.

MODELS_DIR/NAME/VERSION/ is a bundle and MODELS_DIR/NAME/deployment.json says which versions are in use
(contract/deployment.py). A folder NAME that is itself a bundle serves that one.
"""

from datetime import datetime
from pathlib import Path
from typing import Literal

from contract.bundle import MANIFEST_FILE, Manifest
from contract.deployment import Deployment
from model_folder.folder import ModelFolder, ModelFolderError
from training.bundle import read_manifest


def read_deployment(models_dir: Path, name: str) -> Deployment | None:
    """Which versions are in use; None where no file says so.

    Raises:
        ModelFolderError: The file is none of that kind, or another model's.
    """
    return ModelFolder(models_dir / name, name).deployment()


def champion_in_use(models_dir: Path, name: str) -> str | None:
    """The version that gives the verdicts, or None where the model is new.

    Raises:
        ModelFolderError: The deployment cannot be read.
        training.bundle.BundleError: The bundle is not whole.
    """
    deployment = read_deployment(models_dir, name)
    if deployment is not None:
        return deployment.champion
    folder = models_dir / name
    return read_manifest(folder).version if (folder / MANIFEST_FILE).is_file() else None


def bundle_folder(models_dir: Path, name: str, version: str) -> Path:
    """Where a version lies.

    Raises:
        ModelFolderError: Nowhere.
        training.bundle.BundleError: The bundle is not whole.
    """
    folder = models_dir / name / version
    if (folder / MANIFEST_FILE).is_file():
        return folder
    flat = models_dir / name
    if (flat / MANIFEST_FILE).is_file() and read_manifest(flat).version == version:
        return flat
    raise ModelFolderError(f"{folder}: holds no bundle; version {version} of {name} is not there")


def versions_there(models_dir: Path, name: str) -> set[str]:
    """Every version that lies there, in use or not.

    Raises:
        training.bundle.BundleError: The bundle of a flat folder is not whole.
    """
    folder = ModelFolder(models_dir / name, name)
    found = {path.name for path in folder.bundles() if path != folder.path}
    return found | ({read_manifest(folder.path).version} if folder.is_one_bundle else set())


def deploy(
    models_dir: Path,
    bundle: Path,
    role: Literal["challenger", "champion"],
    *,
    measured_against: str | None,
    at: datetime,
    why: str,
) -> Deployment:
    """Copy a bundle beside the others, then say in one rename what it is.

    The first bundle of a model is its champion, whatever the role.

    Args:
        models_dir: Where bundles are served from.
        bundle: The folder of the bundle.
        role: What it shall be.
        measured_against: The champion that it was found better than; None where there was none.
        at: The present.
        why: For people.

    Raises:
        ModelFolderError: Another version has become champion since, or other files lie there under this version.
        training.bundle.BundleError: A bundle is not whole.
    """
    manifest = read_manifest(bundle)
    folder = ModelFolder(models_dir / manifest.name, manifest.name)
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.locked():
        return _deploy(models_dir, folder, bundle, manifest, role, measured_against, at, why)


def _deploy(
    models_dir: Path,
    folder: ModelFolder,
    bundle: Path,
    manifest: Manifest,
    role: Literal["challenger", "champion"],
    measured_against: str | None,
    at: datetime,
    why: str,
) -> Deployment:
    name, version = manifest.name, manifest.version
    champion = champion_in_use(models_dir, name)
    if champion not in {measured_against, version}:
        raise ModelFolderError(
            f"{models_dir / name}: the champion is {champion or 'none'} now; {version} was measured against "
            f"{measured_against or 'none'}. Start a new run"
        )
    deployment = folder.deployment()
    if deployment is None and champion is not None:
        deployment = folder.begin_versions(
            read_manifest(folder.path), at=at, why="was in use before there were versions"
        )
    folder.put(bundle, manifest)
    if deployment is None:
        changed = Deployment.first(name, version, at=at, why=why)
    elif role == "champion" or version == deployment.champion:
        changed = deployment.promoted(version, at=at, why=why)
    else:
        changed = deployment.shadowed(version, at=at, why=why)
    folder.replace(changed)
    return changed
