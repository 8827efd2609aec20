"""Evidence gathered over time: drift and noise are no fault, what leaves its own limits is, and its end is seen."""

import json
import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from monitor.diagnosis.gathering import (
    Gathered,
    Gathering,
    independent_values,
    log_odds,
    wander,
)
from monitor.diagnosis.plant import GatheringSettings

SETTINGS = GatheringSettings(healthy_readings=400)
WELL = 0.01

Values = npt.NDArray[np.float64]


def noise(rows: int, seed: int = 1) -> Values:
    return np.random.default_rng(seed).normal(100, 2, rows)


def gather(values: Values, probabilities: Values | None = None) -> list[Gathered]:
    gathering = Gathering(["flow"], SETTINGS)
    odds = np.full(len(values), WELL) if probabilities is None else probabilities
    return [gathering.step([value], odd) for value, odd in zip(values.tolist(), odds.tolist(), strict=True)]


def changes(gathered: list[Gathered]) -> list[int]:
    return [row + 1 for row, (before, now) in enumerate(pairwise(gathered)) if before.fault != now.fault]


def test_nothing_is_decided_while_it_learns() -> None:
    gathered = gather(noise(401))
    assert [each.learning for each in gathered] == [True] * 400 + [False]
    assert gathered[399] == Gathered(learning=True, fault=False, score=0.0, channel=None)
    assert gathered[400].channel in {"flow", "model"}


def test_a_healthy_signal_stays_well_for_hours() -> None:
    for seed in range(10):
        assert sum(each.fault for each in gather(noise(4000, seed))) < 40


def test_a_shift_is_found_named_and_over_when_it_is_over() -> None:
    values = noise(1400)
    values[700:1000] -= 6
    gathered = gather(values)
    began, ended = changes(gathered)
    assert 700 <= began <= 715
    assert 1000 <= ended <= 1060
    assert gathered[900].channel == "flow"
    assert gathered[900].score > 1


def test_a_shift_that_lasts_is_not_learned() -> None:
    values = noise(5000)
    values[700:] -= 6
    assert all(each.fault for each in gather(values)[750:])


def test_what_drifts_slowly_is_no_fault() -> None:
    values = noise(4000)
    values[400:] += np.linspace(0, 10, 3600)  # five deviations in an hour, where two at once are a fault
    assert sum(each.fault for each in gather(values)) < 40


def test_a_signal_that_wandered_while_it_was_learned_is_given_room() -> None:
    rng = np.random.default_rng(7)
    walk = 100 + np.cumsum(rng.normal(0, 0.2, 400))
    values = np.concatenate([walk, walk[-1] + np.linspace(0, 3, 300)])
    assert not any(each.fault for each in gather(values))


def test_the_models_verdicts_count_like_a_signal() -> None:
    rng = np.random.default_rng(3)
    odds = rng.normal(-5, 1, 1400)
    odds[700:1000] += 6
    gathered = gather(noise(1400), 1 / (1 + np.exp(-odds)))
    began, ended = changes(gathered)
    assert 700 <= began <= 720
    assert 1000 <= ended <= 1060
    assert gathered[900].channel == "model"


def test_a_single_spike_is_no_fault() -> None:
    values = noise(900)
    values[700] += 20
    assert not any(each.fault for each in gather(values))


def test_probabilities_of_0_and_1_are_bounded_evidence() -> None:
    assert log_odds(0.0) == -16
    assert log_odds(1.0) == 16
    assert log_odds(0.5) == 0
    assert log_odds(1e-300) == -16


def test_a_restart_from_the_kept_state_changes_nothing() -> None:
    values = noise(1200)
    values[600:800] += 6
    whole = gather(values)
    for stop in (250, 400, 650, 805):
        first = Gathering(["flow"], SETTINGS)
        for value in values[:stop].tolist():
            first.step([value], WELL)
        second = Gathering.of_state(json.loads(json.dumps(first.state())), SETTINGS)
        assert [second.step([value], WELL) for value in values[stop:].tolist()] == whole[stop:]


def test_a_healthy_stretch_too_short_to_learn_from_is_refused() -> None:
    with pytest.raises(ValueError, match="healthy_readings is 59; expected at least 60"):
        GatheringSettings(healthy_readings=59)


def test_a_reading_of_another_width_is_a_mistake_and_not_cut_short() -> None:
    gathering = Gathering(["flow", "power"], GatheringSettings(healthy_readings=60))
    for value in noise(60).tolist():
        gathering.step([value, 1.0], WELL)
    with pytest.raises(ValueError, match="zip"):
        gathering.step([1.0], WELL)


def test_independent_values_are_those_of_theory_for_a_first_order_process() -> None:
    rng = np.random.default_rng(11)
    correlation = 0.8
    values = [0.0]
    for step in rng.normal(0, 1, 39_999).tolist():
        values.append(correlation * values[-1] + step)
    theory = (1 - correlation) / (1 + correlation)
    assert independent_values(values[:4000]) == pytest.approx(4000 * theory, rel=0.15)
    # A long stretch is averaged first, so that learning from it takes no minutes; enough is enough.
    assert 1500 < independent_values(values) < 4000


def test_the_time_constants_follow_the_healthy_stretch_unless_they_are_given() -> None:
    short, long = GatheringSettings(), GatheringSettings(healthy_readings=6400)
    assert (short.smoothing, short.level, short.off_delay) == (15, 100, 15)
    assert (long.smoothing, long.level, long.off_delay) == (60, 1600, 60)
    given = GatheringSettings(
        healthy_readings=6400, smoothing_readings=6, level_readings=50, off_delay_readings=0
    )
    assert (given.smoothing, given.level, given.off_delay) == (6, 50, 0)
    assert short.most_deviations == 3.4
    assert long.most_deviations == pytest.approx(4.06, abs=0.01)
    assert GatheringSettings(healthy_readings=6400, limit=3).most_deviations == 3


