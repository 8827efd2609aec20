"""Reading: what a machine measured at one moment, as published on fan/messages."""

from datetime import UTC, datetime, tzinfo
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import ErrorDetails, from_json

from contract.identity import BootID, DeviceID, Sequence, SignalName
from contract.rejection import Reason
from contract.timestamp import TimeStamp, parse_timestamp

MAX_READING_BYTES = 16 * 1024
"""A larger payload is refused by the predictor (and nowhere earlier: see the design's Delivery)."""

RESERVED_NAMES = frozenset({"fault", "probability", "model", "time"})
"""A signal may not be called so: a verdict and InfluxDB use these names themselves."""

SignalValue = Annotated[
    float, Field(allow_inf_nan=False, description="A finite number in the signal's unit.")
]

_DEVICE_ID: TypeAdapter[str] = TypeAdapter(DeviceID)


class InvalidReading(ValueError):  # noqa: N818 - it names the thing, as in "dead-letter an invalid reading"
    """A payload that cannot be scored: the reason, a sentence for a person, the device where it is known."""

    def __init__(self, reason: Reason, detail: str, device_id: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.device_id = device_id


class Reading(BaseModel):
    """One reading of one machine, flat: every key that is not named here is a signal with a number.

    Both generations parse: the first sends deviceID, timeStamp without a zone and the signals; ours adds seq
    and bootID and writes RFC 3339. Which signals a machine must send stands in its model's manifest.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")
    __pydantic_extra__: dict[SignalName, SignalValue] = Field(init=False)

    device_id: DeviceID = Field(alias="deviceID")
    time_stamp: TimeStamp = Field(alias="timeStamp")
    seq: Sequence | None = None
    boot_id: BootID | None = Field(default=None, alias="bootID")

    @model_validator(mode="after")
    def _check(self) -> Self:
        parse_timestamp(self.time_stamp)
        reserved = RESERVED_NAMES & self.__pydantic_extra__.keys()
        if reserved:
            raise ValueError(f"a signal may not be called {', '.join(sorted(reserved))}")
        return self

    def moment(self, naive_zone: tzinfo = UTC) -> datetime:
        """When the sensor measured, as an aware datetime in UTC; naive_zone is that of a time without one."""
        return parse_timestamp(self.time_stamp, naive_zone)

    @property
    def signals(self) -> dict[str, float]:
        """The signals by name, each in the unit that the model's manifest gives."""
        return self.__pydantic_extra__

    @classmethod
    def from_json(cls, payload: bytes) -> Self:
        """Parse one payload.

        Raises:
            InvalidReading: Larger than 16 KiB, not JSON, or not a reading; with the reason.
        """
        if len(payload) > MAX_READING_BYTES:
            raise InvalidReading(
                Reason.TOO_LARGE, f"payload of {len(payload)} bytes, expected at most {MAX_READING_BYTES}"
            )
        try:
            # What model_validate_json calls, without its questions about options: a third less time.
            reading: Self = cls.__pydantic_validator__.validate_json(payload)
        except ValidationError as error:
            raise _explain(error, payload) from None
        return reading

    def to_json(self) -> bytes:
        """The body as it is published; seq and bootID are left out where there are none."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


def _explain(error: ValidationError, payload: bytes) -> InvalidReading:
    """Turn pydantic's list of errors into one reason and one sentence."""
    details = error.errors(include_url=False)
    not_finite = all(detail["type"] == "finite_number" for detail in details)
    shown = "; ".join(_sentence(detail) for detail in details[:5])
    if len(details) > 5:
        shown += f"; and {len(details) - 5} more"
    reason = Reason.NOT_FINITE if not_finite else Reason.NOT_A_READING
    return InvalidReading(reason, shown, _device_named_in(payload))


def _sentence(detail: ErrorDetails) -> str:
    place = ".".join(str(part) for part in detail["loc"]) or "payload"
    found = "" if detail["type"] in {"json_invalid", "missing"} else f", got {str(detail['input'])[:80]!r}"
    return f"{place}: {detail['msg']}{found}"


def _device_named_in(payload: bytes) -> str | None:
    """The device of a payload that is no reading otherwise: a broken sensor must not become nobody's."""
    try:
        return _DEVICE_ID.validate_python(from_json(payload)["deviceID"])
    except (ValueError, TypeError, KeyError):  # ValidationError is a ValueError
        return None
