"""Why a reading got no verdict: the body of fan/rejected, the dead-letter topic."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from contract.identity import DEVICE_ID_PATTERN
from contract.timestamp import TimeStamp

MAX_REJECTED_PAYLOAD_BYTES = 4096


class Reason(StrEnum):
    """The kinds of refusal; the monitor tells a sensor fault by them."""

    NOT_A_READING = "not_a_reading"
    TOO_LARGE = "too_large"
    WRONG_DEVICE = "wrong_device"
    TIME_AHEAD = "time_ahead"
    TIME_TOO_OLD = "time_too_old"
    SIGNAL_MISSING = "signal_missing"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    REFUSED_BY_MODEL = "refused_by_model"


class Rejection(BaseModel):
    """One refused reading."""

    model_config = ConfigDict(frozen=True)

    reason: Reason
    detail: str = Field(description="What was found, what was expected and what to do, for a person.")
    topic: str = Field(description="The topic on which the payload arrived.")
    device_id: Annotated[str, Field(pattern=DEVICE_ID_PATTERN)] | None = Field(
        default=None,
        alias="deviceID",
        description="The device, as far as the payload or its topic told.",
    )
    rejected_at: TimeStamp = Field(alias="rejectedAt", description="When the predictor refused it, RFC 3339.")
    payload: str = Field(
        description=f"The first {MAX_REJECTED_PAYLOAD_BYTES} bytes; bytes that are not UTF-8 as \\xNN."
    )
    payload_bytes: int = Field(alias="payloadBytes", ge=0, description="Length of the whole payload, bytes.")

    @classmethod
    def of(
        cls,
        payload: bytes,
        *,
        topic: str,
        reason: Reason,
        detail: str,
        rejected_at: str,
        device_id: str | None = None,
    ) -> Self:
        """Wrap a payload of any length and content, kept to the first 4 KiB."""
        return cls(
            reason=reason,
            detail=detail,
            topic=topic,
            deviceID=device_id,
            rejectedAt=rejected_at,
            payload=payload[:MAX_REJECTED_PAYLOAD_BYTES].decode("utf-8", errors="backslashreplace"),
            payloadBytes=len(payload),
        )

    def to_json(self) -> bytes:
        """The body as it is published."""
        return self.model_dump_json(by_alias=True).encode()
