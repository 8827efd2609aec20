"""Verdicts as the predictor would publish them."""

from datetime import UTC, datetime
from typing import Literal

from contract.rejection import Reason, Rejection
from contract.timestamp import format_timestamp
from contract.verdict import Verdict

RUNNING = {"rotation": 600.0, "temperature": 45.0, "vibration": 150.0, "sound": 45.0}
BROKEN = {"rotation": 430.0, "temperature": 68.0, "vibration": 215.0, "sound": 62.0}


def lively(fault: int, number: int) -> dict[str, float]:
    """The signals of the reading of that number: as of a real machine, no two alike and none standing still."""
    step = number * 37 % 11 - 5
    scatter = {"rotation": 2.0, "temperature": -0.1, "vibration": 1.0, "sound": -0.1}
    return {name: value + step * scatter[name] for name, value in (BROKEN if fault else RUNNING).items()}


def verdict(
    device_id: str = "1",
    *,
    at: float,
    seq: int | None = None,
    fault: Literal[0, 1] = 0,
    boot: str | None = "boot",
    signals: dict[str, float] | None = None,
    model: str = "fan:3",
) -> Verdict:
    """A verdict on a reading measured at that second since 1970."""
    return Verdict(
        deviceID=device_id,
        timeStamp=format_timestamp(datetime.fromtimestamp(at, UTC)),
        seq=seq,
        bootID=boot if seq is not None else None,
        fault=fault,
        probability=0.98 if fault else 0.09,
        model=model,
        **(signals if signals is not None else BROKEN if fault else RUNNING),
    )


def rejection(
    device_id: str | None = "1",
    reason: Reason = Reason.OUT_OF_RANGE,
    detail: str = "",
    payload: bytes = b"{}",
) -> Rejection:
    """A refusal of some reading."""
    return Rejection.of(
        payload,
        topic="fan/messages",
        reason=reason,
        detail=detail or "vibration: got 9000, expected 0 to 1000",
        rejected_at=format_timestamp(datetime.now(UTC)),
        device_id=device_id,
    )
