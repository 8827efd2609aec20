"""Case 2: the scoring service is killed, and hangs."""

from dataclasses import dataclass

from benchmarks.chaos.case import AS_IT_SHIPS, Bench, Needs
from benchmarks.chaos.stack import Part

_HANG_S = 30
_BACK_WITHIN_S = 10


@dataclass(frozen=True)
class ScoringAway:
    """kill -9, then a hang: connections stay and nothing answers."""

    number: int = 2
    name: str = f"kill -9 inference, and a {_HANG_S} s hang of it"
    seconds: float = _HANG_S + 15
    needs: Needs = AS_IT_SHIPS
    per_second: float = 200

    def run(self, bench: Bench) -> None:
        """Kill it, hang it, and measure how soon verdicts come again."""
        bench.somewhen(1, 3)
        bench.stack.kill(Part.INFERENCE)
        bench.somewhen(1, 3)
        bench.stack.start(Part.INFERENCE)
        hang_s = bench.scaled(_HANG_S, least=8)
        bench.stack.hang(Part.INFERENCE)
        bench.pass_time(hang_s)
        held_from = bench.newest_ns("anomaly")
        bench.stack.resume(Part.INFERENCE)
        bench.figures["hang_s"] = hang_s
        bench.figures["first verdict after the hang, s"] = round(
            bench.within(
                _BACK_WITHIN_S, bench.verdict_of_a_reading_after(held_from), "verdicts after the hang"
            ),
            1,
        )
