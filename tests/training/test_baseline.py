"""The baseline: learned from healthy rows alone, for any number of signals."""

import numpy as np
import pytest

from training.baseline import NotEnoughHealth, learn_baseline

NAMES = ("speed", "power", "warmth")


def healthy(rows: int, seed: int = 1) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """A speed, a power that goes with it, and a warmth that wanders."""
    rng = np.random.default_rng(seed)
    speed = rng.normal(600, 10, rows)
    warmth = 40 + np.cumsum(rng.normal(0, 0.1, rows))
    return np.column_stack([speed, 2 * speed + rng.normal(0, 5, rows), warmth])


def test_of_healthy_rows_that_it_has_not_seen_hardly_one_is_called_a_fault() -> None:
    rows = healthy(5000)
    steady = rows[:, :2]
    baseline = learn_baseline(steady[:1000], NAMES[:2])
    assert np.mean(baseline.probabilities(steady[1000:]) >= 0.5) < 0.001


def test_a_row_far_outside_is_a_fault_and_the_further_the_surer() -> None:
    baseline = learn_baseline(healthy(1000), NAMES)
    step = np.array([30.0, 0.0, 0.0])
    probabilities = baseline.probabilities(baseline.center + np.arange(8)[:, np.newaxis] * step)
    assert np.all(np.diff(probabilities) > 0)
    assert probabilities[0] < 0.01
    assert probabilities[-1] > 0.99


def test_signals_that_no_longer_go_together_are_a_fault_though_each_alone_is_usual() -> None:
    baseline = learn_baseline(healthy(1000), NAMES)
    together = baseline.center + np.array([[20.0, 40.0, 0.0]])
    apart = baseline.center + np.array([[20.0, -40.0, 0.0]])
    assert baseline.probabilities(apart)[0] > 10 * baseline.probabilities(together)[0]


def test_what_wanders_is_given_more_room_than_what_scatters() -> None:
    rows = healthy(400)
    baseline = learn_baseline(rows, NAMES)
    room = baseline.tolerance / rows.std(axis=0)
    assert room[2] > 5 * room[0]


def test_one_signal_is_enough_and_a_signal_that_never_moved_is_noticed_when_it_does() -> None:
    still = np.column_stack([np.full(100, 50.0)])
    baseline = learn_baseline(still, ["pressure"])
    assert baseline.probabilities(np.array([[50.0]]))[0] < 0.01
    assert baseline.probabilities(np.array([[51.0]]))[0] > 0.99


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (healthy(59), "59 healthy rows; expected at least 60"),
        (np.full((100, 3), np.nan), "speed, power, warmth: a healthy row is not finite"),
        (
            healthy(100)[:, :2],
            r"rows of shape \(100, 2\); expected one column for each of speed, power, warmth",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused_with_what_was_expected(
    rows: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", sentence: str
) -> None:
    with pytest.raises(NotEnoughHealth, match=sentence):
        learn_baseline(rows, NAMES)
