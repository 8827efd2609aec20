"""The report folder: what a person looks at before a model is shipped."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from contract.bundle import SignalSpec
from training.dataset import DataSet
from training.evaluation import Evaluation
from training.metrics import reliability

METRICS_FILE = "metrics.json"

# Blue and orange are told apart with any colour vision; the markers differ as well.
_HEALTHY = "#1f6fb4"
_FAULTY = "#d9730d"
_REFERENCE = "#777777"
_SCATTER_ROWS = 1500
STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "grid.alpha": 0.3,
    "savefig.dpi": 100,
}
"""How every plot of the project looks: matplotlib's settings."""


def write_report(
    folder: Path,
    evaluation: Evaluation,
    data: DataSet,
    signals: Sequence[SignalSpec],
    losses: Mapping[str, Sequence[float]] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write metrics.json and the plots; returns what was written.

    Args:
        folder: Where to; made if need be.
        evaluation: The model's figures on data.
        data: The rows that were evaluated.
        signals: The columns of data.
        losses: Loss of each epoch by the part's name; None leaves the plot out.
        facts: More for metrics.json: recipe, versions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metrics = folder / METRICS_FILE
    content = {**evaluation.figures(), **(facts or {})} | ({"losses": dict(losses)} if losses else {})
    metrics.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    written = [metrics]
    with mpl.rc_context(STYLE):
        plots = {
            "scatter.png": _scatter(data, signals),
            "roc.png": _roc(evaluation),
            "precision_recall.png": _precision_recall(evaluation),
            "confusion.png": _confusion(evaluation),
            "reliability.png": _reliability(evaluation),
        }
        if losses:
            plots["loss.png"] = _losses(losses)
        for name, figure in plots.items():
            figure.savefig(folder / name)
            written.append(folder / name)
    return written


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    # A Figure of its own, without pyplot: no window system is asked for, and nothing stays in memory.
    figure = Figure(figsize=(6.4, 4.8))
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    return figure, axes


def _scatter(data: DataSet, signals: Sequence[SignalSpec]) -> Figure:
    names = [spec.name for spec in signals]
    x = names.index("rotation") if "rotation" in names else 0
    y = names.index("vibration") if "vibration" in names else len(names) - 1
    shown = sum(min(int(np.sum(data.labels == label)), _SCATTER_ROWS) for label in (0, 1))
    title = f"{names[x].capitalize()} against {names[y]}, {shown} of {data.source}"
    figure, axes = _axes(title, *(f"{names[i]} ({signals[i].unit})" for i in (x, y)))
    for label, name, colour, marker in ((0, "healthy", _HEALTHY, "o"), (1, "faulty", _FAULTY, "^")):
        rows = data.signals[data.labels == label][:_SCATTER_ROWS]
        axes.scatter(
            rows[:, x], rows[:, y], s=9, alpha=0.5, c=colour, marker=marker, label=name, linewidths=0
        )
    axes.legend(loc="upper right", framealpha=0.9, markerscale=2.5)
    return figure


def _roc(evaluation: Evaluation) -> Figure:
    figure, axes = _axes(
        "Receiver operating characteristic",
        "false alarms (share of healthy readings)",
        "found (share of faulty readings)",
    )
    false_alarms, found, _ = roc_curve(evaluation.labels, evaluation.probabilities)
    axes.plot(false_alarms, found, color=_FAULTY, label=f"model, AUC {evaluation.model['auc']:.4f}")
    axes.plot([0, 1], [0, 1], "--", color=_REFERENCE, label="by chance, AUC 0.5")
    _mark_threshold(axes, evaluation, evaluation.model["false_alarm_rate"], evaluation.model["recall"])
    _note_oracle(axes, evaluation, "auc", "AUC")
    return figure


def _precision_recall(evaluation: Evaluation) -> Figure:
    figure, axes = _axes(
        "Precision and recall",
        "recall (share of faulty readings found)",
        "precision (share of alarms that are right)",
    )
    precision, recall, _ = precision_recall_curve(evaluation.labels, evaluation.probabilities)
    figure_name = "average_precision"
    axes.plot(recall, precision, color=_FAULTY, label=f"model, AUC {evaluation.model[figure_name]:.4f}")
    share = float(evaluation.labels.mean())
    axes.axhline(share, linestyle="--", color=_REFERENCE, label=f"by chance, {share:.2f}")
    axes.set_ylim(0, 1.05)
    _mark_threshold(axes, evaluation, evaluation.model["recall"], evaluation.model["precision"])
    _note_oracle(axes, evaluation, figure_name, "AUC")
    return figure


def _mark_threshold(axes: Axes, evaluation: Evaluation, x: float, y: float) -> None:
    axes.plot([x], [y], "o", color="black", label=f"at the threshold {evaluation.threshold:g}")


def _note_oracle(axes: Axes, evaluation: Evaluation, name: str, shown: str) -> None:
    if name in evaluation.oracle:
        axes.plot([], [], " ", label=f"oracle, {shown} {evaluation.oracle[name]:.4f}")
    axes.legend(loc="lower right" if name == "auc" else "lower left")


def _confusion(evaluation: Evaluation) -> Figure:
    said = (evaluation.probabilities >= evaluation.threshold).astype(np.int64)
    counts: npt.NDArray[np.int64] = np.zeros((2, 2), dtype=np.int64)
    np.add.at(counts, (evaluation.labels, said), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    figure, axes = _axes(
        f"Confusion at the threshold {evaluation.threshold:g}", "the model said", "the reading was"
    )
    axes.grid(visible=False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks([0, 1], ["healthy", "faulty"])
    axes.set_yticks([0, 1], ["healthy", "faulty"])
    for was in (0, 1):
        for call in (0, 1):
            axes.text(
                call,
                was,
                f"{counts[was, call]:,}\n{shares[was, call]:.1%}",
                ha="center",
                va="center",
                color="white" if shares[was, call] > 0.5 else "black",
            )
    return figure


def _reliability(evaluation: Evaluation) -> Figure:
    error = evaluation.model["expected_calibration_error"]
    figure, axes = _axes(
        f"Reliability, expected calibration error {error:.4f}", "probability said", "share of faults seen"
    )
    bins = reliability(evaluation.labels, evaluation.probabilities)
    axes.plot([0, 1], [0, 1], "--", color=_REFERENCE, label="calibrated")
    said, seen = ([item[i] for item in bins] for i in (1, 2))
    # One standard error of a share: in a bin with few rows the share means little, and the bar shows it.
    bars = [(share * (1 - share) / rows) ** 0.5 for rows, _, share in bins]
    axes.errorbar(said, seen, yerr=bars, fmt="o", color=_FAULTY, capsize=3, label="model, one standard error")
    for rows, x, y in bins:
        axes.annotate(f"{rows:,}", (x, y), textcoords="offset points", xytext=(8, -4), fontsize=9)
    axes.set(xlim=(-0.03, 1.1), ylim=(-0.05, 1.08))
    axes.legend(loc="upper left", title="the numbers are rows")
    return figure


def _losses(losses: Mapping[str, Sequence[float]]) -> Figure:
    figure, axes = _axes("Loss while training", "epoch", "cross-entropy (nats)")
    for (name, values), colour, line in zip(losses.items(), (_HEALTHY, _FAULTY), ("-", "--"), strict=False):
        axes.plot(range(1, len(values) + 1), values, line, color=colour, label=name)
    axes.legend()
    return figure
