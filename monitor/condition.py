"""Condition: what the diagnosis makes of a device, in one word for a page, and all that stands beside it."""

from dataclasses import dataclass
from enum import StrEnum

from monitor.diagnosis.device import Status
from monitor.diagnosis.evidence import Health
from monitor.diagnosis.mode import Mode
from monitor.findings import FindingKind


class State(StrEnum):
    """What a tile says of its device, the most urgent first."""

    FAULT = "fault"
    SILENT = "silent"
    WEARING = "wearing"
    SENSOR_FAULT = "sensor_fault"
    UNKNOWN = "unknown"
    MAINTENANCE = "maintenance"
    STOPPED = "stopped"
    HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class Condition:
    """The state of one device, and the findings behind it."""

    state: State
    standing: frozenset[FindingKind] = frozenset()
    """Every finding that is present; the state names the most urgent only."""


UNKNOWN = Condition(State.UNKNOWN)
"""Of a device whose first readings have not decided anything yet."""


def condition_of(status: Status) -> Condition:
    """The one state that a diagnosis amounts to.

    What is planned comes first, as it does for the alarms: in maintenance and at a standstill they call nobody. Then
    comes the finding whose alarm is the most urgent, so that the word and the alarm beside it are of one matter.
    """
    return Condition(_state(status), status.standing)


def is_planned_stop(status: Status) -> bool:
    """Whether the machine stands still and was not broken before: one that stands still and is hot is stuck."""
    return status.mode is Mode.STOPPED and FindingKind.MACHINE_FAULT not in status.standing


def _state(status: Status) -> State:  # noqa: PLR0911 - a ladder, read from top to bottom
    standing = status.standing
    if status.in_maintenance:
        return State.MAINTENANCE
    if is_planned_stop(status):
        return State.STOPPED
    if standing:
        if FindingKind.MACHINE_FAULT in standing:
            return State.FAULT
        if FindingKind.SILENCE in standing:
            return State.SILENT
        if FindingKind.WEAR in standing:
            return State.WEARING
        return State.SENSOR_FAULT
    return State.UNKNOWN if status.health is Health.UNKNOWN else State.HEALTHY
