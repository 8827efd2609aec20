"""Finding: what the diagnosis tells the alarms, when something is, or is no longer, the case with a device."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class FindingKind(StrEnum):
    """What may be the matter: with the machine, with its sensor, or with the way of all readings."""

    MACHINE_FAULT = "machine_fault"
    WEAR = "wear"
    FLAT_LINE = "flat_line"
    OUT_OF_RANGE = "out_of_range"
    SPIKES = "spikes"
    SILENCE = "silence"
    CLOCK_SKEW = "clock_skew"
    NO_VERDICTS = "no_verdicts"
    """Of no machine: nothing comes through predictor and scoring service."""

    @property
    def is_sensor_fault(self) -> bool:
        """Whether the sensor, or the way of its readings, is to blame, and the machine may be well."""
        return self not in {FindingKind.MACHINE_FAULT, FindingKind.WEAR}


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one signal has to do with a finding; the values are in its unit."""

    signal: str
    value: float
    unit: str
    usual_low: float
    usual_high: float
    share: float
    """Share of the decision, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something is, or is no longer, the case with a device."""

    device_id: str
    kind: FindingKind
    present: bool
    at: datetime
    """Since when, in UTC."""
    why: str
    """One sentence for a person."""
    inspect: str
    """What to look at; empty when there is nothing to look at."""
    contributions: tuple[Contribution, ...] = ()
    reading: tuple[float, ...] = ()
    """The reading [k] that is explained, in the order of the plant's signals; empty where none is."""
