"""Training from data to a written bundle and its report."""

import os
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed_version
from pathlib import Path

from contract.bundle import ModelSignature
from training.bundle import LITERT_FILE, check_target, litert_probabilities, write_bundle
from training.dataset import DataSet, generate, read_csv, split
from training.evaluation import Evaluation, evaluate
from training.fan import FAN_SIGNALS
from training.recipe import Recipe
from training.report import write_report


def keep_tensorflow_quiet() -> None:
    """Before its import: its notes about instruction sets would bury the progress bar.

    Without oneDNN the order of additions, and so the last digits, are the same on more processors.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


@dataclass(frozen=True)
class Order:
    """What to train and where to put it.

    Attributes:
        data: CSV file, or None to generate.
        rows: Rows to generate.
        seed: Of the generated rows and of the split.
        bundle: Folder of the bundle.
        report: Folder of the report.
        name: Of the model.
        version: Of the model.
        threshold: Probability from which on it is a fault.
        overwrite: Replace the bundle that stands there.
    """

    data: Path | None
    rows: int
    seed: int
    bundle: Path
    report: Path
    name: str
    version: str
    threshold: float
    overwrite: bool


def run(order: Order, recipe: Recipe, *, progress: bool = True) -> Evaluation:
    """Train, evaluate on the held-out split, write bundle and report.

    Args:
        order: What to train.
        recipe: How.
        progress: Show a progress bar on stderr.

    Returns:
        The figures on the held-out split, of the model as Keras scores it.

    Raises:
        training.bundle.BundleError: The bundle's folder may not be replaced.
        training.dataset.InvalidData: The CSV file cannot be used.
        training.recipe.TrainingFailed: The network learned nothing.
    """
    check_target(order.bundle, overwrite=order.overwrite)
    data: DataSet = read_csv(order.data) if order.data else generate(order.rows, order.seed)[0]
    parts = split(data, order.seed)
    # Only now: TensorFlow takes ten seconds to import, and a wrong column is known at once.
    keep_tensorflow_quiet()
    from training.model import probabilities, train  # noqa: PLC0415

    trained = train(parts, recipe, progress=progress)
    result = evaluate(parts.held_out, probabilities(trained.model, parts.held_out.signals), order.threshold)
    write_bundle(
        order.bundle,
        trained.model,
        name=order.name,
        version=order.version,
        signature=ModelSignature(signals=FAN_SIGNALS, threshold=order.threshold),
        metrics={key: round(value, 6) for key, value in result.model.items()},
        training_data_sha256=data.digest,
        training_rows=data.signals,
        overwrite=order.overwrite,
    )
    served = litert_probabilities((order.bundle / LITERT_FILE).read_bytes(), parts.held_out.signals)
    write_report(
        order.report,
        result,
        parts.held_out,
        FAN_SIGNALS,
        trained.losses,
        {
            "recipe": asdict(recipe),
            "batch_rows": recipe.batch_for(len(parts.fit)),
            "seed": order.seed,
            "rows_fitted": len(parts.fit),
            "rows_calibrated": len(parts.validation),
            "litert_largest_difference": float(abs(served - result.probabilities).max()),
            "versions": {
                name: installed_version(name) for name in ("keras", "ai-edge-litert", "numpy", "scikit-learn")
            },
        },
    )
    return result
