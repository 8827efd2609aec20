"""Payloads as fans and the predictor send them, for tests of what stands between them."""

import json
from datetime import UTC, datetime


def now_ms() -> datetime:
    """Now, cut to the millisecond."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def rfc3339(moment: datetime) -> str:
    """As a fan of ours writes it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def reading(device: str, at: datetime | str | None = None, **more: object) -> str:
    """A reading; more adds keys or replaces them."""
    if not isinstance(at, str):
        at = rfc3339(at or now_ms())
    signals: dict[str, object] = {"rotation": 600, "temperature": 25.5, "vibration": 120.25, "sound": 70}
    return json.dumps({"deviceID": device, "timeStamp": at, **signals, **more})


def verdict(device: str, at: datetime | str | None = None, **more: object) -> str:
    """The verdict on that reading."""
    said: dict[str, object] = {"fault": 1, "probability": 0.875, "model": "fan:3"}
    return reading(device, at, **(said | more))
