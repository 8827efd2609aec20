"""What alarms cost: ``python -m tests.alarms.measure_cost`` prints microseconds, for fleets of 10 to 10,000 devices.

Each fleet has one open alarm a device. A batch is so many findings on different devices, each of which raises or clears
an alarm and is published: the most that a finding can cost, its share of the commit included. Idle is a batch of
readings without a finding, with the question whether something is due.
"""

import random
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import structlog

from contract.alarm import AlarmPriority
from monitor.alarms.database import AlarmDatabase
from monitor.alarms.desk import AlarmDesk
from monitor.alarms.policy import AlarmPolicy, Rule
from monitor.findings import Finding, FindingKind
from tests.monitor.still_clock import StillClock

FLEETS = (10, 100, 1000, 10_000)
BATCHES = {10: 300, 256: 40}
IDLE = 20_000


def measure(devices: int, batch_size: int, folder: Path) -> tuple[float, float, float]:
    """Microseconds for a finding, for an idle batch, and milliseconds for a restart."""
    clock, chance = StillClock(), random.Random(1)
    path = folder / f"{devices}-{batch_size}.sqlite3"
    policy = AlarmPolicy(rules=dict.fromkeys(FindingKind, Rule(AlarmPriority.LOW)))
    names = [f"fan-{number}" for number in range(devices)]
    with AlarmDatabase(path) as database:
        desk = AlarmDesk(database, policy, clock)

        def find(name: str, kind: FindingKind, present: bool) -> Finding:
            at = datetime.fromtimestamp(clock.now(), UTC)
            return Finding(name, kind, present, at, "it is so", "look at it")

        desk.on_findings([find(name, FindingKind.WEAR, True) for name in names])
        spent, faulty = 0.0, dict.fromkeys(names, False)
        for _ in range(BATCHES[batch_size]):
            clock.advance(2)
            batch = []
            for name in chance.sample(names, batch_size):
                faulty[name] = not faulty[name]  # so that each finding is a change
                batch.append(find(name, FindingKind.MACHINE_FAULT, faulty[name]))
            began = time.perf_counter()
            desk.on_findings(batch)
            spent += time.perf_counter() - began
        began = time.perf_counter()
        for _ in range(IDLE):
            desk.on_findings([])
            desk.tick()
        idle = time.perf_counter() - began
    began = time.perf_counter()
    with AlarmDatabase(path) as database:
        AlarmDesk(database, policy, clock)
    return (
        spent / BATCHES[batch_size] / batch_size * 1e6,
        idle / IDLE * 1e6,
        (time.perf_counter() - began) * 1e3,
    )


def main() -> None:
    """Print the table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    head = "devices   findings in a batch   microseconds a finding   an idle batch   milliseconds to restart"
    sys.stdout.write(f"{head}\n")
    with tempfile.TemporaryDirectory() as folder:
        for devices in FLEETS:
            for size in BATCHES:
                if size <= devices:
                    finding, idle, restart = measure(devices, size, Path(folder))
                    sys.stdout.write(
                        f"{devices:>7}   {size:>19}   {finding:>22.1f}   {idle:>13.2f}   {restart:>23.1f}\n"
                    )


if __name__ == "__main__":
    main()
