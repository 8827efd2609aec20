"""Trials on the real stack: one that must pass, and one on a broker that loses, which must be found out."""

from pathlib import Path

import pytest

from benchmarks.chaos import trial
from benchmarks.chaos.case import AS_IT_SHIPS, Bench
from benchmarks.chaos.cases.kills import KilledAgainAndAgain
from benchmarks.chaos.cases.poison import Poison
from benchmarks.chaos.process_stack import ProcessStack
from benchmarks.chaos.stack import Part
from testbed.mosquitto import CONFIGURATION
from testbed.process import without_line

SMALL = 0.1
BROKER_KILLED = KilledAgainAndAgain(3, Part.MOSQUITTO, times=15, seconds=30)


def test_killed_and_poisoned_the_shipped_stack_loses_nothing_but_what_is_documented(tmp_path: Path) -> None:
    with ProcessStack(tmp_path) as stack:
        for case in (BROKER_KILLED, Poison()):
            result = trial.run(case, stack, seed=11, scale=SMALL)
            assert result.failures == []
            assert result.acknowledged > 0
            assert result.lost == sum(result.excused.values())


class KilledWithItsQueue:
    """The broker is killed while readings wait in it: the worst case for one that writes only now and then."""

    number = 3
    name = "kill -9 mosquitto while readings wait for telegraf"
    seconds = 10.0
    needs = AS_IT_SHIPS
    per_second = 200.0

    def run(self, bench: Bench) -> None:
        bench.stack.kill(Part.TELEGRAF)
        bench.pass_time(2)
        bench.stack.kill(Part.MOSQUITTO)
        bench.excuse_last_turns()
        bench.stack.start(Part.MOSQUITTO)
        bench.stack.start(Part.TELEGRAF)


def test_a_broker_that_writes_only_now_and_then_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "STORED_WITHIN_S", 10)  # what is lost is not worth waiting for
    lossy = without_line(CONFIGURATION, "plugin_opt_flush_period 0")
    with ProcessStack(tmp_path, broker_configuration=lossy) as stack:
        result = trial.run(KilledWithItsQueue(), stack, seed=11, scale=1)
    assert result.lost > sum(result.excused.values())
    assert not result.passed
