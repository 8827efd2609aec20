"""One picture for each recording: the evidence, its limit, the labelled fault and what was called one."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from evaluation.outliers import OutlierScore, stretches
from evaluation.skab import Judged

# Blue and orange are told apart with any colour vision; the bars lie at different heights as well.
_EVIDENCE = "#1f6fb4"
_FAULT = "#d9730d"
_LABEL = "#555555"
_STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "grid.alpha": 0.3,
    "savefig.dpi": 100,
}
_HIGHEST = 12.0


def write_plot(folder: Path, judged: Judged) -> Path:
    """Write the picture of one recording, named after it; returns its path."""
    path = folder / f"{judged.name.removesuffix('.csv').replace('/', '-')}.png"
    with mpl.rc_context(_STYLE):
        _figure(judged).savefig(path)
    return path


def _figure(judged: Judged) -> Figure:
    figure = Figure(figsize=(10, 4))
    axes = figure.subplots()
    rows = np.arange(len(judged.scores))
    shown = np.where(rows < judged.learned_rows, np.nan, np.minimum(judged.scores, _HIGHEST))
    axes.plot(
        rows, shown, color=_EVIDENCE, linewidth=1, label="evidence: the largest deviation of any channel"
    )
    axes.axhline(1, color="black", linestyle="--", linewidth=1, label="limit")
    axes.axvspan(0, judged.learned_rows, color="#eeeeee", label="healthy stretch, learned from")
    bars = (
        ("labelled a fault", judged.labels == 1, _LABEL, -0.5),
        ("called a fault", judged.called, _FAULT, -1.1),
    )
    for name, mask, colour, height in bars:
        spans = [(stretch.first, stretch.last + 1 - stretch.first) for stretch in stretches(mask)]
        axes.broken_barh(spans, (height, 0.45), color=colour, label=name)
    axes.set(
        title=f"{judged.name}: {_summary(judged.score)}",
        xlabel="reading",
        ylabel="deviation (limits)",
        xlim=(0, len(rows)),
        ylim=(-1.3, max(2.0, float(np.nanmax(shown)) * 1.05)),
    )
    axes.legend(loc="upper left", fontsize=9)
    return figure


def _summary(score: OutlierScore) -> str:
    parts = (("F1", score.f1), ("false alarms", score.far), ("missed", score.mar))
    return ", ".join(
        f"{name} -" if value is None else f"{name} {value:.2f}" if name == "F1" else f"{name} {value:.1%}"
        for name, value in parts
    )
