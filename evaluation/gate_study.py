"""How often the gate lets a new model pass, by how much better it really is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from evaluation.study_plots import BLUE, GREY, ORANGE, STYLE
from training.gate import Rival, Rule, compare, decide

CHAMPION_SCATTER = 1.0
CHALLENGER_SCATTERS = (1.3, 1.15, 1.05, 1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
_TRUTH_ROWS = 400_000
_MORE_OF_EQUAL = 5

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GatePoint:
    """One kind of challenger on one size of a set.

    Attributes:
        rows: Of the set.
        true_gain: How much lower its log loss is, over all rows that there could be (nats).
        passed: Share of the draws in which it passed.
    """

    rows: int
    true_gain: float
    passed: float


def study_gate(sizes: Sequence[int], repeats: int, rule: Rule) -> Iterator[GatePoint]:
    """Draw pairs of models that know each row's log-odds up to a scatter of their own, and ask the gate.

    Args:
        sizes: Rows of the set.
        repeats: Draws of each point, five times as many of equal models; each has a seed of its own.
        rule: Of the gate.
    """
    rng = np.random.default_rng(0)
    odds, noise = rng.normal(0, 2, _TRUTH_ROWS), rng.normal(0, 1, _TRUTH_ROWS)
    usual = _expected_loss(odds, odds + CHAMPION_SCATTER * noise)
    for rows in sizes:
        for scatter in CHALLENGER_SCATTERS:
            gain = usual - _expected_loss(odds, odds + scatter * noise)
            # What equal models do is what is promised, so that share is to be known best.
            draws = repeats * _MORE_OF_EQUAL if scatter == CHAMPION_SCATTER else repeats
            passed = [_passes(rows, scatter, seed, rule) for seed in range(draws)]
            yield GatePoint(rows, gain, float(np.mean(passed)))


def plot_gate(path: Path, points: Sequence[GatePoint], rule: Rule) -> None:
    """Share that passes by the true gain, a line for each size of the set."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 4))
        axes = figure.subplots()
        sizes = sorted({point.rows for point in points})
        for rows, colour, line in zip(sizes, (BLUE, ORANGE, "black"), ("-", "--", ":"), strict=False):
            of_size = sorted((point.true_gain, 100 * point.passed) for point in points if point.rows == rows)
            axes.plot(*zip(*of_size, strict=True), line, marker="o", color=colour, label=f"{rows:,} rows")
        chance = 100 * (1 - rule.confidence)
        axes.axhline(chance, color=GREY, linestyle="--", linewidth=1)
        axes.annotate(
            f"{chance:.0f} %, allowed for equal models", (axes.get_xlim()[0], chance + 2), color=GREY
        )
        axes.axvline(0, color=GREY, linewidth=1)
        axes.set_xlabel("true gain of the challenger, nats a row (left of 0 it is worse)")
        axes.set_ylabel("share that passes the gate, %")
        axes.legend(frameon=False, loc="upper left")
        figure.savefig(path)


def _passes(rows: int, scatter: float, seed: int, rule: Rule) -> bool:
    rng = np.random.default_rng([seed, rows, round(100 * scatter)])
    odds = rng.normal(0, 2, rows)
    labels = (rng.random(rows) < _sigmoid(odds)).astype(np.int64)
    champion = Rival("old", _sigmoid(odds + rng.normal(0, CHAMPION_SCATTER, rows)), 0.5)
    challenger = Rival("new", _sigmoid(odds + rng.normal(0, scatter, rows)), 0.5)
    found = compare(labels, np.arange(rows), champion, challenger, rule)
    return decide({"set": found}, "old", "new", rule).passed


def _expected_loss(odds: Floats, said: Floats) -> float:
    truth, probability = _sigmoid(odds), _sigmoid(said)
    return float(np.mean(-truth * np.log(probability) - (1 - truth) * np.log1p(-probability)))


def _sigmoid(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-odds)))
