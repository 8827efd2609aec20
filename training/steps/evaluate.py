"""Evaluate: champion and challenger on the frozen test set and on the newest labelled rows; plots; the tracked run."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from contract.bundle import MANIFEST_FILE, ModelSignature
from model_folder.folder import ModelFolderError
from training.bundle import LITERT_FILE, BundleError, litert_probabilities, read_manifest
from training.dataset import DataSet, generate
from training.deployed import bundle_folder
from training.evaluation import evaluate
from training.fan import FAN_SIGNALS
from training.metrics import measure
from training.readings_file import LABEL, InvalidReadings, read_readings, read_table, write_table
from training.readings_schema import check_readings
from training.report import write_report
from training.steps import train
from training.steps.order import Order
from training.steps.runner import Outcome, Run, Step, StepFailed, file_digest
from training.tracking import Registry, RegistryUnusable

NAME = "evaluate"
RIVALS_FILE = "rivals.json"
FIGURES_FILE = "figures.json"
TRACKED_FILE = "tracked.json"
REPORT_FOLDER = "report"
TEST_SET = "frozen test set"
NEWEST_SET = "newest labelled data"
SCORES = {TEST_SET: "scores-test.csv", NEWEST_SET: "scores-newest.csv"}
CHAMPION, CHALLENGER = "champion", "challenger"
_TEST_SEED = 2


@dataclass(frozen=True)
class _Set:
    """Rows to judge by, and the block of each."""

    data: DataSet
    blocks: npt.NDArray[np.int64]


def _work(run: Run) -> Outcome:
    order, folder = run.order, run.of(NAME)
    summary = train.read_summary(run.of(train.NAME))
    champion = _champion(order)
    sets = _sets(run, labelled=summary.kind == "network")
    rivals: dict[str, Any] = {
        CHAMPION: {"model_id": champion.model_id, "threshold": champion.threshold},
        CHALLENGER: {"model_id": f"the new {order.name}", "threshold": summary.threshold},
    }
    (folder / RIVALS_FILE).write_text(json.dumps(rivals, indent=2) + "\n")
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for name, judged in sets.items():
        said = {
            CHAMPION: champion.probabilities(judged.data.signals, summary.faulty_share),
            CHALLENGER: train.model_scores(run, judged.data.signals),
        }
        write_table(
            folder / SCORES[name], pd.DataFrame({LABEL: judged.data.labels, "block": judged.blocks} | said)
        )
        figures[name] = {
            who: measure(judged.data.labels, said[who], rivals[who]["threshold"]) for who in said
        }
    (folder / FIGURES_FILE).write_text(json.dumps(figures, indent=2) + "\n")
    metrics = _held_out(run, summary)
    if TEST_SET in sets:
        _report(run, sets[TEST_SET].data, summary)
    frozen = sets[TEST_SET].data.digest if TEST_SET in sets else "none"
    run_id = _track(run, summary, metrics, figures, frozen)
    (folder / TRACKED_FILE).write_text(json.dumps({"run_id": run_id, "metrics": metrics}, indent=2) + "\n")
    told = "; ".join(
        f"{name}: log loss {of[CHALLENGER]['log_loss']:.4f}, champion {of[CHAMPION]['log_loss']:.4f}"
        for name, of in figures.items()
    )
    return Outcome(told or "no labelled rows to judge by")


@dataclass(frozen=True)
class _Champion:
    """What is in use; without a bundle, who says the same of every row."""

    model_id: str
    threshold: float
    litert: bytes | None

    def probabilities(self, signals: npt.NDArray[np.float64], faulty_share: float) -> npt.NDArray[np.float64]:
        if self.litert is None:
            return np.full(len(signals), faulty_share)
        return litert_probabilities(self.litert, signals)


def _champion(order: Order) -> _Champion:
    if order.champion is None:
        return _Champion("no model (the share of faults)", 0.5, None)
    try:
        folder = bundle_folder(order.models_dir, order.name, order.champion)
        manifest = read_manifest(folder)
    except (ModelFolderError, BundleError) as error:
        raise StepFailed(str(error)) from error
    if [spec.name for spec in manifest.signals] != order.names:
        raise StepFailed(
            f"{manifest.model_id} takes {', '.join(spec.name for spec in manifest.signals)}, the new model "
            f"{', '.join(order.names)}: they cannot be compared; give the new one another name"
        )
    return _Champion(manifest.model_id, manifest.threshold, (folder / LITERT_FILE).read_bytes())


def _sets(run: Run, *, labelled: bool) -> dict[str, _Set]:
    order = run.order
    sets: dict[str, _Set] = {}
    test = _test_set(order, labelled=labelled)
    if test is not None:
        sets[TEST_SET] = _Set(test, np.arange(len(test)))
    if labelled:
        path = run.of(train.NAME) / train.NEWEST_FILE
        newest = read_table(path, order.names)
        if newest[LABEL].nunique() < 2:
            raise StepFailed(
                "the newest labelled data hold rows of one kind only: too few separate stretches of one kind to set "
                "any apart. Take a longer time, or a smaller --block-minutes where rows soon differ"
            )
        sets[NEWEST_SET] = _Set(
            _data_set(newest, order, path), newest[train.BLOCK].to_numpy().astype(np.int64)
        )
    return sets


def _test_set(order: Order, *, labelled: bool) -> DataSet | None:
    if order.test is None:
        if order.signals == FAN_SIGNALS:
            return generate(order.test_rows, _TEST_SEED)[0]
        if labelled:
            raise StepFailed(
                f"a new {order.name} has to be judged by a frozen test set; give it by --test FILE"
            )
        return None
    try:
        text = read_readings(
            order.test,
            {column.signal.name: column.heading for column in order.columns},
            separator=order.separator,
            only_device=order.name,
            apart=pd.Timedelta(minutes=order.block_minutes),
        )
    except InvalidReadings as error:
        raise StepFailed(str(error)) from error
    checked = check_readings(text, order.signals)
    if checked.bad_rows or checked.good[LABEL].nunique() < 2 or checked.good[LABEL].isna().any():
        raise StepFailed(
            f"{order.test}: {checked.bad_rows} bad rows; expected none in a frozen test set, a column {LABEL} with "
            "0 or 1 in each row, and both kinds"
        )
    return _data_set(checked.good, order, order.test)


def _data_set(frame: pd.DataFrame, order: Order, path: Path) -> DataSet:
    return DataSet(
        frame[order.names].to_numpy(dtype=np.float64),
        frame[LABEL].to_numpy().astype(np.int64),
        file_digest(path),
        f"{path.name}, {len(frame)} rows",
    )


def _held_out(run: Run, summary: train.Summary) -> dict[str, float]:
    """The manifest's figures: on rows of the training's own time that were not fitted."""
    signature = ModelSignature(signals=run.order.signals, threshold=summary.threshold)
    if summary.kind == "network":
        frame = pd.read_csv(run.of(train.NAME) / train.HELD_OUT_FILE)
        said = train.model_scores(run, frame[run.order.names].to_numpy(dtype=np.float64))
        figures = measure(frame[LABEL].to_numpy().astype(np.int64), said, signature.threshold)
    else:
        healthy = read_table(run.of(train.NAME) / train.TRAINING_FILE, run.order.names)
        said = train.model_scores(run, healthy[run.order.names].to_numpy(dtype=np.float64))
        figures = {
            "healthy_rows": float(len(healthy)),
            "false_alarm_rate_healthy": float(np.mean(said >= summary.threshold)),
        }
    return {name: round(figure, 6) for name, figure in figures.items()}


def _report(run: Run, test: DataSet, summary: train.Summary) -> None:
    result = evaluate(test, train.model_scores(run, test.signals), summary.threshold, run.order.signals)
    write_report(
        run.of(NAME) / REPORT_FOLDER,
        result,
        test,
        run.order.signals,
        summary.losses or None,
        {"recipe": summary.parameters},
    )


def _track(
    run: Run,
    summary: train.Summary,
    metrics: dict[str, float],
    figures: dict[str, dict[str, dict[str, float]]],
    test_sha256: str,
) -> str:
    order = run.order
    of_sets = {
        f"{SCORES[name].removesuffix('.csv').removeprefix('scores-')}_{figure}": value
        for name, of in figures.items()
        for figure, value in of[CHALLENGER].items()
    }
    asked = {"epochs", "seed", "threshold", "newest_share", "block_minutes", "begin", "end", "unlabelled"}
    try:
        registry = Registry(run.settings.registry_dir, run.settings.mlflow_tracking_uri)
        return registry.track(
            order.name,
            run.name,
            parameters=order.model_dump(mode="json", include=asked)
            | summary.parameters
            | {"rows": summary.rows},
            metrics=metrics | of_sets,
            tags={
                "data_sha256": summary.data_sha256,
                "test_sha256": test_sha256,
                "kind": summary.kind,
                "champion": order.champion or "none",
            },
            artifacts=run.of(NAME),
        )
    except RegistryUnusable as error:
        raise StepFailed(str(error)) from error


def _outside(run: Run) -> Iterable[Path]:
    order = run.order
    if order.test is not None:
        yield order.test
    if order.champion is not None:
        try:
            yield bundle_folder(order.models_dir, order.name, order.champion) / MANIFEST_FILE
        except (ModelFolderError, BundleError) as error:
            raise StepFailed(str(error)) from error


EVALUATE = Step(
    name=NAME,
    purpose="champion and challenger on the same rows",
    asks=("name", "columns", "separator", "block_minutes", "test", "test_rows", "models_dir", "champion"),
    after=(train.NAME,),
    work=_work,
    outside=_outside,
)
