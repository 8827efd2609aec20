"""Case 12: a fan's clock jumps, and a fan sends many readings at one time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.chaos.case import AS_IT_SHIPS, Bench, Needs
from contract.reading import Reading
from contract.rejection import Reason
from contract.timestamp import format_timestamp

_EACH = 100
_STORED_WITHIN_S = 10


@dataclass(frozen=True)
class JumpingClock:
    """A day ahead, a year back, and equal times for different readings."""

    number: int = 12
    name: str = "a clock a day ahead, then a year back; equal times for different readings"
    seconds: float = 10
    needs: Needs = AS_IT_SHIPS
    per_second: float = 200

    def run(self, bench: Bench) -> None:
        """What is implausible is dead-lettered with its reason; of the rest no reading overwrites another."""
        device = f"clock.{bench.flow.prefix}"
        now = datetime.now(UTC)
        moments = [now, now + timedelta(days=1), now - timedelta(days=365), now]
        with bench.sender() as fan:
            for jump, moment in enumerate(moments):
                for number in range(_EACH):
                    body = _reading(device, moment, jump * _EACH + number)
                    fan.client.publish(f"fan/messages/{device}", body, qos=1)
            fan.subscribe("nothing")  # its answer comes behind those of all of them
        wanted = {str(Reason.TIME_AHEAD): _EACH, str(Reason.TIME_TOO_OLD): _EACH}
        plausible = {*range(_EACH), *range(3 * _EACH, 4 * _EACH)}
        bench.within(
            _STORED_WITHIN_S,
            lambda: bench.dead_letters.reasons(device) == wanted,
            "implausible times dead-lettered with their reasons",
        )
        for measurement in ("telemetry", "anomaly"):
            statement = f'SELECT "seq" FROM "{measurement}" WHERE "deviceID" = \'{device}\''

            def stored(statement: str = statement) -> bool:
                rows = bench.stack.query(statement)
                return len(rows) == len(plausible) and {int(row["seq"]) for row in rows} == plausible

            bench.within(_STORED_WITHIN_S, stored, f"{2 * _EACH} readings of one time each in {measurement}")
        bench.figures["readings of one time"] = 2 * _EACH
        bench.figures["dead letters"] = bench.dead_letters.reasons(device).total()


def _reading(device: str, moment: datetime, seq: int) -> bytes:
    return Reading(
        deviceID=device,
        timeStamp=format_timestamp(moment),
        seq=seq,
        bootID="clock",
        rotation=600.0,
        temperature=40.0,
        vibration=150.0,
        sound=48.5,
    ).to_json()
