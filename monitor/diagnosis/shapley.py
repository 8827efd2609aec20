"""Which signal has how much to do with a score: Shapley values (L. S. Shapley, A Value for n-Person Games, 1953).

A signal's value is what it adds to the score, averaged over all orders in which the signals may be given to the model;
a signal not given takes values that are usual for it (S. M. Lundberg and S.-I. Lee, A Unified Approach to Interpreting
Model Predictions, 2017). Up to eight signals all coalitions are asked, in one batch; beyond, orders are drawn at
random, each with its reverse (R. Mitchell et al., Sampling Permutations for Shapley Value Estimation, JMLR 23, 2022).
"""

from collections.abc import Callable, Sequence
from math import factorial
from random import Random

Score = Callable[[Sequence[Sequence[float]]], Sequence[float]]
"""Probabilities of n rows [n, k]; raises NotScored when there are none to be had."""

EXACT_UP_TO = 8
_MOST_ROWS = 2048
_MOST_BACKGROUNDS = 16
_PERMUTATIONS = 32


class NotScored(Exception):  # noqa: N818 - a state of the scoring service, not a mistake
    """The model cannot be asked now."""


def usual_rows(ranges: Sequence[tuple[float, float]], count: int, seed: int = 1) -> list[list[float]]:
    """Draw rows [count, k] from the usual ranges [k]; the same seed gives the same."""
    chance = Random(seed)  # noqa: S311 - not a secret
    return [[chance.uniform(low, high) for low, high in ranges] for _ in range(count)]


def shapley_values(
    score: Score, values: Sequence[float], ranges: Sequence[tuple[float, float]], seed: int = 1
) -> list[float]:
    """The share of each signal in the score of one reading, against usual ones.

    Args:
        score: The model.
        values: The reading [k].
        ranges: The usual range of each signal [k].
        seed: Of what is drawn.

    Returns:
        [k] values; exact ones add up to the score less the mean score of the usual rows.

    Raises:
        NotScored: The model cannot be asked.
    """
    if len(values) <= EXACT_UP_TO:
        return _exact(score, values, ranges, seed)
    return _sampled(score, values, ranges, seed)


def _exact(
    score: Score, values: Sequence[float], ranges: Sequence[tuple[float, float]], seed: int
) -> list[float]:
    k = len(values)
    coalitions = 1 << k
    background = usual_rows(ranges, min(_MOST_BACKGROUNDS, _MOST_ROWS // coalitions), seed)
    scores = _asked(
        score,
        [
            [values[i] if coalition >> i & 1 else usual[i] for i in range(k)]
            for coalition in range(coalitions)
            for usual in background
        ],
    )
    n = len(background)
    worth = [sum(scores[coalition * n : (coalition + 1) * n]) / n for coalition in range(coalitions)]
    weights = [factorial(size) * factorial(k - size - 1) / factorial(k) for size in range(k)]
    return [
        sum(
            weights[coalition.bit_count()] * (worth[coalition | 1 << i] - worth[coalition])
            for coalition in range(coalitions)
            if not coalition >> i & 1
        )
        for i in range(k)
    ]


def _sampled(
    score: Score, values: Sequence[float], ranges: Sequence[tuple[float, float]], seed: int
) -> list[float]:
    k = len(values)
    chance = Random(seed)  # noqa: S311 - not a secret
    orders: list[list[int]] = []
    for _ in range(_PERMUTATIONS // 2):
        order = chance.sample(range(k), k)
        orders += [order, order[::-1]]
    background = usual_rows(ranges, len(orders), seed)
    rows = []
    for order, usual in zip(orders, background, strict=True):
        row = list(usual)
        rows.append(list(row))
        for i in order:
            row[i] = values[i]
            rows.append(list(row))
    scores = _asked(score, rows)
    found = [0.0] * k
    for number, order in enumerate(orders):
        begin = number * (k + 1)
        for step, i in enumerate(order):
            found[i] += (scores[begin + step + 1] - scores[begin + step]) / len(orders)
    return found


def _asked(score: Score, rows: list[list[float]]) -> list[float]:
    """The scores of any number of rows, in batches that the scoring service takes."""
    scores: list[float] = []
    for begin in range(0, len(rows), _MOST_ROWS):
        batch = rows[begin : begin + _MOST_ROWS]
        answer = score(batch)
        if len(answer) != len(batch):
            raise NotScored(f"{len(answer)} scores for {len(batch)} rows")
        scores.extend(answer)
    return scores
