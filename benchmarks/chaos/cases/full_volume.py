"""Case 9: the broker's volume is full."""

import time
from dataclasses import dataclass

from benchmarks.chaos.case import Bench, Needs
from benchmarks.chaos.stack import LeftOut, Part, Stack
from testbed.small_volume import SmallVolume

_ALARM = "Broker volume fills broker"
_ALARM_AT = 0.82
_ENDED_AT = 0.96
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
        """Alarm at 80 %; ended at 95 %; room, and whole again; then full at once, between two checks, and killed."""
        volume = bench.stack.broker_volume
        if volume is None:
            raise LeftOut("the broker's volume cannot be filled here")
        bench.expect(_ALARM not in bench.alarms.firing(), "the alarm fires before the volume fills")
        bench.pass_time(2)
        volume.fill(_ALARM_AT)
        took = bench.within(15, lambda: _ALARM in bench.alarms.firing(), "the alarm at 80 %")
        bench.figures["alarm after 80 %, s"] = round(took, 1)
        self._fills_slowly(bench, volume)
        self._is_full_at_once(bench, volume)

    def _fills_slowly(self, bench: Bench, volume: SmallVolume) -> None:
        stack = bench.stack
        # Telegraf is away: what waits for it has no other place than the broker.
        stack.kill(Part.TELEGRAF)
        bench.pass_time(2)
        volume.fill(_ENDED_AT)

        def ended() -> bool:
            stack.check_broker()
            return _is_down(stack)

        bench.within(15, ended, "the broker ended at 95 %")
        volume.fill(1)
        bench.pass_time(bench.scaled(_FULL_S, least=3))
        self._make_room(bench, volume)

    def _is_full_at_once(self, bench: Bench, volume: SmallVolume) -> None:
        stack = bench.stack
        stack.kill(Part.TELEGRAF)
        before = bench.flow.acknowledged.keys()
        volume.fill(1)
        bench.pass_time(5)
        stack.kill(Part.MOSQUITTO)
        while_full = bench.flow.acknowledged.keys() - before
        bench.figures["acknowledged on the full volume"] = len(while_full)
        bench.excuse_last_turns()
        bench.excused[
            "acknowledged on a volume that was full at once, and waiting when the broker was killed"
        ] = while_full
        stack.start(Part.MOSQUITTO, wait=False)
        bench.pass_time(3)
        bench.figures["started on the full volume it"] = "ends" if _is_down(stack) else "runs"
        self._make_room(bench, volume)
        # What comes from now on is on the disk again: another kill loses none of it.
        bench.pass_time(2)
        stack.kill(Part.MOSQUITTO)
        stack.start(Part.MOSQUITTO)

    def _make_room(self, bench: Bench, volume: SmallVolume) -> None:
        stack = bench.stack
        volume.make_room()
        moment = time.time_ns()
        if _is_down(stack):
            stack.start(Part.MOSQUITTO)
        stack.start(Part.TELEGRAF)
        whole = bench.verdict_of_a_reading_after(moment)
        bench.figures["whole after there was room, s"] = round(bench.within(30, whole, "whole again"), 1)


def _is_down(stack: Stack) -> bool:
    return stack.process_of(Part.MOSQUITTO) is None
