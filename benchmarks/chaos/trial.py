"""One case on one stack: readings flow, the fault, the quiet, the check."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.chaos.alarms import ABOUT_A_MACHINE_OR_SENSOR, Alarms, Told
from benchmarks.chaos.case import Bench, Case
from benchmarks.chaos.dead_letters import DeadLetters
from benchmarks.chaos.flow import Flow
from benchmarks.chaos.ledger import Audit, audit, stored_of
from benchmarks.chaos.stack import Stack
from testbed.waiting import wait_until

WHOLE_WITHIN_S = 60
QUIET_S = 5
STATES_WITHIN_S = 90
"""Grafana's rules look back 30 seconds and a minute."""
STORED_WITHIN_S = 240

REST_S = 10
"""About what a case takes besides its fault phase."""


@dataclass(frozen=True)
class Result:
    """The outcome of one case."""

    number: int
    name: str
    seed: int
    scale: float
    seconds: float
    acknowledged: int
    lost: int
    excused: dict[str, int]
    outcome: str
    failures: list[str]
    figures: dict[str, float | str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether everything was as it must be."""
        return not self.failures


def run(case: Case, stack: Stack, seed: int, scale: float) -> Result:
    """Run a case.

    Args:
        case: What is done.
        stack: Whole when it begins, and whole again when it ends.
        seed: Decides every moment and order in it.
        scale: How much of its full size is done, 0 to 1.

    Raises:
        LeftOut: It cannot run on this stack.
    """
    start = time.monotonic()
    prefix = f"chaos{case.number}-{seed:x}"
    flow = Flow(stack.broker("simulator"), prefix, case.per_second)
    dead_letters = DeadLetters(stack.broker("monitor"), f"{prefix}-dead-letters")
    alarms = Alarms(stack, prefix)
    bench = Bench(stack, flow, dead_letters, alarms, random.Random(f"{seed} {case.number}"), scale)
    with dead_letters, flow:
        wait_until(lambda: bench.newest_ns("anomaly") > 0, within_s=WHOLE_WITHIN_S, what="a first verdict")
        case.run(bench)
        _quiet(bench)
        flow.pause()
        _await(flow.all_acknowledged, WHOLE_WITHIN_S, "the broker does not answer for every reading", bench)
        found = _check(bench)
    for refusal in set(flow.refusals):
        bench.failures.append(f"the broker refused readings: {refusal}")
    if found.broken_promises:
        bench.failures.append(found.sentence())
    return Result(
        number=case.number,
        name=case.name,
        seed=seed,
        scale=round(scale, 3),
        seconds=round(time.monotonic() - start, 1),
        acknowledged=found.acknowledged,
        lost=found.lost,
        excused={why: len(keys) for why, keys in found.excused.items()},
        outcome=found.sentence(),
        failures=bench.failures,
        figures=bench.figures,
    )


def _quiet(bench: Bench) -> None:
    """Readings flow, nothing is done to the stack, and every alarm is as the fans are."""
    bench.pass_time(QUIET_S)
    right = {f"Alarm of high priority {bench.flow.broken_device} machine_fault"}
    firing: set[str] = set()

    def as_the_fans_are() -> bool:
        firing.clear()
        firing.update(bench.alarms.firing())
        return firing == right

    _await(as_the_fans_are, STATES_WITHIN_S, "the alerts are wrong", bench)
    for wrong in sorted(firing - right):
        bench.failures.append(f"alert without a reason: {wrong}")
    for missing in sorted(right - firing):
        bench.failures.append(f"alert missing: {missing}")
    _check_told(bench)


def _check_told(bench: Bench) -> None:
    """The monitor tells of the one broken device, now, and never told of a fault of another."""
    right = frozenset({(bench.flow.broken_device, "machine_fault")})
    told = Told(frozenset(), frozenset())

    def as_the_fans_are() -> bool:
        nonlocal told
        told = bench.alarms.told()
        return told.standing == right

    _await(as_the_fans_are, STATES_WITHIN_S, "the monitor's alarms are wrong", bench)
    for device, kind in sorted(told.standing - right):
        bench.failures.append(f"the monitor has an alarm without a reason: {kind} of {device}")
    for device, kind in sorted(right - told.standing):
        bench.failures.append(f"the monitor has no alarm: {kind} of {device}")
    for device, kind in sorted(told.ever - right - told.standing):
        if kind in ABOUT_A_MACHINE_OR_SENSOR:
            bench.failures.append(f"the monitor had an alarm without a reason: {kind} of {device}")


def _check(bench: Bench) -> Audit:
    """Waits until all that is promised is stored, and compares every point."""
    excused = {key for keys in bench.excused.values() for key in keys}
    promised = len(bench.flow.acknowledged.keys() - excused)
    prefix = bench.flow.prefix

    def counted() -> bool:
        rejected = len(bench.dead_letters.keys(f"{prefix}-"))
        telemetry, anomaly = (
            sum(row["count"] for row in bench.stack.query(f'SELECT count("seq") FROM "{m}" {_where(prefix)}'))
            for m in ("telemetry", "anomaly")
        )
        return bool(telemetry >= promised and anomaly + rejected >= promised)

    _await(counted, STORED_WITHIN_S, "not everything is stored", bench)
    found = _audit(bench)
    if found.broken_promises or found.lost:
        bench.pass_time(QUIET_S)  # what a redelivery may still bring
        found = _audit(bench)
    return found


def _audit(bench: Bench) -> Audit:
    prefix = bench.flow.prefix
    points = [
        stored_of(
            bench.stack.query(
                f'SELECT "seq", "{value}" FROM "{measurement}" {_where(prefix)} GROUP BY "deviceID"'
            ),
            value,
        )
        for measurement, value in (("telemetry", "rotation"), ("anomaly", "fault"))
    ]
    return audit(
        bench.flow.acknowledged,
        *points,
        rejected=bench.dead_letters.keys(f"{prefix}-"),
        excused=bench.excused,
        unacknowledged=bench.flow.unacknowledged,
    )


def _where(prefix: str) -> str:
    return f'WHERE "deviceID" =~ /^{prefix}-[0-9]+$/'


def _await(probe: Callable[[], bool], within_s: float, otherwise: str, bench: Bench) -> None:
    try:
        wait_until(probe, within_s=within_s, what="that")
    except TimeoutError:
        bench.failures.append(f"{otherwise} within {within_s} s")
