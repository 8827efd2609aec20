"""Case 9: the broker's volume is full."""

import time
from dataclasses import dataclass

from benchmarks.chaos.case import Bench, Needs
from benchmarks.chaos.stack import LeftOut, Part

_ALARM = "Broker volume fills broker"
_ALARM_AT = 0.82
_FULL_S = 10
_NEEDS = Needs(broker_volume_mb=64)


@dataclass(frozen=True)
class FullVolume:
    """Somebody else's file takes the room, as logs on a shared disk do."""

    number: int = 9
    name: str = "the broker's volume full, then room again"
    seconds: float = 60
    needs: Needs = _NEEDS
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

        # Telegraf is away meanwhile: what waits for it has no other place than the broker.
        stack.kill(Part.TELEGRAF)
        before = bench.flow.acknowledged.keys()
        volume.fill(1)
        bench.pass_time(bench.scaled(_FULL_S, least=5))
        stack.kill(Part.MOSQUITTO)
        while_full = bench.flow.acknowledged.keys() - before
        bench.figures["acknowledged while full"] = len(while_full)
        bench.excuse_last_turns()
        bench.excused["acknowledged while the broker's volume was full, and waiting when it was killed"] = (
            while_full
        )
        stack.start(Part.MOSQUITTO, wait=False)
        bench.pass_time(3)
        on_full = stack.process_of(Part.MOSQUITTO) is not None
        bench.figures["broker started on the full volume"] = (
            "runs" if on_full else "ends, and runs once there is room"
        )
        volume.make_room()
        moment = time.time_ns()
        if not on_full:
            stack.start(Part.MOSQUITTO)
        stack.start(Part.TELEGRAF)
        whole = bench.verdict_of_a_reading_after(moment)
        bench.figures["whole after there was room, s"] = round(bench.within(30, whole, "whole again"), 1)
        # What comes from now on is on the disk again: another kill loses none of it.
        bench.pass_time(2)
        stack.kill(Part.MOSQUITTO)
        stack.start(Part.MOSQUITTO)
