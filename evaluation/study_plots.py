"""Plots of the studies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from evaluation.health_study import HealthFigures
from evaluation.wear_study import WearFigures

# Blue and orange are told apart with any colour vision; the markers differ as well.
BLUE = "#1f6fb4"
ORANGE = "#d9730d"
GREY = "#777777"
STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "grid.alpha": 0.3,
    "savefig.dpi": 100,
}
_RUNS_DRAWN = 40


def plot_delays(path: Path, figures: HealthFigures) -> None:
    """Readings from a change of condition until the state has followed."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 3.6))
        axes = figure.subplots()
        bins = np.arange(0.5, 12.6)
        for delays, label, colour, shift in (
            (figures.to_fault, "fan breaks: until the state is a fault", ORANGE, -0.2),
            (figures.to_healthy, "fan is mended: until the state is healthy", BLUE, 0.2),
        ):
            counts, _ = np.histogram(np.minimum(delays, 12), bins)
            axes.bar(np.arange(1, 13) + shift, 100 * counts / len(delays), 0.4, color=colour, label=label)
        axes.axvline(8.5, color=GREY, linestyle="--", linewidth=1)
        axes.text(8.6, axes.get_ylim()[1] * 0.55, "the median\nmust lie left of here", color=GREY)
        axes.set_xticks(range(1, 13), [*map(str, range(1, 12)), "12+"])
        axes.set_xlabel("readings after the change")
        axes.set_ylabel("share of streams, %")
        axes.legend(frameon=False)
        figure.savefig(path)


def plot_wear(path: Path, results: Sequence[WearFigures]) -> None:
    """The intervals of the failure's time against the truth, over the last third of each life."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.4 * len(results), 4.2))
        panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
        for axes, result in zip(panels, results, strict=True):
            for number, run in enumerate(result.runs[:_RUNS_DRAWN]):
                for look in run.looks:
                    if look.interval is not None:
                        low, high = (100 * (edge - 1) for edge in look.interval)
                        x = 100 * look.used + 1.3 * (number / _RUNS_DRAWN - 0.5)
                        axes.vlines(x, low, high, color=BLUE if look.is_true else ORANGE, linewidth=0.7)
            axes.axhline(0, color="black", linewidth=1)
            inside = 100 * result.figures()["failure_in_the_interval"]
            axes.set_title(f"{result.life.name}\nfailure inside {inside:.1f} % of the intervals", fontsize=10)
            axes.set_xlabel("life used, %")
        first = figure.axes[0]
        first.set_ylabel("said failure less true one, % of a life")
        first.plot([], [], color="black", linewidth=1, label="the failure")
        first.plot([], [], color=BLUE, label="90 % interval that holds it")
        first.plot([], [], color=ORANGE, label="interval that misses it")
        handles, labels = first.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
        figure.savefig(path)
