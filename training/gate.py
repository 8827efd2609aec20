"""The gate: is a new model better than the one in use, by more than noise? Pure: probabilities in, a decision out.

What decides is the log loss, a proper score: it falls when a model is surer of what is right, and a threshold that
somebody moved does not change it. The balanced error at each model's own threshold is what people see; it may not be
worse by more than noise.

Noise is what the paired bootstrap says (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and
16): both models are scored on the same rows, and the rows are drawn again, with what both models said of them. Rows of
one machine that follow each other are alike and no news; so blocks are drawn, not rows, and within each kind of block
(healthy, faulty), because how many are ill is no merit of a model.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap, norm
from scipy.stats import t as student

FEWEST_BLOCKS = 20
"""Of each kind: with fewer, one odd block decides, and no drawing again can know how odd blocks can be."""

_LEAST_PROBABILITY = 1e-7
_BATCH = 1 << 21  # numbers drawn at a time


class CannotBeJudged(ValueError):  # noqa: N818 - it names the state
    """Too little to compare two models by; says what there is and what was expected."""


@dataclass(frozen=True)
class Rival:
    """What one model says of some rows.

    Attributes:
        model_id: Name and version, for people.
        probabilities: [n], of a fault.
        threshold: From which on it calls a row a fault.
    """

    model_id: str
    probabilities: npt.NDArray[np.float64]
    threshold: float


@dataclass(frozen=True)
class Rule:
    """What counts as more than noise.

    Attributes:
        confidence: Of each bound, one-sided: equal models pass in one of 1/(1 - confidence) cases, at most.
        resamples: Draws.
        seed: Of the draws; the same rows and seed give the same decision.
    """

    confidence: float = 0.95
    resamples: int = 2000
    seed: int = 1


@dataclass(frozen=True)
class Gain:
    """How much less of a loss the challenger has than the champion.

    Attributes:
        champion: The champion's mean loss.
        challenger: The challenger's.
        low: The gain's lower bound, one-sided.
        high: Its upper bound, one-sided.
    """

    champion: float
    challenger: float
    low: float
    high: float

    @property
    def gain(self) -> float:
        """The champion's loss less the challenger's."""
        return self.champion - self.challenger


@dataclass(frozen=True)
class Comparison:
    """Two models on one set of rows.

    Attributes:
        rows: How many.
        faulty: How many of them are faults.
        blocks: How many are drawn from.
        log_loss: In nats a row.
        balanced_error: Mean of the shares of faults missed and of false alarms; None when the rows are of one kind.
    """

    rows: int
    faulty: int
    blocks: int
    log_loss: Gain
    balanced_error: Gain | None


@dataclass(frozen=True)
class Decision:
    """Whether the challenger passes, and why in a sentence."""

    passed: bool
    reason: str


def compare(
    labels: npt.NDArray[np.int64],
    blocks: npt.NDArray[np.int64],
    champion: Rival,
    challenger: Rival,
    rule: Rule,
) -> Comparison:
    """Bound what the challenger gains on some rows.

    Args:
        labels: [n], 1 is a fault.
        blocks: [n], the number of the block that a row belongs to; a number of its own where rows are independent.
        champion: What is in use.
        challenger: What may take its place.
        rule: What counts as noise.

    Raises:
        CannotBeJudged: Fewer than 20 blocks of a kind that is there, or no row.
    """
    kinds = [labels == kind for kind in (0, 1) if (labels == kind).any()]
    if not kinds:
        raise CannotBeJudged("there is no labelled row")
    losses = _log_losses(labels, champion), _log_losses(labels, challenger)
    errors = _errors(labels, champion), _errors(labels, challenger)
    log_loss_blocks = [_Blocks.of(blocks[kind], losses[0][kind] - losses[1][kind]) for kind in kinds]
    for kind, of_kind in zip(kinds, log_loss_blocks, strict=True):
        if len(of_kind.rows) < FEWEST_BLOCKS:
            raise CannotBeJudged(
                f"{len(of_kind.rows)} separate stretches of {'faulty' if labels[kind][0] else 'healthy'} rows; "
                f"expected at least {FEWEST_BLOCKS} to tell a difference from noise"
            )
    weights = [float(kind.mean()) for kind in kinds]
    low, high = _bounds(log_loss_blocks, weights, rule)
    log_loss = Gain(float(losses[0].mean()), float(losses[1].mean()), low, high)
    balanced = None
    if len(kinds) == 2:
        error_blocks = [_Blocks.of(blocks[kind], errors[0][kind] - errors[1][kind]) for kind in kinds]
        low, high = _bounds(error_blocks, [0.5, 0.5], rule)
        champions, challengers = (float(np.mean([said[kind].mean() for kind in kinds])) for said in errors)
        balanced = Gain(champions, challengers, low, high)
    return Comparison(
        rows=len(labels),
        faulty=int(labels.sum()),
        blocks=sum(len(of_kind.rows) for of_kind in log_loss_blocks),
        log_loss=log_loss,
        balanced_error=balanced,
    )


def decide(comparisons: dict[str, Comparison], champion: str, challenger: str, rule: Rule) -> Decision:
    """Pass who is better on every set.

    Args:
        comparisons: By the name of the set, as it stands in the reason; at least one.
        champion: Its name and version.
        challenger: Its name and version.
        rule: By which they were made.
    """
    for name, found in comparisons.items():
        loss, error = found.log_loss, found.balanced_error
        figures = (
            f"log loss {loss.challenger:.4f} against {loss.champion:.4f} on {found.rows} rows of the {name}, a gain of "
            f"{loss.gain:+.4f}, at least {loss.low:+.4f} with {rule.confidence:.0%} confidence"
        )
        if loss.gain <= 0:
            return Decision(False, f"{challenger} is not better than {champion}: {figures}")
        if loss.low <= 0:
            return Decision(False, f"{challenger} is better than {champion} by no more than noise: {figures}")
        if error is not None and error.high < 0:
            return Decision(
                False,
                f"{challenger} is worse than {champion} at its threshold on the {name}: balanced error "
                f"{error.challenger:.4f} against {error.champion:.4f}, although its {figures}",
            )
    told = "; ".join(
        f"on the {name} ({found.rows} rows) its log loss is {found.log_loss.challenger:.4f} against "
        f"{found.log_loss.champion:.4f}, lower by at least {found.log_loss.low:.4f}"
        for name, found in comparisons.items()
    )
    return Decision(
        True, f"{challenger} is better than {champion} with {rule.confidence:.0%} confidence: {told}"
    )


@dataclass(frozen=True)
class _Blocks:
    """Sums over the rows of each block, and how many rows that are."""

    sums: npt.NDArray[np.float64]
    rows: npt.NDArray[np.float64]

    @classmethod
    def of(cls, blocks: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> "_Blocks":
        _, index = np.unique(blocks, return_inverse=True)
        return cls(
            np.bincount(index, weights=values).astype(np.float64), np.bincount(index).astype(np.float64)
        )

    def mean(self, drawn: npt.NDArray[np.int64], axis: int) -> npt.NDArray[np.float64]:
        return np.asarray(self.sums[drawn].sum(axis=axis) / self.rows[drawn].sum(axis=axis))


def _bounds(kinds: list[_Blocks], weights: list[float], rule: Rule) -> tuple[float, float]:
    """One-sided bounds of the weighted sum of the kinds' means, by the percentiles of the draws.

    The percentiles are the expanded ones of Hesterberg (What Teachers Should Know About the Bootstrap, The American
    Statistician 69, 2015, section 3.4): draws of n blocks scatter by sqrt((n - 1)/n) too little, and their quantiles
    are the normal distribution's where Student's are due. n is that of the kind with fewer blocks.
    """

    def statistic(*drawn: npt.NDArray[np.int64], axis: int) -> npt.NDArray[np.float64]:
        means = [of_kind.mean(index, axis) for of_kind, index in zip(kinds, drawn, strict=True)]
        return np.asarray(sum(weight * mean for weight, mean in zip(weights, means, strict=True)))

    fewest, most = (chosen(len(of_kind.rows) for of_kind in kinds) for chosen in (min, max))
    expanded = norm.cdf(np.sqrt(fewest / (fewest - 1)) * student.ppf(rule.confidence, fewest - 1))
    interval = bootstrap(
        [np.arange(len(of_kind.rows)) for of_kind in kinds],
        statistic,
        n_resamples=rule.resamples,
        batch=max(1, _BATCH // most),
        vectorized=True,
        confidence_level=2 * expanded - 1,  # both bounds of it are one-sided ones
        method="percentile",
        rng=np.random.default_rng(rule.seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def _log_losses(labels: npt.NDArray[np.int64], rival: Rival) -> npt.NDArray[np.float64]:
    sure = np.clip(rival.probabilities, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.asarray(-np.where(labels == 1, np.log(sure), np.log1p(-sure)))


def _errors(labels: npt.NDArray[np.int64], rival: Rival) -> npt.NDArray[np.float64]:
    return np.asarray((rival.probabilities >= rival.threshold) != (labels == 1), dtype=np.float64)
