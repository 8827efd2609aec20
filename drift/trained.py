"""What a model learned of its inputs: read from its bundle on disk, the digest checked through the manifest.

The signature is the scoring service's business: a bundle that is not signed as it should be gives no verdict, and
without verdicts nothing is compared. So this service needs no library for signatures.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from contract.bundle import MANIFEST_FILE, Manifest, ModelVersion
from contract.reference import REFERENCE_FILE, Reference

_MAX_BYTES = 16 * 1024 * 1024
"""A thousand signals of 201 quantiles are 4 MB."""
_VERSION = TypeAdapter[str](ModelVersion)


class NoReference(ValueError):  # noqa: N818 - it names the state
    """There is nothing to compare with; says what was looked for and what was found."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A model and the rows that it learned from, of those that it calls healthy.

    Attributes:
        model_id: As verdicts carry it, "name:version".
        units: Of each signal, in the order of the model.
        reference: The distributions.
    """

    model_id: str
    units: Mapping[str, str]
    reference: Reference


def read_trained(models_dir: Path, model_id: str) -> Trained:
    """Find and read the reference of one version of a model (contract/deployment.py says how versions lie on disk).

    Args:
        models_dir: Holds one folder a model.
        model_id: "name:version".

    Raises:
        NoReference: The bundle or its reference is missing, damaged, or of another version.
    """
    name, _, version = model_id.partition(":")
    try:
        _VERSION.validate_python(version)  # it becomes part of a path
    except ValidationError as error:
        raise NoReference(f"{model_id!r} names no version that a folder can have") from error
    folder = models_dir / name / version
    if not (folder / MANIFEST_FILE).is_file():
        folder = models_dir / name
    try:
        manifest = Manifest.model_validate_json(_read(folder / MANIFEST_FILE))
        if manifest.model_id != model_id:
            raise NoReference(
                f"{folder} holds {manifest.model_id}, expected {model_id}, which gave the verdict"
            )
        if REFERENCE_FILE not in manifest.files:
            raise NoReference(
                f"{folder} has no {REFERENCE_FILE}: its bundle was made before there was one; "
                "train it again to have its drift watched"
            )
        content = _read(folder / REFERENCE_FILE)
        if hashlib.sha256(content).hexdigest() != manifest.files[REFERENCE_FILE]:
            raise NoReference(
                f"{folder / REFERENCE_FILE} is not the file that {MANIFEST_FILE} names; copy the bundle again"
            )
        reference = Reference.model_validate_json(content)
    except ValidationError as error:
        raise NoReference(f"{folder}: not a bundle of ours: {error.errors()[0]['msg']}") from error
    units = {spec.name: spec.unit for spec in manifest.signals}
    if units.keys() != reference.signals.keys():
        raise NoReference(
            f"{folder / REFERENCE_FILE} is of {', '.join(reference.signals)}, expected {', '.join(units)}"
        )
    return Trained(model_id, units, reference)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise NoReference(
            f"{path}: cannot be read: {error.strerror}; FANWATCH_MODELS_DIR names the folder that the scoring "
            "service serves from"
        ) from error
    if len(content) > _MAX_BYTES:
        raise NoReference(f"{path}: is larger than {_MAX_BYTES} bytes")
    return content
