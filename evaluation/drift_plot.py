"""The plot of the drift study."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from evaluation.drift_study import DriftFigures
from evaluation.study_plots import BLUE, GREY, ORANGE, STYLE

_PROMISED = 500
_COLOURS = (BLUE, ORANGE, "#2a8c4a", "#7a4fa3")


def plot_drift(path: Path, figures: DriftFigures) -> None:
    """Left: how soon a season is told. Right: how near readings without drift come to a limit."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 4.2))
        soon, near = figure.subplots(1, 2)
        signals = list(dict.fromkeys(name.split()[0] for name in figures.delays))
        for name, delays in figures.delays.items():
            signal, percent, _ = name.split()
            told = np.sort([np.inf if delay is None else delay for delay in delays])
            soon.step(
                told,
                100 * np.arange(1, len(told) + 1) / len(told),
                where="post",
                color=_COLOURS[signals.index(signal) % len(_COLOURS)],
                linestyle="-" if percent.startswith("+") else "--",
                label=name,
            )
        soon.axvline(_PROMISED, color=GREY, linestyle=":")
        soon.set_xlim(0, 800)
        soon.set_ylim(0, 101)
        soon.set_xlabel("readings of the fleet since the drift began")
        soon.set_ylabel("trials in which the season is told, %")
        soon.legend(frameon=False, fontsize=9, loc="lower right")
        bins = np.linspace(0.5, 1.1, 13)
        stretches = list(figures.nearest.values())
        near.hist(stretches, bins, label=list(figures.nearest), color=_COLOURS[: len(stretches)])
        near.set_ylim(0, 1.5 * near.get_ylim()[1])
        near.yaxis.get_major_locator().set_params(integer=True)
        near.axvline(1, color=GREY, linestyle=":")
        near.text(1.01, near.get_ylim()[1] * 0.8, "a flag", color=GREY)
        near.set_xlabel("nearest to a limit in a stretch without drift (1 is the limit)")
        near.set_ylabel("stretches")
        near.legend(frameon=False, fontsize=9)
        figure.savefig(path)
