"""Ticks come on time, without drift, and a machine that is too slow skips instead of falling behind for ever."""

import pytest

from simulator.pacing import Pacer


def taken(pacer: Pacer, now_s: float) -> list[int]:
    ticks = []
    while (tick := pacer.take(now_s)) is not None:
        ticks.append(tick)
    return ticks


def test_slow_ticks_do_not_shift_the_later_ones() -> None:
    pacer = Pacer(0.1, start_s=5.0)
    assert taken(pacer, 5.0) == [0]
    assert taken(pacer, 5.37) == [1, 2, 3]
    assert pacer.wait_s(5.37) == pytest.approx(0.03)
    assert taken(pacer, 5.4) == [4]


def test_nothing_is_due_before_its_time() -> None:
    pacer = Pacer(1.0, start_s=5.0)
    assert taken(pacer, 4.9) == []
    assert pacer.wait_s(4.9) == pytest.approx(0.1)


def test_ticks_that_are_too_late_are_skipped_and_counted() -> None:
    pacer = Pacer(0.1, start_s=0.0, max_lag_s=1.0)
    ticks = taken(pacer, 100.0)
    assert pacer.skipped + len(ticks) == 1001
    assert pacer.skipped >= 990
    assert taken(pacer, 100.15) == [ticks[-1] + 1]


def test_a_pacer_without_a_limit_skips_nothing() -> None:
    pacer = Pacer(0.1, start_s=0.0, max_lag_s=None)
    assert len(taken(pacer, 10.0)) == 101
    assert pacer.skipped == 0


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="microsecond"):
        Pacer(0.0, 0.0)