def test_averaged_readings_are_weighed_as_one() -> None:
    values = noise(4200)
    values[2400:3000] -= 6
    settings = GatheringSettings(healthy_readings=400, averaged_readings=3)
    gathering, plain = Gathering(["flow"], settings), Gathering(["flow"], SETTINGS)
    stepped = [gathering.step([value], WELL) for value in values.tolist()]
    averaged = [plain.step([value], WELL) for value in values.reshape(-1, 3).mean(axis=1).tolist()]
    assert [each.fault for each in stepped[2::3]] == [each.fault for each in averaged]
    assert [each.score for each in stepped[2::3]] == pytest.approx([each.score for each in averaged])
    assert stepped[2402] is not stepped[2401] is stepped[2400]
    assert any(each.fault for each in stepped)
    for stop in (100, 1201, 2500):
        first = Gathering(["flow"], settings)
        for value in values[:stop].tolist():
            first.step([value], WELL)
        second = Gathering.of_state(json.loads(json.dumps(first.state())), settings)
        assert [second.step([value], WELL) for value in values[stop:].tolist()] == stepped[stop:]


def test_wander_is_near_0_for_noise_and_near_1_for_a_walk() -> None:
    steps = np.random.default_rng(12).normal(0, 1, 400)
    assert wander(steps.tolist()) < 0.3
    assert wander(np.cumsum(steps).tolist()) > 0.9


def reference(rows: Values) -> npt.NDArray[np.bool_]:
    """The same over whole arrays [n, channels], written from the description and not from the code."""
    s, healthy = SETTINGS, rows[: SETTINGS.healthy_readings]

    def follow(values: Values, start: Values, constant: float) -> Values:
        out, state = np.empty_like(values), start.copy()
        for row, value in enumerate(values):
            state = state + (value - state) / constant
            out[row] = state
        return out

    smooth = follow(healthy, healthy[:20].mean(axis=0), s.smoothing)
    level = follow(smooth, healthy[:60].mean(axis=0), s.level)
    before = np.vstack([healthy[:60].mean(axis=0), level[:-1]])
    left = (smooth - before)[40:]
    centred = left - left.mean(axis=0)
    scatter = healthy.std(axis=0)
    limits = np.empty(rows.shape[1])
    for k in range(rows.shape[1]):
        correlations = np.correlate(centred[:, k], centred[:, k], "full")[len(left) - 1 :]
        correlations = correlations / correlations[0]
        pairs = correlations[: len(left) // 2 * 2].reshape(-1, 2).sum(axis=1)
        positive = pairs[: np.argmax(pairs <= 0)] if (pairs <= 0).any() else pairs
        independent = max(2.0, len(left) / max(1.0, 2 * positive.sum() - 1))
        moving = np.convolve(healthy[:, k], np.ones(20) / 20, "valid")
        wandering = min(0.99, moving.std() / scatter[k])
        rms = math.sqrt(np.mean(left[:, k] ** 2))
        limits[k] = max(
            s.most_deviations * rms * (1 + 2 / independent) / (1 - wandering**2), s.least_limit * scatter[k]
        )
    limits[-1] *= s.model_limit
    now, usual = smooth[-1].copy(), level[-1].copy()
    strayed = np.zeros(len(limits), dtype=bool)
    returning, peak, least = strayed.copy(), np.zeros(len(limits)), np.zeros(len(limits))
    called = np.zeros(len(rows), dtype=bool)
    for row in range(len(healthy), len(rows)):
        now = now + (rows[row] - now) / s.smoothing
        away = np.abs(now - usual)
        peak = np.where(strayed, np.maximum(peak, away), peak)
        back = strayed & (away < np.maximum(limits, s.return_share * peak))
        out = ~strayed & (away > limits + np.where(returning, least, 0))
        peak = np.where(out, away, peak)
        least = np.where(back, away, least)
        strayed = (strayed | out) & ~back
        returning = (returning | back) & ~strayed & (away > limits)
        least = np.where(returning, np.minimum(least, away), 0)
        usual = np.where(strayed, usual, usual + (now - usual) / s.level)
        called[row] = strayed.any()
    held = called.copy()
    for delay in range(1, s.off_delay + 1):
        held[delay:] |= called[:-delay]
    return held


def test_step_by_step_and_over_whole_arrays_it_is_the_same() -> None:
    rng = np.random.default_rng(21)
    for seed in range(6):
        values = np.column_stack(
            [
                noise(1200, seed),
                100 + np.cumsum(rng.normal(0, 0.2, 1200)),
                np.sin(np.arange(1200) / 11) + rng.normal(0, 0.3, 1200),
            ]
        )
        values[500:700, 0] -= rng.uniform(2, 30)
        values[800:900, 2] += 3
        probabilities = rng.uniform(0.001, 0.05, 1200)
        gathering = Gathering(["a", "b", "c"], SETTINGS)
        stepped = [
            gathering.step(row, probability).fault
            for row, probability in zip(values.tolist(), probabilities.tolist(), strict=True)
        ]
        odds = np.log(probabilities / (1 - probabilities))
        assert stepped == reference(np.column_stack([values, odds])).tolist()
        assert any(stepped)
