"""Case 11: payloads that nobody expects, and one that is too large for the broker."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.chaos.case import AS_IT_SHIPS, Bench, Needs
from benchmarks.chaos.stack import PARTS, Part
from contract.reading import Reading
from contract.timestamp import format_timestamp
from testbed.waiting import wait_until

_RANDOM_ONES = 200
_NEXT_WITHIN_S = 1
_COUNTED_WITHIN_S = 5
_REJECTED = "fanwatch_predictor_readings_rejected_total"


def _payloads(draw: random.Random, random_ones: int) -> list[bytes]:
    known = [
        b"rotation=600",
        b"",
        b"\xff\xfe\x00",
        b"null",
        b'{"deviceID": "',
        b"[" * 100_000,
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        b"x" * 1_000_000,
        b'{"deviceID":"f","timeStamp":"2026-01-01T00:00:00Z","rotation":1e999}',
        b"\x00" * 100,
    ]
    return known + [draw.randbytes(draw.randint(1, 2000)) for _ in range(random_ones)]


@dataclass(frozen=True)
class Fuzz:
    """Not JSON, bad UTF-8, 1 MB, deep nesting, empty, random bytes; then 10 MB."""

    number: int = 11
    name: str = "fuzz: not JSON, bad UTF-8, 1 MB, deep nesting, empty, random bytes; 10 MB"
    seconds: float = 25
    needs: Needs = AS_IT_SHIPS
    per_second: float = 200

    def run(self, bench: Bench) -> None:
        """After each the next good reading has its verdict within a second; each is counted; nothing exits."""
        stack, device = bench.stack, f"fuzz.{bench.flow.prefix}"
        topic = f"fan/messages/{device}"
        processes = {part: stack.process_of(part) for part in PARTS}
        counted = stack.metric(Part.PREDICTOR, _REJECTED)
        payloads = _payloads(bench.random, bench.scaled(_RANDOM_ONES, least=20))
        slowest = 0.0
        with bench.sender() as fan, bench.sender("monitor") as watching:
            watching.subscribe(f"fan/anomaly/{device}")
            for seq, payload in enumerate(payloads):
                fan.publish(topic, payload)
                fan.publish(topic, _good(device, seq))
                came = lambda: not watching.messages.empty()  # noqa: E731
                slowest = max(slowest, bench.within(_NEXT_WITHIN_S, came, "the next good reading's verdict"))
                if not watching.messages.empty():
                    watching.next()
            bench.within(
                _COUNTED_WITHIN_S,
                lambda: stack.metric(Part.PREDICTOR, _REJECTED) - counted >= len(payloads),
                "every payload counted",
            )
            self._ten_megabytes(bench, topic)
            bench.expect(not fan.disconnected.is_set(), "10 MB of another cut this sender's connection")
            bench.expect(not watching.disconnected.is_set(), "10 MB cut a reader's connection")
        bench.expect(bench.flow.disconnections == 0, "10 MB of another cut the flow's connection")
        for part, process in processes.items():
            bench.expect(stack.process_of(part) == process, f"{part} has ended or started again")
        bench.figures["payloads"] = len(payloads)
        bench.figures["rejected"] = stack.metric(Part.PREDICTOR, _REJECTED) - counted
        bench.figures["next verdict at the latest after, s"] = round(slowest, 2)

    def _ten_megabytes(self, bench: Bench, topic: str) -> None:
        with bench.sender() as sender:
            sender.client.publish(topic, b"x" * 10_000_000, qos=1)
            try:
                wait_until(sender.disconnected.is_set, within_s=10, what="10 MB to cost the connection")
            except TimeoutError as error:
                bench.failures.append(str(error))


def _good(device: str, seq: int) -> bytes:
    return Reading(
        deviceID=device,
        timeStamp=format_timestamp(datetime.now(UTC)),
        seq=seq,
        bootID="fuzz",
        rotation=600.0,
        temperature=40.0,
        vibration=150.0,
        sound=48.5,
    ).to_json()
