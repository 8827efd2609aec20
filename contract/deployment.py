"""Deployment: which versions of a model a device uses (deployment.json, beside one folder a version).

``MODELS_DIR/NAME/deployment.json`` is replaced whole, by one rename: that is the switch. ``MODELS_DIR/NAME/VERSION/``
is a bundle. A folder NAME that is itself a bundle, with a manifest.json and no deployment.json, serves that version.
"""

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contract.bundle import ModelVersion
from contract.identity import ModelName
from contract.timestamp import TimeStamp, format_timestamp

DEPLOYMENT_FILE = "deployment.json"


class NotDeployed(ValueError):  # noqa: N818 - it names the state
    """There is no version to go to; says what was asked and what there is."""


class Deployment(BaseModel):
    """The versions in use. Every change makes a new one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = Field(default=1, description="Version of this schema.")
    model: ModelName
    champion: ModelVersion = Field(description="Gives every verdict.")
    challenger: ModelVersion | None = Field(
        default=None,
        description="Scores the same readings in the shadow; none of its verdicts leaves the service.",
    )
    previous: ModelVersion | None = Field(
        default=None, description="The champion before; a roll-back goes to it."
    )
    since: TimeStamp = Field(description="When this was decided.")
    why: str = Field(max_length=500, description="Who or what decided it, and why; for people.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.champion in {self.challenger, self.previous}:
            raise ValueError(f"version {self.champion} is champion and cannot be challenger or previous too")
        return self

    @classmethod
    def first(cls, model: str, version: str, *, at: datetime, why: str) -> Self:
        """The deployment of a model that had none."""
        return cls(model=model, champion=version, since=format_timestamp(at), why=why[:500])

    def promoted(self, version: str, *, at: datetime, why: str) -> Self:
        """Another version becomes the champion, whatever it was before."""
        if version == self.champion:
            return self
        return self._changed(
            at,
            why,
            champion=version,
            challenger=None if self.challenger == version else self.challenger,
            previous=self.champion,
        )

    def shadowed(self, version: str | None, *, at: datetime, why: str) -> Self:
        """Another version is scored in the shadow; None ends that.

        Raises:
            NotDeployed: It is the champion.
        """
        if version == self.champion:
            raise NotDeployed(
                f"version {version} of {self.model} is the champion; it cannot be its own challenger"
            )
        return self._changed(at, why, challenger=version)

    def rolled_back(self, *, at: datetime, why: str) -> Self:
        """The champion before is the champion again; what failed is nobody's challenger.

        Raises:
            NotDeployed: There was none before.
        """
        if self.previous is None:
            raise NotDeployed(f"model {self.model} has no version before {self.champion} to roll back to")
        challenger = None if self.challenger == self.previous else self.challenger
        return self._changed(at, why, champion=self.previous, challenger=challenger, previous=None)

    def _changed(self, at: datetime, why: str, **changes: str | None) -> Self:
        told = {"since": format_timestamp(at), "why": why[:500]}
        return type(self).model_validate(self.model_dump() | changes | told)
