"""Case 6: a power cut, as far as processes can show one: all are killed together."""

import time
from dataclasses import dataclass

from benchmarks.chaos.case import AS_IT_SHIPS, Bench, Needs
from benchmarks.chaos.stack import PARTS

_WHOLE_WITHIN_S = 60


@dataclass(frozen=True)
class AllKilled:
    """Everything at once, then started in an order that the seed chooses."""

    number: int = 6
    name: str = "all killed together, started in random order"
    seconds: float = 45
    needs: Needs = AS_IT_SHIPS
    per_second: float = 200

    def run(self, bench: Bench) -> None:
        """Kill, start, and measure until a reading made after the start has its verdict stored."""
        rounds = bench.scaled(2)
        slowest = 0.0
        for _ in range(rounds):
            bench.somewhen(1, 3)
            for part in bench.random.sample(PARTS, len(PARTS)):
                bench.stack.kill(part)
            bench.somewhen(0, 2)
            moment = time.time_ns()
            for part in bench.random.sample(PARTS, len(PARTS)):
                bench.stack.start(part, wait=False)
            whole = bench.verdict_of_a_reading_after(moment)
            slowest = max(slowest, bench.within(_WHOLE_WITHIN_S, whole, "whole again"))
        bench.excuse_last_turns()
        bench.figures["rounds"] = rounds
        bench.figures["whole after, s"] = round(slowest, 1)
