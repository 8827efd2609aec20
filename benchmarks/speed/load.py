"""Readings for the benchmark: healthy machines, numbered, as the payloads that a broker gets."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from contract.reading import Reading
from contract.timestamp import format_timestamp
from contract.topics import Topics

FAN_RANGES = {"rotation": (500, 700), "temperature": (35, 45), "vibration": (100, 200), "sound": (45, 52)}
WIDE_SIGNALS = 170
WIDE_RANGES = {f"s{number:03}": (0, 100) for number in range(WIDE_SIGNALS)}
"""As many signals as the widest public data set of machines that we know has; a model of its own scores them."""


@dataclass(frozen=True, slots=True)
class Message:
    """A topic and what is published on it; seq numbers the messages of one run from 0."""

    topic: str
    payload: bytes


def messages(count: int, *, fans: int = 100, wide: bool = False, seed: int = 1) -> Iterator[Message]:
    """Make count readings of so many machines, each on its own topic.

    seq counts over all machines, so that it alone names the reading. The rows repeat after a thousand: they are made
    while a run is prepared, and a million of them must not take minutes.
    """
    draw = random.Random(seed)
    ranges = WIDE_RANGES if wide else FAN_RANGES
    rows = [
        {name: round(draw.uniform(*bounds), 1) for name, bounds in ranges.items()}
        for _ in range(min(count, 1000))
    ]
    now = format_timestamp(datetime.now(UTC))
    topics = Topics()
    for seq in range(count):
        device = f"bench-{seq % fans}"
        reading = Reading(deviceID=device, timeStamp=now, seq=seq, bootID="bench", **rows[seq % len(rows)])
        yield Message(topics.messages_of(device), reading.to_json())
