"""Case 13: the network between predictor and broker is slow, dead without a word, or cut in the middle of a packet."""

import time
from dataclasses import dataclass

from benchmarks.chaos.case import AS_IT_SHIPS, Bench, Needs

_EACH_WAY_S = 1.0
_SLOW_S = 20
_BACK_WITHIN_S = 10


@dataclass(frozen=True)
class BadNetwork:
    """A proxy between the two; back means that a reading made after the fault has its verdict stored."""

    number: int = 13
    name: str = "predictor's network: 2 s round trip, half-open, cut in a packet"
    seconds: float = 90
    needs: Needs = AS_IT_SHIPS
    per_second: float = 200

    def run(self, bench: Bench) -> None:
        """Each fault some times, in an order that the seed chooses."""
        with bench.stack.predictor_behind_a_proxy() as proxy:
            bench.within(30, bench.verdict_of_a_reading_after(time.time_ns()), "verdicts through the proxy")
            faults = ["slow", "half-open", "cut"] * bench.scaled(2)
            bench.random.shuffle(faults)
            slowest = dict.fromkeys(sorted(set(faults)), 0.0)
            for fault in faults:
                bench.somewhen(0.5, 2)
                if fault == "slow":
                    proxy.slow(_EACH_WAY_S)
                    bench.pass_time(bench.scaled(_SLOW_S, least=6))
                    proxy.slow(0)
                elif fault == "half-open":
                    proxy.half_open()
                else:
                    proxy.cut_in_a_packet()
                back = bench.verdict_of_a_reading_after(time.time_ns())
                slowest[fault] = max(
                    slowest[fault], bench.within(_BACK_WITHIN_S, back, f"back after {fault}")
                )
        for fault, seconds in slowest.items():
            bench.figures[f"back after {fault}, s"] = round(seconds, 1)
