"""Alarm: the most urgent alarm of one device, as retained on fan/alarms/<deviceID>; and every change of every alarm.

The states are those of ANSI/ISA-18.2-2016 (alarm state transition diagram), which IEC 62682:2022 shares.
"""

from enum import IntEnum, StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from contract.identity import DeviceID, Sequence, SignalName
from contract.reading import SignalValue
from contract.timestamp import TimeStamp

MAX_CONTRIBUTIONS = 8
"""So many are told, the largest shares first: a wide model's alarm stays below Telegraf's 16 KiB."""
MAX_SENTENCE = 500

Sentence = Annotated[str, Field(max_length=MAX_SENTENCE)]
Person = Annotated[
    str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$", description="Who did it, as they signed in.")
]


class AlarmState(StrEnum):
    """The states of ISA-18.2, with its letters."""

    NORMAL = "normal"
    """A: no alarm."""
    UNACKNOWLEDGED = "unacknowledged"
    """B: active, and nobody has said yet that they know."""
    ACKNOWLEDGED = "acknowledged"
    """C: active, and somebody knows."""
    RETURNED = "returned_unacknowledged"
    """D: no longer active, and nobody has said that they knew."""
    LATCHED_UNACKNOWLEDGED = "latched_unacknowledged"
    """E: no longer active, held until somebody acknowledges and resets it."""
    LATCHED_ACKNOWLEDGED = "latched_acknowledged"
    """F: no longer active, acknowledged, held until somebody resets it."""
    SHELVED = "shelved"
    """G: put aside by a person until a time."""
    SUPPRESSED = "suppressed_by_design"
    """H: kept from view by logic: maintenance, a stopped machine, a broken sensor."""
    OUT_OF_SERVICE = "out_of_service"
    """I: taken out by a person until they return it."""


class AlarmPriority(IntEnum):
    """How soon a person must act; ISA-18.2 asks for few, most alarms in the lowest."""

    HIGH = 1
    MEDIUM = 2
    LOW = 3


class AlarmContribution(BaseModel):
    """One signal's part in the decision."""

    model_config = ConfigDict(frozen=True)

    signal: SignalName
    value: SignalValue
    unit: str = Field(max_length=32)
    usual_low: SignalValue = Field(alias="usualLow", description="Lower end of the usual range, in the unit.")
    usual_high: SignalValue = Field(
        alias="usualHigh", description="Upper end of the usual range, in the unit."
    )
    share: float = Field(ge=0, le=1, description="Share of the decision.")


class Alarm(BaseModel):
    """The most urgent alarm of one device; with state "normal" and no alarmID when it has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device_id: DeviceID = Field(alias="deviceID")
    time_stamp: TimeStamp = Field(
        alias="timeStamp", description="When this was said; never before what was said of the device earlier."
    )
    seq: Sequence = Field(description="Counts up over all that the monitor has published.")
    state: AlarmState
    since: TimeStamp = Field(description="Since when the alarm is in this state.")
    active: Literal[0, 1] = Field(description="1 while the cause is there, whatever people did, else 0.")
    alarm_id: int | None = Field(
        default=None, alias="alarmID", ge=1, description="Names this occurrence, for those who answer it."
    )
    kind: str | None = Field(
        default=None, pattern=r"^[a-z_]{1,64}$", description="What is the matter: machine_fault, silence..."
    )
    priority: AlarmPriority | None = Field(default=None, description="1 high, 2 medium, 3 low.")
    raised_at: TimeStamp | None = Field(
        default=None,
        alias="raisedAt",
        description="Since when this occurrence is going on, whatever people did.",
    )
    why: Sentence = Field(default="", description="One sentence for a person.")
    inspect: Sentence = Field(default="", description="What to look at.")
    contributions: tuple[AlarmContribution, ...] = Field(default=(), max_length=MAX_CONTRIBUTIONS)
    acknowledged_by: Person | None = Field(default=None, alias="acknowledgedBy")
    shelved_until: TimeStamp | None = Field(default=None, alias="shelvedUntil")

    @classmethod
    def from_json(cls, payload: bytes) -> Self:
        """Parse one payload.

        Raises:
            pydantic.ValidationError: It is not an alarm.
        """
        return cls.model_validate_json(payload)

    def to_json(self) -> bytes:
        """The body as it is published; what is not known is left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


class AlarmTransition(BaseModel):
    """One line of the journal of alarms, as published on fan/alarms/<deviceID>/journal, not retained.

    The retained alarm is the most urgent one of its device; the journal has every change of each, also of those beneath
    it. So whoever keeps the journal has the whole history.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    device_id: DeviceID = Field(alias="deviceID")
    time_stamp: TimeStamp = Field(alias="timeStamp", description="When it happened.")
    seq: Sequence = Field(description="Counts up over all that the monitor has published.")
    kind: str = Field(pattern=r"^[a-z_]{1,64}$", description="What is the matter: machine_fault, silence...")
    priority: AlarmPriority = Field(description="1 high, 2 medium, 3 low.")
    alarm_id: int | None = Field(
        default=None,
        alias="alarmID",
        ge=1,
        description="Names the occurrence; a kind out of service has none.",
    )
    before: AlarmState
    state: AlarmState = Field(
        description="From now on; the same as before where only the cause came or went."
    )
    cause: str = Field(pattern=r"^[a-z_]{1,64}$", description="raised, cleared, acknowledged, shelved...")
    called: Literal[0, 1] = Field(
        description="1 when people are called by it: it counts as an alarm, else 0."
    )
    who: Person | None = None
    why: Sentence = Field(default="", description="One sentence for a person.")

    @classmethod
    def from_json(cls, payload: bytes) -> Self:
        """Parse one payload.

        Raises:
            pydantic.ValidationError: It is not a line of the journal.
        """
        return cls.model_validate_json(payload)

    def to_json(self) -> bytes:
        """The body as it is published; what is not known is left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()
