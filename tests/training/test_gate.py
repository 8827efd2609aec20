"""The gate: a better model passes; a worse one, an equal one and one that is better by luck do not."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from training.gate import CannotBeJudged, Comparison, Rival, Rule, compare, decide

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RULE = Rule(confidence=0.95, resamples=400, seed=1)


def sigmoid(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-odds)))


def plant(rng: np.random.Generator, rows: int) -> tuple[Ints, Floats]:
    """Labels and the log-odds that the best of all models would say."""
    odds = rng.normal(0, 2, rows)
    return (rng.random(rows) < sigmoid(odds)).astype(np.int64), odds


def rival(name: str, odds: Floats) -> Rival:
    return Rival(name, sigmoid(odds), 0.5)


def judged(
    seed: int, rows: int, champion_noise: float, challenger_noise: float, rule: Rule = RULE
) -> Comparison:
    """Two models that know the odds up to a scatter of their own."""
    rng = np.random.default_rng(seed)
    labels, odds = plant(rng, rows)
    champion = rival("fan:1", odds + rng.normal(0, champion_noise, rows))
    challenger = rival("fan:2", odds + rng.normal(0, challenger_noise, rows))
    return compare(labels, np.arange(rows), champion, challenger, rule)


def told(comparison: Comparison) -> tuple[bool, str]:
    decision = decide({"test set": comparison}, "fan:1", "fan:2", RULE)
    return decision.passed, decision.reason


def test_a_better_model_passes_and_the_reason_has_the_figures() -> None:
    passed, reason = told(judged(1, 4000, champion_noise=1.5, challenger_noise=0.5))
    assert passed
    assert reason.startswith("fan:2 is better than fan:1 with 95% confidence: on the test set (4000 rows)")


def test_a_worse_model_is_refused() -> None:
    passed, reason = told(judged(1, 4000, champion_noise=0.5, challenger_noise=1.5))
    assert not passed
    assert reason.startswith("fan:2 is not better than fan:1: log loss 0.")


def test_the_very_same_model_is_refused() -> None:
    rng = np.random.default_rng(3)
    labels, odds = plant(rng, 1000)
    same = rival("fan:1", odds)
    assert told(compare(labels, np.arange(1000), same, replace(same, model_id="fan:2"), RULE))[0] is False


def test_a_model_that_is_better_by_luck_alone_is_refused() -> None:
    lucky = [found for seed in range(40) if (found := judged(seed, 400, 1.0, 1.0)).log_loss.gain > 0]
    assert len(lucky) > 10
    refused = [reason for passed, reason in map(told, lucky) if not passed]
    assert len(refused) >= len(lucky) - 5
    assert all("by no more than noise" in reason for reason in refused)


def test_who_is_better_on_the_frozen_set_and_not_on_the_newest_rows_is_refused() -> None:
    better, worse = judged(1, 4000, 1.5, 0.5), judged(2, 4000, 0.5, 1.5)
    decision = decide({"test set": better, "newest labelled data": worse}, "fan:1", "fan:2", RULE)
    assert not decision.passed
    assert "of the newest labelled data" in decision.reason


def test_a_model_with_a_threshold_that_misses_faults_is_refused_although_its_log_loss_is_lower() -> None:
    rng = np.random.default_rng(5)
    labels, odds = plant(rng, 4000)
    champion = rival("fan:1", odds + rng.normal(0, 1.5, 4000))
    challenger = replace(rival("fan:2", odds), threshold=0.99)
    found = compare(labels, np.arange(4000), champion, challenger, RULE)
    assert found.log_loss.low > 0
    passed, reason = told(found)
    assert not passed
    assert "fan:2 is worse than fan:1 at its threshold on the test set: balanced error" in reason


@pytest.mark.parametrize("rows", [100, 400])
def test_equal_models_pass_no_more_often_than_the_confidence_says(rows: int) -> None:
    seeds = 600
    passes = sum(judged(seed, rows, 1.0, 1.0).log_loss.low > 0 for seed in range(seeds))
    # 5 % of 600 are 30; three standard errors of that share are 16 more.
    assert passes <= 46
    # And it is no wall: a bound that nothing passes would be of no use.
    assert passes >= 8


def test_the_interval_holds_the_true_gain_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    _, odds = plant(rng, 400_000)
    truth = sigmoid(odds)

    def expected_loss(noise: float) -> float:
        said = sigmoid(odds + rng.normal(0, noise, len(odds)))
        return float(np.mean(-truth * np.log(said) - (1 - truth) * np.log1p(-said)))

    gain = expected_loss(1.2) - expected_loss(0.8)
    held = [judged(seed, 400, 1.2, 0.8) for seed in range(400)]
    below = sum(found.log_loss.low <= gain for found in held) / len(held)
    above = sum(found.log_loss.high >= gain for found in held) / len(held)
    assert below == pytest.approx(0.95, abs=0.035)
    assert above == pytest.approx(0.95, abs=0.035)


def test_rows_that_follow_each_other_count_as_one_stretch_or_luck_would_pass() -> None:
    """Fifty rows of a stretch share one error of each model: 2,000 rows tell as much as 40."""

    def passes(seed: int, *, by_stretch: bool) -> bool:
        rng = np.random.default_rng(seed)
        stretch = np.repeat(np.arange(40), 50)
        labels = np.repeat(np.arange(40) % 2, 50)
        odds = np.where(labels == 1, 1.5, -1.5)
        one, other = (rival(name, odds + rng.normal(0, 1, 40)[stretch]) for name in ("fan:1", "fan:2"))
        blocks = stretch if by_stretch else np.arange(2000)
        return compare(labels, blocks, one, other, RULE).log_loss.low > 0

    # 5 % of 600 and three standard errors, as above.
    assert sum(passes(seed, by_stretch=True) for seed in range(600)) <= 46
    assert sum(passes(seed, by_stretch=False) for seed in range(100)) >= 25


def test_the_same_rows_and_seed_give_the_same_bounds() -> None:
    assert judged(7, 500, 1, 1) == judged(7, 500, 1, 1)
    assert judged(7, 500, 1, 1) != judged(7, 500, 1, 1, replace(RULE, seed=2))


def test_rows_of_one_kind_are_judged_by_log_loss_alone() -> None:
    rng = np.random.default_rng(1)
    healthy = np.zeros(300, dtype=np.int64)
    found = compare(
        healthy,
        np.arange(300),
        rival("fan:1", rng.normal(-1, 1, 300)),
        rival("fan:2", rng.normal(-3, 1, 300)),
        RULE,
    )
    assert found.balanced_error is None
    assert told(found)[0]


def test_too_few_stretches_and_no_row_get_a_sentence() -> None:
    labels = np.repeat([0, 1], 100)
    said = rival("fan:1", np.zeros(200))
    with pytest.raises(CannotBeJudged, match="5 separate stretches of faulty rows; expected at least 20"):
        compare(labels, np.concatenate([np.arange(100), np.repeat(np.arange(5), 20)]), said, said, RULE)
    with pytest.raises(CannotBeJudged, match="no labelled row"):
        compare(labels[:0], labels[:0], rival("a", np.zeros(0)), rival("b", np.zeros(0)), RULE)
