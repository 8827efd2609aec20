"""What the diagnosis costs for each reading, with ten fans and with ten thousand.

Readings are drawn and turned into plain values beforehand; what is measured is the CPU time of the monitor's pure core
alone, in one thread, its tick included. `python -m evaluation.diagnosis_cost [READINGS]` prints it.
"""

import gc
import json
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np

from monitor.diagnosis.core import Diagnosis
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import Plant

INTERVAL_S = 2.0
"""One reading of a fan in so many seconds."""

_ROWS = 4096
_WARM_UP_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class DiagnosisCost:
    """Cost with so many fans."""

    fans: int
    readings: int
    microseconds_per_reading: float

    @property
    def cores_at_one_reading_in_2_s(self) -> float:
        """How many cores that fleet keeps busy."""
        return self.fans / INTERVAL_S * self.microseconds_per_reading / 1e6


class _Clock:
    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def now(self) -> float:
        return self.at

    def elapsed(self) -> float:
        return self.at


def measure_diagnosis(fans: int, readings: int = 200_000, seed: int = 1) -> DiagnosisCost:
    """Tell about so many readings of healthy fans to the core, one fan after the other.

    Args:
        fans: How many.
        readings: How many in all; at least five rounds, so that every fan's history closes a bucket.
        seed: Of the readings.
    """
    plant = Plant.read()
    chance = np.random.default_rng(seed)
    low, high = np.array([plan.usual for plan in plant.signals.values()]).T
    rows = [tuple(row) for row in np.round(chance.uniform(low, high, (_ROWS, len(low))), 1).tolist()]
    probabilities = chance.uniform(0.0, 0.12, _ROWS).tolist()
    names = [f"fan-{number}" for number in range(fans)]
    clock = _Clock()
    diagnosis = Diagnosis(clock, Knowledge(plant))
    rounds = max(5, readings // fans)
    number = 0
    spent = 0.0
    gc.collect()
    for seq in range(rounds + _WARM_UP_ROUNDS):
        clock.at += INTERVAL_S
        began = time.thread_time()
        for name in names:
            number += 1
            row = number % _ROWS
            diagnosis.take(name, clock.at, probabilities[row], rows[row], "bench", seq)
        diagnosis.tick()
        if seq >= _WARM_UP_ROUNDS:
            spent += time.thread_time() - began
    return DiagnosisCost(fans, rounds * fans, 1e6 * spent / (rounds * fans))


def main() -> None:
    """Print one JSON object: the costs, and what one reading costs with most fans as against fewest."""
    readings = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    costs = [measure_diagnosis(count, readings) for count in (10, 100, 1000, 10_000)]
    report = {
        "diagnosis": [
            asdict(cost) | {"cores_at_one_reading_in_2_s": cost.cores_at_one_reading_in_2_s} for cost in costs
        ],
        "cost_ratio_10000_to_10_fans": costs[-1].microseconds_per_reading / costs[0].microseconds_per_reading,
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
