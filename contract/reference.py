"""Reference: how signals and probabilities of the training data were distributed (reference.json in a bundle).

Only of rows that the model calls healthy: how many machines are ill differs between any training set and any plant,
and is no drift.
"""

from itertools import pairwise
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from contract.identity import SignalName

REFERENCE_FILE = "reference.json"
QUANTILES = 201
"""Of 0, 0.5, 1 ... 100 %: the distribution function between them is off by 0.5 % at the most."""


def _ascending(values: tuple[float, ...]) -> tuple[float, ...]:
    if any(later < earlier for earlier, later in pairwise(values)):
        raise ValueError("quantiles must not fall")
    return values


Quantiles = Annotated[
    tuple[Annotated[float, Field(allow_inf_nan=False)], ...],
    Field(min_length=QUANTILES, max_length=QUANTILES),
    AfterValidator(_ascending),
]


class Reference(BaseModel):
    """What the model saw when it learned, of rows that it calls healthy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(ge=1, description="So many rows the quantiles are of.")
    signals: dict[SignalName, Quantiles] = Field(min_length=1, description="In each signal's unit.")
    probability: Quantiles = Field(description="Of a fault, as the model gives it.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.probability[0] < 0 or self.probability[-1] > 1:
            raise ValueError("a probability lies between 0 and 1")
        return self
