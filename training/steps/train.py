"""Train: the fan's recipe where technicians have said what was faulty, a baseline of the healthy machine where not."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from contract.bundle import ModelSignature
from training.baseline import NotEnoughHealth, learn_baseline
from training.bundle import LITERT_FILE, litert_probabilities, model_files
from training.dataset import DataSet, split
from training.gate import FEWEST_BLOCKS
from training.newest import newest_rows, number_blocks
from training.pipeline import keep_tensorflow_quiet
from training.readings_file import DEVICE, LABEL, TIME, read_table, write_table
from training.recipe import Recipe, TrainingFailed
from training.reference import NoHealthyRow
from training.steps import validate
from training.steps.order import Order
from training.steps.runner import Outcome, Run, Step, StepFailed, file_digest

NAME = "train"
TRAINING_FILE = "training.csv"
NEWEST_FILE = "newest.csv"
HELD_OUT_FILE = "held_out.csv"
SUMMARY_FILE = "summary.json"
MODEL_FOLDER = "model"
BLOCK = "block"
_FEWEST_ROWS = 200
_MINUTE_NS = 60_000_000_000


@dataclass(frozen=True)
class Summary:
    """What was trained.

    Attributes:
        kind: "network" or "baseline".
        rows: Learned from.
        faulty_share: Of them; 0 for a baseline.
        data_sha256: Digest of training.csv.
        threshold: Probability from which on it is a fault.
        parameters: How it was made.
        losses: Of each epoch by the part's name; empty for a baseline.
    """

    kind: str
    rows: int
    faulty_share: float
    data_sha256: str
    threshold: float
    parameters: dict[str, Any]
    losses: dict[str, list[float]]


def read_summary(folder: Path) -> Summary:
    """What the step has left in its folder."""
    return Summary(**json.loads((folder / SUMMARY_FILE).read_bytes()))


def _work(run: Run) -> Outcome:
    rows = read_table(run.of(validate.NAME) / validate.ROWS_FILE, run.order.names)
    labelled = rows[rows[LABEL].notna()].reset_index(drop=True)
    try:
        summary = _network(run, labelled) if len(labelled) else _baseline(run, rows)
    except (TrainingFailed, NoHealthyRow, NotEnoughHealth) as error:
        raise StepFailed(str(error)) from error
    (run.of(NAME) / SUMMARY_FILE).write_text(json.dumps(asdict(summary), indent=2) + "\n")
    share = f", {summary.faulty_share:.0%} of them faulty" if summary.kind == "network" else ""
    return Outcome(f"a {summary.kind} of {summary.rows} rows{share}")


def _network(run: Run, labelled: pd.DataFrame) -> Summary:
    order, folder = run.order, run.of(NAME)
    labels = labelled[LABEL].to_numpy().astype(np.int64)
    times = labelled[TIME].dt.tz_localize(None).to_numpy(dtype="datetime64[ns]").astype(np.int64)
    labelled[BLOCK] = number_blocks(
        labelled[DEVICE].to_numpy(dtype=object), times, round(order.block_minutes * _MINUTE_NS)
    )
    newest = newest_rows(
        labels, labelled[BLOCK].to_numpy(), times, share=order.newest_share, fewest=FEWEST_BLOCKS
    )
    write_table(folder / NEWEST_FILE, labelled[newest])
    fitted = labelled[~newest]
    write_table(folder / TRAINING_FILE, fitted)
    found = {kind: int((fitted[LABEL] == kind).sum()) for kind in (0, 1)}
    if min(found.values()) == 0 or len(fitted) < _FEWEST_ROWS:
        raise StepFailed(
            f"{found[0]} healthy and {found[1]} faulty rows to learn from, the newest set apart; expected at least "
            f"{_FEWEST_ROWS} and both kinds. --unlabelled healthy takes what no closed alarm covers for healthy"
        )
    data = DataSet(
        fitted[order.names].to_numpy(dtype=np.float64),
        fitted[LABEL].to_numpy().astype(np.int64),
        file_digest(folder / TRAINING_FILE),
        f"{len(fitted)} rows of the pipeline",
    )
    parts = split(data, order.seed)
    keep_tensorflow_quiet()
    from training.model import train  # noqa: PLC0415 - ten seconds, not before an error

    recipe = Recipe(seed=order.seed, epochs=order.epochs)
    trained = train(parts, recipe, progress=run.progress)
    _keep(run, trained.model, order.threshold, data.signals)
    write_table(folder / HELD_OUT_FILE, _table(order, parts.held_out))
    parameters = asdict(recipe) | {
        "batch_rows": recipe.batch_for(len(parts.fit)),
        "rows_fitted": len(parts.fit),
        "rows_calibrated": len(parts.validation),
    }
    return Summary(
        "network",
        len(data),
        float(data.labels.mean()),
        data.digest,
        order.threshold,
        parameters,
        {part: [float(loss) for loss in losses] for part, losses in trained.losses.items()},
    )


def _baseline(run: Run, rows: pd.DataFrame) -> Summary:
    order, folder = run.order, run.of(NAME)
    by_device = rows.sort_values([DEVICE, TIME], kind="stable")
    if order.healthy_rows is not None:
        by_device = by_device.groupby(DEVICE, sort=False).head(order.healthy_rows)
    write_table(folder / TRAINING_FILE, by_device)
    healthy = by_device[order.names].to_numpy(dtype=np.float64)
    baseline = learn_baseline(healthy, order.names)
    keep_tensorflow_quiet()
    from training.baseline_bundle import THRESHOLD, baseline_network  # noqa: PLC0415 - as above

    _keep(run, baseline_network(baseline), THRESHOLD, healthy)
    return Summary(
        "baseline",
        len(healthy),
        0.0,
        file_digest(folder / TRAINING_FILE),
        THRESHOLD,
        {"kind": "baseline"},
        {},
    )


def _keep(run: Run, model: Any, threshold: float, rows: npt.NDArray[np.float64]) -> None:  # noqa: ANN401 - Keras
    """Write what the bundle will hold, so that no later step needs TensorFlow."""
    signature = ModelSignature(signals=run.order.signals, threshold=threshold)
    kept = run.of(NAME) / MODEL_FOLDER
    kept.mkdir()
    for file, content in model_files(model, signature, rows).items():
        (kept / file).write_bytes(content)


def _table(order: Order, data: DataSet) -> pd.DataFrame:
    frame = pd.DataFrame(data.signals, columns=order.names)
    frame[LABEL] = data.labels
    return frame


def model_scores(run: Run, signals: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What the trained model says of signals [n, k], by LiteRT as it will be served: [n]."""
    content = (run.of(NAME) / MODEL_FOLDER / LITERT_FILE).read_bytes()
    return litert_probabilities(content, signals)


TRAIN = Step(
    name=NAME,
    purpose="a network where there are labels, a baseline where not",
    asks=("columns", "healthy_rows", "newest_share", "block_minutes", "seed", "epochs", "threshold"),
    after=(validate.NAME,),
    work=_work,
)
