"""Cases 1, 3 and 5: one service is killed again and again while readings flow."""

from dataclasses import dataclass

from benchmarks.chaos.case import AS_IT_SHIPS, Bench, Needs
from benchmarks.chaos.stack import Part


@dataclass(frozen=True)
class KilledAgainAndAgain:
    """kill -9 of one part, at moments that the seed chooses."""

    number: int
    part: Part
    times: int
    seconds: float
    needs: Needs = AS_IT_SHIPS
    per_second: float = 200

    @property
    def name(self) -> str:
        """For the table."""
        return f"kill -9 {self.part} {self.times} times"

    def run(self, bench: Bench) -> None:
        """Kill, start, wait until it works."""
        kills = bench.scaled(self.times, least=2)
        bench.figures["kills"] = kills
        for _ in range(kills):
            bench.somewhen(0.2, 2.0)
            bench.stack.kill(self.part)
            bench.stack.start(self.part)
        if self.part is Part.MOSQUITTO:
            bench.excuse_last_turns()
