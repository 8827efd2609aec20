"""Readings that overtook each other are put back in order, and no missing one holds the others up for long."""

import json
from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from monitor.diagnosis.measured_order import MeasuredOrder

START = 1_800_000_000.0


def take(
    order: MeasuredOrder, seq: int | None, now: float, *, boot: str = "a", at: float | None = None
) -> list[int]:
    """Tell the verdict of reading ``seq`` at second ``now``; the numbers (or seconds) handed on."""
    moment = START + (now if at is None else at)
    told = order.take(boot if seq is not None else None, seq, moment, START + now, 0.1, (1.0,))
    return [each.seq if seq is not None else round(each.at - START) for each in told]


def take_all(order: MeasuredOrder, seqs: Iterable[int], now: float = 0.0) -> list[list[int]]:
    return [take(order, seq, now) for seq in seqs]


def test_what_comes_in_order_does_not_wait() -> None:
    assert take_all(MeasuredOrder(), range(5)) == [[0], [1], [2], [3], [4]]


def test_what_was_overtaken_goes_first() -> None:
    assert take_all(MeasuredOrder(), [0, 3, 2, 1, 4]) == [[0], [], [], [1, 2, 3], [4]]


@pytest.mark.parametrize("seed", range(5))
def test_however_far_readings_are_scattered_within_two_seconds_all_come_out_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    order = MeasuredOrder()
    out = take(order, 0, 0.0)
    for begin in range(1, 1001, 100):
        for seq in rng.permutation(np.arange(begin, begin + 100)).tolist():
            out += take(order, seq, begin / 100)
    assert out == list(range(1001))


def test_a_reading_that_was_refused_holds_the_next_ones_up_for_two_seconds_and_no_longer() -> None:
    order = MeasuredOrder()
    assert take(order, 0, 0.0) == [0]
    assert [take(order, seq, float(seq)) for seq in (2, 3, 4, 5, 6)] == [[], [], [], [2, 3, 4, 5], [6]]
    assert take(order, 1, 6.5) == []  # it comes after all, and after its turn


def test_each_gap_of_many_is_waited_for_by_its_own_arrival() -> None:
    order = MeasuredOrder()
    assert [take(order, seq, seq / 2) for seq in range(0, 16, 2)] == [[0], [], [], [], [2], [4], [6], [8]]


def test_at_full_speed_no_more_than_256_wait() -> None:
    order = MeasuredOrder()
    out = take_all(order, [0, *range(2, 259)])
    assert [len(each) for each in out[:-1]] == [1] + [0] * 256
    assert out[-1] == list(range(2, 259))


def test_a_run_after_a_restart_begins_anew_and_the_last_one_is_over() -> None:
    order = MeasuredOrder()
    take_all(order, [0, 1, 3])
    assert take(order, 7, 1.0, boot="b") == [3, 7]
    assert take(order, 2, 1.1, boot="a") == []
    assert take(order, 8, 1.2, boot="b") == [8]


def test_without_numbers_what_is_older_than_the_newest_is_dropped() -> None:
    order = MeasuredOrder()
    told: Sequence[list[int]] = [take(order, None, float(at)) for at in (0, 2, 1, 3)]
    assert told == [[0], [2], [], [3]]
    order.forget_times()
    assert take(order, None, 4.0, at=-100.0) == [-100]


def test_silence_ends_the_waiting() -> None:
    order = MeasuredOrder()
    take_all(order, [0, 3, 2])
    assert [each.seq for each in order.release()] == [2, 3]
    assert take(order, 4, 60.0) == [4]


def test_a_restart_from_the_kept_state_changes_nothing() -> None:
    seqs = [0, 2, 1, 5, 4, 7, 3, 6, 9, 8]
    for stop in range(len(seqs)):
        first, second = MeasuredOrder(), MeasuredOrder()
        out = take_all(first, seqs[:stop])
        second.restore(json.loads(json.dumps(first.snapshot(), allow_nan=False)))
        out += take_all(second, seqs[stop:])
        assert out == take_all(MeasuredOrder(), seqs)
