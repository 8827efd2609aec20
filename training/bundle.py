"""The bundle: writing a trained model with its manifest, and scoring with a written one."""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter
from pydantic import ValidationError

from contract.bundle import MANIFEST_FILE, Manifest, ModelSignature
from contract.reference import REFERENCE_FILE
from training.reference import make_reference

if TYPE_CHECKING:
    import keras  # TensorFlow takes ten seconds to import and evaluation does not need it

LITERT_FILE = "model.tflite"
KERAS_FILE = "model.keras"


class BundleError(ValueError):
    """A bundle that cannot be written or used; says which file and why."""


def write_bundle(  # noqa: PLR0913 - each is said in the manifest
    folder: Path,
    model: "keras.Model",
    *,
    name: str,
    version: str,
    signature: ModelSignature,
    metrics: Mapping[str, float],
    training_data_sha256: str,
    training_rows: npt.NDArray[np.float64],
    overwrite: bool = False,
) -> Manifest:
    """Write manifest, LiteRT file, Keras file and reference; the folder appears whole or not at all.

    Args:
        folder: Where to; its parent is made.
        model: Signals [n, k] to probability [n, 1], float32.
        name: Of the model, as in its URL.
        version: Of the model.
        signature: The k inputs in order, and the probability from which on a reading is called a fault.
        metrics: Figures on the held-out split.
        training_data_sha256: Digest of the training data.
        training_rows: Signals [n, k] of the training data, for the reference that drift is measured against.
        overwrite: Replace what stands there.

    Raises:
        BundleError: The folder is there already and overwrite is false.
        training.reference.NoHealthyRow: The model calls every training row a fault.
    """
    check_target(folder, overwrite=overwrite)
    return assemble_bundle(
        folder,
        model_files(model, signature, training_rows),
        name=name,
        version=version,
        signature=signature,
        metrics=metrics,
        training_data_sha256=training_data_sha256,
        overwrite=overwrite,
    )


def model_files(
    model: "keras.Model", signature: ModelSignature, training_rows: npt.NDArray[np.float64]
) -> dict[str, bytes]:
    """What a bundle holds beside its manifest, by file name.

    Args:
        model: Signals [n, k] to probability [n, 1], float32.
        signature: The k inputs in order, and the threshold.
        training_rows: Signals [n, k] that it was trained on.

    Raises:
        training.reference.NoHealthyRow: The model calls every training row a fault.
    """
    litert = litert_bytes(model)
    reference = make_reference(
        training_rows,
        litert_probabilities(litert, training_rows),
        names=[spec.name for spec in signature.signals],
        threshold=signature.threshold,
    )
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(scratch, KERAS_FILE)
        model.save(kept)
        keras_bytes = kept.read_bytes()
    return {
        LITERT_FILE: litert,
        KERAS_FILE: keras_bytes,
        REFERENCE_FILE: (reference.model_dump_json() + "\n").encode(),
    }


def assemble_bundle(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    name: str,
    version: str,
    signature: ModelSignature,
    metrics: Mapping[str, float],
    training_data_sha256: str,
    overwrite: bool = False,
) -> Manifest:
    """Write files and the manifest that names them; the folder appears whole or not at all.

    Args:
        folder: Where to; its parent is made.
        files: Content by file name, as model_files gives it.
        name: Of the model, as in its URL.
        version: Of the model.
        signature: The inputs in order, and the threshold.
        metrics: Figures on the held-out split.
        training_data_sha256: Digest of the training data.
        overwrite: Replace what stands there.

    Raises:
        BundleError: The folder is there already and overwrite is false.
    """
    check_target(folder, overwrite=overwrite)
    manifest = Manifest(
        name=name,
        version=version,
        signals=signature.signals,
        threshold=signature.threshold,
        metrics=dict(metrics),
        training_data_sha256=training_data_sha256,
        files={file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        fresh = Path(scratch, "new")
        fresh.mkdir(mode=0o755)
        for file, content in files.items():
            (fresh / file).write_bytes(content)
        (fresh / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if folder.exists():
            folder.rename(Path(scratch, "old"))
        fresh.rename(folder)
    return manifest


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that stands there, before an hour of training rather than after it.

    Raises:
        BundleError: The folder is there already and overwrite is false, or it holds something else than a bundle.
    """
    if folder.exists() and not overwrite:
        raise BundleError(
            f"{folder} is there already; choose another --out, or pass --overwrite to replace it"
        )
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST_FILE).is_file():
        raise BundleError(f"{folder} holds no {MANIFEST_FILE}: it is no bundle and is not replaced")


def litert_bytes(model: "keras.Model") -> bytes:
    """The model as a LiteRT flatbuffer, float32 throughout, its first dimension free."""
    import tensorflow as tf  # noqa: PLC0415 - see above

    with tempfile.TemporaryDirectory() as scratch:
        model.export(scratch, verbose=False)
        converted = tf.lite.TFLiteConverter.from_saved_model(scratch).convert()
    return bytes(converted)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle, every file of it checked against its digest.

    Raises:
        BundleError: The manifest is missing or malformed, or a file is missing or not the one described.
    """
    path = folder / MANIFEST_FILE
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise BundleError(f"{path}: is no manifest: {error}") from error
    for file, expected in manifest.files.items():
        try:
            found = _sha256(folder / file)
        except OSError as error:
            raise BundleError(f"{folder / file}: cannot be read: {error.strerror}") from error
        if found != expected:
            raise BundleError(f"{folder / file}: SHA-256 is {found}, the manifest says {expected}")
    return manifest


def litert_probabilities(content: bytes, signals: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scores of signals [n, k] by LiteRT, as they are served: [n]."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    source = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(source, signals.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(source, signals.astype(np.float32))
    interpreter.invoke()
    scores = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return np.asarray(scores, dtype=np.float64).reshape(-1)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
