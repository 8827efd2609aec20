"""Case 7: InfluxDB is away for long, and the broker's queue holds what it is sized for."""

from dataclasses import dataclass

from benchmarks.chaos.alarms import DATABASE_AWAY, pending_s
from benchmarks.chaos.case import AS_IT_SHIPS, Bench, Needs
from benchmarks.chaos.stack import Part
from testbed.waiting import wait_until

_QUEUE = 200_000
"""max_queued_messages of mosquitto/mosquitto.conf."""
_FILLED = 0.95
_FILLING = "Broker queue fills"
_FILL_WITHIN_S = 600
_DRAIN_WITHIN_S = 900


@dataclass(frozen=True)
class LongOutage:
    """At 100 a second the queue lasts 33 minutes; here their readings come as fast as the broker takes them."""

    number: int = 7
    name: str = "InfluxDB away until the broker's queue is 95 % full"
    seconds: float = 420
    needs: Needs = AS_IT_SHIPS
    per_second: float = 100

    def run(self, bench: Bench) -> None:
        """Fill the queue, look for the alarms, let it drain."""
        stack, flow = bench.stack, bench.flow
        bench.pass_time(3)
        stack.take_away(Part.INFLUXDB)
        bench.within(10, lambda: DATABASE_AWAY in bench.alarms.firing(), "an alarm that InfluxDB is away")
        at_alarm = flow.acknowledged_count + self.per_second * pending_s("Service does not answer")
        bench.figures["readings until the alarm"] = round(at_alarm)
        bench.expect(at_alarm < _QUEUE, "the queue is full before the alarm")
        goal = int(bench.scaled(_QUEUE, least=10_000) * _FILLED)
        flow.add(max(0, goal - flow.acknowledged_count))
        wait_until(lambda: flow.acknowledged_count >= goal, within_s=_FILL_WITHIN_S, what="the queue to fill")
        bench.figures["readings in the queue"] = flow.acknowledged_count
        stack.start(Part.INFLUXDB)
        if bench.scale == 1:
            # Back before it is drained: now the queue itself is what alarms, and nothing has been dropped yet.
            bench.within(30, lambda: _FILLING in bench.alarms.firing(), f"the alarm {_FILLING!r}")
        wait_until(
            lambda: bench.newest_ns("anomaly") > flow.newest_acknowledged_ns - 5_000_000_000,
            within_s=_DRAIN_WITHIN_S,
            what="the queue to drain",
        )
        bench.expect("Broker dropped messages" not in bench.alarms.firing(), "the broker dropped messages")
