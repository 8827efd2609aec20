"""How good the back-test is on machines without labels: found faults, lead time and false alarms on made ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.backtest import run
from evaluation.config import BacktestConfig
from evaluation.judgement import judge
from evaluation.made_machines import MACHINES, MadeFault, MadeMachine
from evaluation.recorded import Recorded

HEALTHY_PERCENT = 15


@dataclass(frozen=True)
class UnlabelledFigures:
    """What came of one kind of fault, or of none.

    Attributes:
        machine: Which.
        fault: Which; "none" is the healthy machine.
        faults: How many there were.
        found: How many an alarm about the machine overlapped.
        delay_s: Median time from a fault's begin to its first alarm; None where none was found.
        false_alarms: Alarms about the machine outside of them.
        device_days: Over so many days behind what was learned from.
    """

    machine: str
    fault: str
    faults: int
    found: int
    delay_s: float | None
    false_alarms: int
    device_days: float


def study_unlabelled(
    seeds: Sequence[int],
    *,
    machines: Sequence[MadeMachine] = MACHINES,
    progress: Callable[[int], object] = lambda _: None,
) -> list[UnlabelledFigures]:
    """Replay made recordings through the back-test as a user without labels sets it up.

    Args:
        seeds: Of the recordings; each with every fault, and without.
        machines: Which.
        progress: Told how many recordings more are done.
    """
    return [
        _figures(machine, fault, seeds, progress) for machine in machines for fault in (None, *machine.faults)
    ]


def _figures(
    machine: MadeMachine, fault: MadeFault | None, seeds: Sequence[int], progress: Callable[[int], object]
) -> UnlabelledFigures:
    config = BacktestConfig.model_validate(
        {
            "data": {"time": "time"},
            "signals": {name: {} for name in machine.signals},
            "healthy": {"first_percent": HEALTHY_PERCENT},
        }
    )
    count = found = false = 0
    delays: list[float] = []
    for seed in seeds:
        times, rows, faults = machine.record(fault, seed)
        recorded = Recorded("made", ("machine",), np.zeros(len(rows), np.int64), times, rows, labels=None)
        result = run(config, recorded)
        judged = judge(result.alarms, faults, recorded, result.learned_until())
        count, found = count + judged["faults"], found + judged["faults_found"]
        false += judged["false_alarms"]
        delays += [fault.hours * 3600 - lead for lead in judged["lead_time_s"]] if fault is not None else []
        progress(1)
    days = len(seeds) * machine.days * (1 - HEALTHY_PERCENT / 100)
    delay = float(np.median(delays)) if delays else None
    name = "none" if fault is None else fault.name
    return UnlabelledFigures(machine.name, name, count, found, delay, false, days)
