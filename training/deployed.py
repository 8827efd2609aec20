"""The folder that bundles are served from: what is in use there, and putting another version beside it.

MODELS_DIR/NAME/VERSION/ is a bundle and MODELS_DIR/NAME/deployment.json says which versions are in use
(contract/deployment.py). A folder NAME that is itself a bundle serves that one.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from contract.bundle import MANIFEST_FILE, SIGNATURE_FILE, Manifest
from contract.deployment import DEPLOYMENT_FILE, Deployment
from contract.timestamp import format_timestamp
from training.bundle import read_manifest

_LOCK_FILE = ".deployment.lock"
"""Who changes a deployment holds this: the scoring service when it rolls back, the device's own commands, and we."""


class NotDeployable(ValueError):  # noqa: N818 - it names the state
    """The folder of models is not as it must be; says what was found and what to do."""


def read_deployment(models_dir: Path, name: str) -> Deployment | None:
    """Which versions are in use; None where no file says so.

    Raises:
        NotDeployable: The file is none of that kind, or another model's.
    """
    path = models_dir / name / DEPLOYMENT_FILE
    try:
        deployment = Deployment.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotDeployable(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise NotDeployable(f"{path}: is no deployment: {error}") from error
    if deployment.model != name:
        raise NotDeployable(f"{path}: is of model {deployment.model}, expected {name}")
    return deployment


def champion_in_use(models_dir: Path, name: str) -> str | None:
    """The version that gives the verdicts, or None where the model is new.

    Raises:
        NotDeployable: The deployment cannot be read.
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
        NotDeployable: Nowhere.
        training.bundle.BundleError: The bundle is not whole.
    """
    folder = models_dir / name / version
    if (folder / MANIFEST_FILE).is_file():
        return folder
    flat = models_dir / name
    if (flat / MANIFEST_FILE).is_file() and read_manifest(flat).version == version:
        return flat
    raise NotDeployable(f"{folder}: holds no bundle; version {version} of {name} is not there")


def versions_there(models_dir: Path, name: str) -> set[str]:
    """Every version that lies there, in use or not.

    Raises:
        training.bundle.BundleError: The bundle of a flat folder is not whole.
    """
    folder = models_dir / name
    found = {path.parent.name for path in folder.glob(f"*/{MANIFEST_FILE}")}
    return found | ({read_manifest(folder).version} if (folder / MANIFEST_FILE).is_file() else set())


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
        NotDeployable: Another version has become champion since, or other files lie there under this version.
        training.bundle.BundleError: A bundle is not whole.
    """
    manifest = read_manifest(bundle)
    with _locked(models_dir / manifest.name):
        return _deploy(models_dir, bundle, manifest, role, measured_against, at, why)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Nobody else changes the deployment meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / _LOCK_FILE, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _deploy(
    models_dir: Path,
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
        raise NotDeployable(
            f"{models_dir / name}: the champion is {champion or 'none'} now; {version} was measured against "
            f"{measured_against or 'none'}. Start a new run"
        )
    deployment = read_deployment(models_dir, name)
    if deployment is None and champion is not None:
        # A flat folder becomes one of versions: its bundle is copied before anything names it.
        _put(models_dir, name, bundle_folder(models_dir, name, champion), read_manifest(models_dir / name))
        deployment = _first(name, champion, at, "was in use before there were versions")
    _put(models_dir, name, bundle, manifest)
    if deployment is None:
        changed = _first(name, version, at, why)
    elif role == "champion" or version == deployment.champion:
        changed = deployment.promoted(version, at=at, why=why)
    else:
        changed = deployment.shadowed(version, at=at, why=why)
    _write(models_dir / name / DEPLOYMENT_FILE, changed)
    return changed


def _first(name: str, version: str, at: datetime, why: str) -> Deployment:
    return Deployment(model=name, champion=version, since=format_timestamp(at), why=why[:500])


def _put(models_dir: Path, name: str, bundle: Path, manifest: Manifest) -> None:
    """Copy a bundle to its version's folder; it appears whole or not at all.

    The same one that is there already stays, with its signature: two signatures of one bundle always differ.
    """
    target = models_dir / name / manifest.version
    files = [*manifest.files, MANIFEST_FILE]
    if (bundle / SIGNATURE_FILE).is_file():
        files.append(SIGNATURE_FILE)
    if target.exists():
        if any(
            _content(target / file) != _content(bundle / file) for file in files if file != SIGNATURE_FILE
        ):
            raise NotDeployable(
                f"{target}: is there already and is another bundle; remove it, or choose another --version"
            )
        if SIGNATURE_FILE in files and not (target / SIGNATURE_FILE).exists():
            fresh_signature = target.parent / f".{manifest.version}-{SIGNATURE_FILE}"
            shutil.copyfile(bundle / SIGNATURE_FILE, fresh_signature)
            _sync(fresh_signature)
            fresh_signature.replace(target / SIGNATURE_FILE)
        return
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{manifest.version}-") as scratch:
        fresh = Path(scratch, "new")
        fresh.mkdir(mode=0o755)
        for file in files:
            shutil.copyfile(bundle / file, fresh / file)
            _sync(fresh / file)
        _sync(fresh)
        fresh.rename(target)
    _sync(target.parent)


def _write(path: Path, deployment: Deployment) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(deployment.model_dump_json(indent=2) + "\n", encoding="utf-8")
    _sync(fresh)
    fresh.replace(path)
    _sync(path.parent)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _sync(path: Path) -> None:
    """What a rename makes visible must be on the disk before: a power cut would leave an empty file under its name."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
