"""Case 14: two predictors share the readings, and one is killed."""

import time
from dataclasses import dataclass

from benchmarks.chaos.case import AS_IT_SHIPS, Bench, Needs
from benchmarks.chaos.stack import Part

_AWAY_S = 15
_TAKEN_OVER_WITHIN_S = 10
_RECEIVED = "fanwatch_predictor_readings_received_total"


@dataclass(frozen=True)
class TwoPredictors:
    """A dead member of a shared subscription keeps its share; whoever starts under its client id takes it over."""

    number: int = 14
    name: str = "two predictors, one killed: its successor takes its share over"
    seconds: float = 40
    needs: Needs = AS_IT_SHIPS
    per_second: float = 200

    def run(self, bench: Bench) -> None:
        """Kill one of two, let its share wait, start a successor under its id."""
        stack = bench.stack
        stack.start(Part.SECOND_PREDICTOR)
        bench.pass_time(3)
        for part in (Part.PREDICTOR, Part.SECOND_PREDICTOR):
            bench.expect(stack.metric(part, _RECEIVED) > 0, f"{part} gets no share")
        bench.somewhen(0.5, 2)
        stack.kill(Part.SECOND_PREDICTOR)
        survivor = stack.metric(Part.PREDICTOR, _RECEIVED)
        moment = time.time_ns()
        bench.pass_time(bench.scaled(_AWAY_S, least=5))
        bench.expect(
            bench.verdict_of_a_reading_after(moment)(), "the survivor scores nothing while the other is dead"
        )
        bench.figures["scored by the survivor meanwhile"] = stack.metric(Part.PREDICTOR, _RECEIVED) - survivor
        moment = time.time_ns()
        stored = bench.all_stored_until(moment)
        stack.start(Part.SECOND_PREDICTOR)
        took = bench.within(_TAKEN_OVER_WITHIN_S, stored, "the dead one's share scored by its successor")
        bench.figures["share taken over after, s"] = round(took, 1)
        self._leave_one(bench)

    def _leave_one(self, bench: Bench) -> None:
        """As an operator goes back to one: its share is emptied, then its session is ended."""
        bench.flow.pause()
        bench.within(60, bench.flow.all_acknowledged, "every reading acknowledged")
        bench.within(30, bench.all_stored_until(time.time_ns()), "everything stored")
        bench.stack.kill(Part.SECOND_PREDICTOR)
        with bench.sender("predictor", client_id=Part.SECOND_PREDICTOR):
            pass  # whatever session there was of that id ends here, and with it its share
        bench.flow.go_on()
