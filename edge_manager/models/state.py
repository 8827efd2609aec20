"""What a model does on this device, as `fanwatch model state` tells it and `fanwatch fleet` reads it."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime

from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, ConfigDict, Field

from contract.bundle import ModelVersion
from contract.deployment import Deployment
from contract.identity import ModelName
from contract.timestamp import TimeStamp, format_timestamp
from edge_manager.models.shadow_report import comparisons
from edge_manager.models.versions import ModelVersions

__all__ = ["Compared", "ModelState", "state_of"]

_ROWS = "fanwatch_inference_rows_scored_total"
_WITHIN_S = 10


class Compared(BaseModel):
    """A challenger beside the champion, since the scoring service started."""

    model_config = ConfigDict(frozen=True)

    champion: str
    challenger: str
    rows: int
    agreement: float = Field(description="Share of rows on which both say the same.")


class ModelState(BaseModel):
    """One model on one device, at one moment."""

    model_config = ConfigDict(frozen=True)

    model: ModelName
    at: TimeStamp = Field(description="By the device's own clock.")
    deployment: Deployment | None = Field(description="None while nothing was ever deployed.")
    versions: tuple[ModelVersion, ...] = Field(description="Those that lie on the device.")
    serving: ModelVersion | None = Field(
        description="The one that gives verdicts now; None when the service does not say."
    )
    rows: float | None = Field(description="Readings that the scoring service has scored since its start.")
    compared: tuple[Compared, ...] = ()
    problem: str = Field(default="", description="Why the scoring service says nothing.")

    @property
    def champion(self) -> str | None:
        """The version that is to give every verdict."""
        if self.deployment is not None:
            return self.deployment.champion
        return self.versions[0] if len(self.versions) == 1 else None


def state_of(versions: ModelVersions, name: str, url: str, clock: Callable[[], datetime]) -> ModelState:
    """Looks at the folder and asks the scoring service.

    Args:
        versions: Of this model.
        name: The model.
        url: Base URL of the scoring service.
        clock: What the time is.

    Raises:
        ModelFolderError: The model's folder is not as it must be.
    """
    serving, rows, compared, problem = None, None, [], ""
    try:
        served = json.loads(_get(f"{url.rstrip('/')}/v2/models/{name}"))
        serving = served["versions"][-1]
        text = _get(f"{url.rstrip('/')}/metrics")
        rows = sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == _ROWS
        )
        compared = [
            Compared(champion=e.champion, challenger=e.challenger, rows=e.rows, agreement=e.agreement)
            for e in comparisons(text)
        ]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        problem = f"{url}: the scoring service does not answer: {error}"
    return ModelState(
        model=name,
        at=format_timestamp(clock()),
        deployment=versions.deployment(),
        versions=tuple(each.manifest.version for each in versions.versions()),
        serving=serving,
        rows=rows,
        compared=tuple(compared),
        problem=problem,
    )


def _get(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("expected an URL that begins with http:// or https://")
    with urllib.request.urlopen(url, timeout=_WITHIN_S) as answer:  # noqa: S310 - checked above
        text: str = answer.read().decode()
        return text
