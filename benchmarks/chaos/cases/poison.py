"""Case 10: a thousand messages that cannot be scored, among good ones."""

import json
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.chaos.case import AS_IT_SHIPS, Bench, Needs
from contract.rejection import Reason
from contract.timestamp import format_timestamp

_POISON = 1000
_GOOD_WITHIN_S = 5


def _bad(device: str, now: datetime) -> list[tuple[Reason, dict[str, Any]]]:
    good: dict[str, Any] = {"deviceID": device, "timeStamp": format_timestamp(now), "bootID": "poison"}
    good |= {"rotation": 600, "temperature": 40, "vibration": 150, "sound": 48.5}
    return [
        (Reason.NOT_A_READING, good | {"rotation": "fast"}),
        (Reason.NOT_A_READING, good | {"rotation": True}),
        (Reason.NOT_A_READING, good | {"sound": [48.5]}),
        (Reason.NOT_A_READING, good | {"timeStamp": "yesterday"}),
        (Reason.NOT_FINITE, good | {"vibration": float("nan")}),
        (Reason.NOT_FINITE, good | {"vibration": float("inf")}),
        (Reason.OUT_OF_RANGE, good | {"temperature": 1e6}),
        (Reason.SIGNAL_MISSING, {name: value for name, value in good.items() if name != "sound"}),
        (Reason.TIME_TOO_OLD, good | {"timeStamp": format_timestamp(now - timedelta(days=40))}),
        (Reason.TIME_AHEAD, good | {"timeStamp": format_timestamp(now + timedelta(days=1))}),
    ]


@dataclass(frozen=True)
class Poison:
    """Wrong types, too old, NaN: each is dead-lettered, and none holds up a good one."""

    number: int = 10
    name: str = f"{_POISON:,} poison messages among good ones"
    seconds: float = 15
    needs: Needs = AS_IT_SHIPS
    per_second: float = 200

    def run(self, bench: Bench) -> None:
        """Send them in an order that the seed chooses; good ones are stored within 5 s, bad ones dead-lettered."""
        device = f"poison.{bench.flow.prefix}"
        kinds = _bad(device, datetime.now(UTC))
        chosen = [kinds[number % len(kinds)] for number in range(bench.scaled(_POISON, least=200))]
        bench.random.shuffle(chosen)
        with bench.sender() as fan:
            sent = [
                fan.client.publish(f"fan/messages/{device}", json.dumps(body | {"seq": seq}), qos=1)
                for seq, (_, body) in enumerate(chosen)
            ]
            for one in sent:
                one.wait_for_publish(60)
        wanted = Counter(str(reason) for reason, _ in chosen)
        took = bench.within(
            _GOOD_WITHIN_S, bench.all_stored_until(time.time_ns()), "the good readings stored with verdict"
        )
        bench.within(
            _GOOD_WITHIN_S,
            lambda: bench.dead_letters.reasons(device) == wanted,
            "every poison message dead-lettered",
        )
        bench.figures["poison messages"] = len(chosen)
        bench.figures["dead letters"] = bench.dead_letters.reasons(device).total()
        bench.figures["good ones stored after, s"] = round(took, 1)
