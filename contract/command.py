"""Command: what a simulated fan should do, as published on fan/commands/<deviceID>."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Condition(StrEnum):
    """The condition of a simulated fan."""

    HEALTHY = "healthy"
    FAULTY = "faulty"
    WEARING = "wearing"
    STUCK = "stuck"
    SPIKES = "spikes"
    SILENT = "silent"


class FanCommand(BaseModel):
    """Puts one simulated fan into a condition, from its next reading on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    condition: Condition
    duration_s: float | None = Field(
        default=None,
        gt=0,
        le=366 * 86400,
        description="Seconds that wearing takes until the fan stops; other conditions last until changed.",
    )
