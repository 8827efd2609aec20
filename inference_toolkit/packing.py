"""Packing: a project becomes a bundle that the scoring service takes."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from contract.bundle import MANIFEST_FILE, Manifest, ModelSignature
from contract.reference import REFERENCE_FILE
from inference.bundle import Bundle
from inference.errors import ModelUnusable
from inference.runtimes import AUTO
from inference.service import ServedModel, load_model
from inference_toolkit.errors import ToolkitError
from inference_toolkit.project import HANDLER_FILE, OpenProject, Project
from inference_toolkit.scikit_learn import PICKLES, SKOPS, check_same, onnx_bytes, read_estimator
from inference_toolkit.table import Table, read_table
from training.bundle import BundleError, assemble_bundle
from training.reference import NoHealthyRow, make_reference
from training.signing import SigningError, sign_bundle

_LITERT, _ONNX, _KERAS = "model.tflite", "model.onnx", "model.keras"
_AS_IT_IS = {".tflite": _LITERT, ".onnx": _ONNX}

Check = Callable[[ServedModel], None]
"""Compares the packed model with what it was made of. Raises ToolkitError."""


@dataclass(frozen=True)
class Signing:
    """With what a bundle is signed."""

    private_key: Path
    password: bytes | None = None


def pack(
    opened: OpenProject,
    out: Path,
    *,
    signing: Signing | None = None,
    trust: str | None = None,
    overwrite: bool = False,
) -> Manifest:
    """Write the bundle of a project, after its model has scored the sample.

    Args:
        opened: The project.
        out: Folder of the bundle; appears whole or not at all.
        signing: None leaves it unsigned, which a scoring service refuses unless told otherwise.
        trust: What a person wrote to have a pickle opened.
        overwrite: Replace what stands there.

    Raises:
        ToolkitError: A file of the project cannot be used, or the folder or the key cannot.
    """
    project = opened.project
    names = [spec.name for spec in project.signals]
    sample = read_table(opened.path(project.sample), opened.read(project.sample), names)
    files, check = _model_files(opened, sample, trust)
    training = None if project.training_data is None else opened.read(project.training_data)
    digest = project.training_data_sha256 or hashlib.sha256(training or b"").hexdigest()
    signature = ModelSignature(signals=project.signals, threshold=project.threshold)
    served = _tried(project, files, digest, sample)
    check(served)
    if training is not None and project.training_data is not None:
        rows = read_table(opened.path(project.training_data), training, names).signals
        files = {**files, REFERENCE_FILE: _reference(served, rows, signature)}
    try:
        manifest = assemble_bundle(
            out,
            files,
            name=project.name,
            version=project.version,
            signature=signature,
            metrics=project.metrics,
            training_data_sha256=digest,
            handler=project.handler,
            overwrite=overwrite,
        )
        if signing is not None:
            sign_bundle(out, signing.private_key, signing.password)
    except (BundleError, SigningError) as error:
        raise ToolkitError(str(error)) from error
    return manifest


def _model_files(opened: OpenProject, sample: Table, trust: str | None) -> tuple[dict[str, bytes], Check]:
    project = opened.project
    if project.model is None:
        inner = {name: opened.read(path) for name, path in project.files.items()}
        reserved = {HANDLER_FILE, MANIFEST_FILE, REFERENCE_FILE} & set(inner)
        if reserved:
            raise ToolkitError(f"files: {', '.join(sorted(reserved))} is a name that the bundle itself uses")
        return {HANDLER_FILE: opened.read(Path(HANDLER_FILE)), **inner}, _nothing_to_compare
    path, content = opened.path(project.model), opened.read(project.model)
    if path.suffix in _AS_IT_IS:
        return {_AS_IT_IS[path.suffix]: content}, _nothing_to_compare
    if path.suffix == ".keras":
        return {_LITERT: _litert_of_keras(path), _KERAS: content}, _nothing_to_compare
    if path.suffix in {SKOPS, *PICKLES}:
        rows = sample.signals.astype(np.float32)
        estimator = read_estimator(path, content, trust)

        def compare(served: ServedModel) -> None:
            check_same(path, estimator, rows, served.score(rows)[0])

        return {_ONNX: onnx_bytes(path, estimator, rows)}, compare
    known = ", ".join([*_AS_IT_IS, ".keras", SKOPS, *PICKLES])
    raise ToolkitError(f"{path}: is of no kind that is known; expected {known}, or a handler")


def _nothing_to_compare(_served: ServedModel) -> None:
    """The model is packed as it is."""


def _litert_of_keras(path: Path) -> bytes:
    try:
        import keras  # noqa: PLC0415 - TensorFlow takes ten seconds

        from training.bundle import litert_bytes  # noqa: PLC0415
    except ImportError as error:
        raise ToolkitError(f"{path}: converting it needs the extra training: {error}") from error
    try:
        # safe_mode refuses a Lambda layer, which is code.
        return litert_bytes(keras.saving.load_model(path, compile=False, safe_mode=True))
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise ToolkitError(f"{path}: is no Keras model that can be converted: {error}") from error


def _tried(project: Project, files: Mapping[str, bytes], digest: str, sample: Table) -> ServedModel:
    """The model as the service would load it, having scored the sample."""
    manifest = Manifest(
        name=project.name,
        version=project.version,
        signals=project.signals,
        threshold=project.threshold,
        metrics=project.metrics,
        training_data_sha256=digest,
        handler=project.handler,
        files={file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
    )
    try:
        # Their own code, on the machine of whoever packs it: it counts as signed, as it will be.
        served = load_model(Bundle(manifest, files, is_signed=True), AUTO, allow_handlers=True)
        served.score(sample.signals.astype(np.float32))
    except ModelUnusable as error:
        raise ToolkitError(str(error)) from error
    except Exception as error:  # whatever a model or a handler does with a row of the sample
        raise ToolkitError(f"{project.sample}: the model cannot score it: {error}") from error
    return served


def _reference(served: ServedModel, rows: npt.NDArray[np.float64], signature: ModelSignature) -> bytes:
    probability, _ = served.score(rows.astype(np.float32))
    try:
        made = make_reference(
            rows,
            probability.astype(np.float64),
            names=[spec.name for spec in signature.signals],
            threshold=signature.threshold,
        )
    except NoHealthyRow as error:
        raise ToolkitError(str(error)) from error
    return (made.model_dump_json() + "\n").encode()
