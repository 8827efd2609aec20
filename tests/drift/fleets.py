"""References and bundles for the tests of the drift watch."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from contract.bundle import Manifest, SignalSpec
from contract.reference import QUANTILES, REFERENCE_FILE, Reference

MODELS = Path(__file__).parents[2] / "models"


def reference(signals: Mapping[str, Sequence[float]], rows: int = 60_000) -> Reference:
    """A reference of the quantiles of these values."""
    levels = np.linspace(0, 1, QUANTILES)
    return Reference(
        rows=rows,
        signals={name: tuple(np.quantile(values, levels).tolist()) for name, values in signals.items()},
        probability=tuple((levels / 10).tolist()),
    )


def write_bundle(
    folder: Path, version: str, content: bytes, *, name: str = "fan", digest: str | None = None
) -> None:
    """A bundle of one file, the reference, whose digest is told or true."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(
        name=name,
        version=version,
        signals=(SignalSpec(name="flow", unit="l/s", minimum=0, maximum=100),),
        threshold=0.5,
        metrics={},
        training_data_sha256="0" * 64,
        files={REFERENCE_FILE: digest or hashlib.sha256(content).hexdigest()},
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    (folder / REFERENCE_FILE).write_bytes(content)


def flow_reference(low: float = 0.0, high: float = 10.0) -> bytes:
    """Of a machine with one signal, evenly spread."""
    return reference({"flow": np.linspace(low, high, 10_001).tolist()}).model_dump_json().encode()
