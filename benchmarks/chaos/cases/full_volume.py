"""Case 9: the broker's volume is full."""

import time
from dataclasses import dataclass

from benchmarks.chaos.case import Bench, Needs
from benchmarks.chaos.stack import LeftOut, Part

_ALARM = "Broker volume fills broker"
_ALARM_AT = 0.82
_FULL_S = 10


@dataclass(frozen=True)
class FullVolume:
    """Somebody else's file takes the room, as logs on a shared disk do."""

    number: int = 9
    name: str = "the broker's volume full, then room again"
    seconds: float = 60
    needs: Needs = Needs(broker_volume_mb=64)
    per_second: float = 200

    def run(self, bench: Bench) -> None:
        """Alarm at 80 %; full for a while; killed while it is full; room, and whole again."""
        stack, volume = bench.stack, bench.stack.broker_volume
        if volume is None:
            raise LeftOut("the broker's volume cannot be filled here")
        bench.expect(_ALARM not in bench.alarms.firing(), "the alarm fires before the volume fills")
        bench.pass_time(2)
        volume.fill(_ALARM_AT)
        took = bench.within(15, lambda: _ALARM in bench.alarms.firing(), "the alarm at 80 %")
        bench.figures["alarm after 80 %, s"] = round(took, 1)

        before = bench.flow.acknowledged.keys()
        volume.fill(1)
        bench.pass_time(bench.scaled(_FULL_S, least=5))
        stack.kill(Part.MOSQUITTO)
        while_full = bench.flow.acknowledged.keys() - before
        bench.figures["acknowledged while full"] = len(while_full)
        bench.excuse_last_turns()
        bench.excused["acknowledged while the volume was full, and the broker killed before it was delivered"] = (
            while_full
        )
        stack.start(Part.MOSQUITTO, wait=False)
        bench.pass_time(3)
        volume.make_room()
        moment = time.time_ns()
        if stack.process_of(Part.MOSQUITTO) is None:
            bench.figures["broker on the full volume"] = "ends at its start, and starts once there is room"
            stack.start(Part.MOSQUITTO)
        else:
            bench.figures["broker on the full volume"] = "starts"
        whole = bench.verdict_of_a_reading_after(moment)
        bench.figures["whole after there was room, s"] = round(bench.within(30, whole, "whole again"), 1)
        # What comes from now on is on the disk again: another kill loses none of it.
        bench.pass_time(2)
        stack.kill(Part.MOSQUITTO)
        stack.start(Part.MOSQUITTO)
