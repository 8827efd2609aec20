"""Readings for the benchmark: healthy fans, numbered, first in and first out."""

import random
from datetime import UTC, datetime

from contract.reading import Reading
from contract.timestamp import format_timestamp


def readings(count: int, fans: int, seed: int = 1) -> list[Reading]:
    """Make count readings of so many fans; seq counts over all of them, so that it names the reading."""
    draw = random.Random(seed)
    now = format_timestamp(datetime.now(UTC))
    return [
        Reading(
            deviceID=f"bench-{seq % fans}",
            timeStamp=now,
            seq=seq,
            bootID="bench",
            rotation=round(draw.uniform(500, 700), 1),
            temperature=round(draw.uniform(35, 45), 1),
            vibration=round(draw.uniform(100, 200), 1),
            sound=round(draw.uniform(45, 52), 1),
        )
        for seq in range(count)
    ]
