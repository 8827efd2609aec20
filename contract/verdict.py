"""Verdict: what the model says of one reading, as published on fan/anomaly."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from contract.identity import BootID, DeviceID, Sequence, SignalName
from contract.reading import Reading, SignalValue
from contract.timestamp import TimeStamp

MODEL_ID_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}:[A-Za-z0-9._-]{1,64}$"


class Verdict(BaseModel):
    """One verdict, flat like its reading, whose identity and signals it repeats unchanged."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", protected_namespaces=())
    __pydantic_extra__: dict[SignalName, SignalValue] = Field(init=False)

    device_id: DeviceID = Field(alias="deviceID")
    time_stamp: TimeStamp = Field(alias="timeStamp")
    seq: Sequence | None = None
    boot_id: BootID | None = Field(default=None, alias="bootID")
    fault: Literal[0, 1] = Field(description="1 when probability reaches the model's threshold, else 0.")
    probability: float = Field(ge=0, le=1, description="Calibrated probability that the machine is faulty.")
    model: str = Field(pattern=MODEL_ID_PATTERN, description='The model that scored it, "name:version".')

    @property
    def signals(self) -> dict[str, float]:
        """The signals of the reading by name."""
        return self.__pydantic_extra__

    @classmethod
    def of(cls, reading: Reading, *, fault: Literal[0, 1], probability: float, model: str) -> Self:
        """The verdict on a reading."""
        return cls(
            deviceID=reading.device_id,
            timeStamp=reading.time_stamp,
            seq=reading.seq,
            bootID=reading.boot_id,
            fault=fault,
            probability=probability,
            model=model,
            **reading.signals,
        )

    @classmethod
    def from_json(cls, payload: bytes) -> Self:
        """Parse one payload.

        Raises:
            pydantic.ValidationError: It is not a verdict.
        """
        # What model_validate_json calls, without its questions about options: a third less time.
        verdict: Self = cls.__pydantic_validator__.validate_json(payload)
        return verdict

    def to_json(self) -> bytes:
        """The body as it is published; seq and bootID are left out where the reading had none."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()
