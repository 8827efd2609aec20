"""What a command is given: a project, or a bundle that is there already."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contract.bundle import MANIFEST_FILE, Manifest
from inference_toolkit.errors import ToolkitError
from inference_toolkit.packing import Signing, pack
from inference_toolkit.project import PROJECT_FILE, Limits, open_project
from inference_toolkit.table import Table, read_table
from training.bundle import BundleError, read_manifest
from training.signing import PRIVATE_KEY_FILE, PUBLIC_KEY_FILE, SigningError, generate_keys, sign_bundle


@dataclass(frozen=True)
class Packed:
    """A bundle as a scoring service wants it, for as long as a trial lasts.

    Attributes:
        models_dir: Holds one folder, the bundle, signed with a key that ends with the trial.
        public_key: Of that key.
        manifest: What the bundle says.
        limits: What the model must keep to.
        sample: What it is tried on; None when there is none.
    """

    models_dir: Path
    public_key: Path
    manifest: Manifest
    limits: Limits
    sample: Table | None


@contextmanager
def packed(source: Path, *, sample: Path | None = None, trust: str | None = None) -> Iterator[Packed]:
    """Pack a project, or take a copy of a bundle, and sign it with a key of the moment.

    Args:
        source: Folder with a toolkit.toml or a manifest.json.
        sample: CSV to try a bundle on; a project names its own.
        trust: What a person wrote to have a pickle opened.

    Raises:
        ToolkitError: It is neither, or cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="fanwatch-toolkit-") as scratch:
        models, keys = Path(scratch, "models"), Path(scratch, "keys")
        generate_keys(keys)
        private = keys / PRIVATE_KEY_FILE
        if (source / PROJECT_FILE).is_file():
            opened = open_project(source)
            limits = opened.project.limits
            manifest = pack(opened, models / opened.project.name, signing=Signing(private), trust=trust)
            sample = sample or opened.path(opened.project.sample)
        else:
            manifest = manifest_of(source)
            limits = Limits()
            _copy(source, models / manifest.name, manifest, private)
        table = None
        if sample is not None:
            table = read_table(sample, _content(sample), [spec.name for spec in manifest.signals])
        yield Packed(models, keys / PUBLIC_KEY_FILE, manifest, limits, table)


def manifest_of(bundle: Path) -> Manifest:
    """The manifest of a bundle, every file of it whole.

    Raises:
        ToolkitError: It is no bundle, or a damaged one.
    """
    if not (bundle / MANIFEST_FILE).is_file():
        raise ToolkitError(
            f"{bundle}: holds neither a {PROJECT_FILE} nor a {MANIFEST_FILE}; expected the folder of a project "
            "(`fanwatch toolkit new` writes one) or of a bundle"
        )
    try:
        return read_manifest(bundle)
    except BundleError as error:
        raise ToolkitError(str(error)) from error


def _copy(bundle: Path, target: Path, manifest: Manifest, private_key: Path) -> None:
    target.mkdir(parents=True)
    for file in (MANIFEST_FILE, *manifest.files):
        (target / file).write_bytes((bundle / file).read_bytes())
    try:
        sign_bundle(target, private_key)
    except SigningError as error:
        raise ToolkitError(str(error)) from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ToolkitError(f"{path}: cannot be read: {error.strerror}") from error
