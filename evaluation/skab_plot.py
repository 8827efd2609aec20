"""One picture for each recording: the evidence, its limit, the labelled fault and what was called one."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from evaluation.outliers import OutlierScore, stretches
from evaluation.skab import Judged
from training.report import STYLE

# Blue and orange are told apart with any colour vision; the bars lie at different heights as well.
_EVIDENCE = "#1f6fb4"
_FAULT = "#d9730d"
_LABEL = "#555555"
_LEARNED = "#eeeeee"
_HIGHEST = 12.0


def write_plot(folder: Path, judged: Judged) -> Path:
    """Write the picture of one recording, named after it; returns its path."""
    path = folder / f"{judged.name.removesuffix('.csv').replace('/', '-')}.png"
    with mpl.rc_context(STYLE):
        _figure(judged).savefig(path)
    return path


def _figure(judged: Judged) -> Figure:
    figure = Figure(figsize=(10, 4.6))
    evidence, called = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    rows = np.arange(len(judged.scores))
    shown = np.where(rows < judged.learned_rows, np.nan, np.minimum(judged.scores, _HIGHEST))
    evidence.axvspan(0, judged.learned_rows, color=_LEARNED)
    evidence.text(
        judged.learned_rows / 2, 0.05, "learned from", ha="center", transform=evidence.get_xaxis_transform()
    )
    evidence.plot(rows, shown, color=_EVIDENCE, linewidth=1.2, label="largest deviation of any channel")
    evidence.axhline(1, color="black", linestyle="--", linewidth=1, label="its limit")
    evidence.set(
        title=f"{judged.name}: {_summary(judged.score)}",
        ylabel="deviation (limits)",
        xlim=(0, len(rows)),
        ylim=(0, max(2.0, float(np.nanmax(shown)) * 1.05)),
    )
    evidence.legend(loc="upper left")
    bars = ((judged.labels == 1, _LABEL, 1), (judged.called, _FAULT, 0))
    for mask, colour, height in bars:
        spans = [(stretch.first, stretch.last + 1 - stretch.first) for stretch in stretches(mask)]
        called.broken_barh(spans, (height - 0.35, 0.7), color=colour)
    called.axvspan(0, judged.learned_rows, color=_LEARNED)
    called.set(xlabel="reading", ylim=(-0.6, 1.6))
    called.set_yticks([1, 0], ["labelled a fault", "called a fault"])
    called.grid(visible=False, axis="y")
    return figure


def _summary(score: OutlierScore) -> str:
    parts = (("F1", score.f1), ("false alarms", score.far), ("missed", score.mar))
    return ", ".join(
        f"{name} -" if value is None else f"{name} {value:.2f}" if name == "F1" else f"{name} {value:.1%}"
        for name, value in parts
    )
