"""A model bundle with 170 signals, for rows as wide as the widest public data; untrained, for only its cost counts."""

import hashlib
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from benchmarks.speed.load import WIDE_RANGES
from contract.bundle import MANIFEST_FILE, Manifest, SignalSpec

NAME = "wide"


def write_wide_bundle(models_dir: Path) -> None:
    """Write models_dir/wide: the fan model's shape (two layers of 16), 170 inputs."""
    folder = models_dir / NAME
    folder.mkdir(parents=True)
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((len(WIDE_RANGES),)),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    (folder / "model.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    model.save(folder / "model.keras")
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}
    signals = [
        SignalSpec(name=name, unit="1", minimum=bounds[0], maximum=bounds[1])
        for name, bounds in WIDE_RANGES.items()
    ]
    manifest = Manifest(
        name=NAME,
        version="1",
        signals=tuple(signals),
        threshold=0.5,
        metrics={},
        training_data_sha256=hashlib.sha256(b"").hexdigest(),
        files=digests,
    )
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2))
