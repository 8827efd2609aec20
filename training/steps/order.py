"""The order: what one run of the pipeline shall do. Written at its start, and read again when it is resumed."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contract.bundle import ModelVersion, SignalSpec
from contract.identity import ModelName
from contract.timestamp import TimeStamp

ORDER_FILE = "order.json"


class Column(BaseModel):
    """One signal, and what a CSV file calls it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    signal: SignalSpec
    heading: str


class Order(BaseModel):
    """Everything that decides what comes out. Paths are absolute, so that a run may be resumed from anywhere."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: Literal[1] = 1
    """Version of this schema."""

    name: ModelName
    """Of the model."""

    version: ModelVersion | None = None
    """Of the new bundle; None takes the next number."""

    columns: tuple[Column, ...] = Field(min_length=1)
    """The signals, in the order of the tensor."""

    separator: str = ","
    """Between the columns of the CSV file."""

    healthy_rows: int | None = None
    """Of each device, so many first readings are learned from where there are no labels; None takes all."""

    data: Path | None = None
    """A CSV file with the readings; None reads InfluxDB."""

    begin: TimeStamp | None = None
    """Readings from then on."""

    end: TimeStamp | None = None
    """Readings before then. Fixed when the run begins, so that a resumed run sees the same."""

    labels: Path | None = None
    """CSV file of `fanwatch alarms labels`."""

    alarms: Path | None = None
    """The alarms' SQLite file, from which the labels are exported."""

    unlabelled: Literal["leave", "healthy"] = "leave"
    """What a reading is that no closed alarm covers."""

    every_s: float = Field(default=0, ge=0)
    """Of each device one reading in so many seconds of what InfluxDB has; 0 takes all."""

    margin_minutes: float = Field(default=10, ge=0)
    """So close to a fault or a standstill a reading without a label is not taken for a healthy one."""

    most_bad_share: float = Field(default=0.05, ge=0, le=1)
    """Share of bad rows from which on the whole is refused."""

    newest_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of the labelled rows, of either kind the newest, that the gate judges by and nobody trains on."""

    block_minutes: float = Field(default=60, gt=0)
    """Rows of a device within so long are alike: the gate draws them together."""

    test: Path | None = None
    """CSV file of the frozen test set; None generates the fan's."""

    test_rows: int = Field(default=20_000, ge=200)
    """Rows of the fan's generated test set."""

    seed: int = 1
    """Of all that is left to chance."""

    epochs: int = Field(default=40, ge=1)
    """Passes over the data."""

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Probability from which on it is a fault."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Of the gate."""

    resamples: int = Field(default=2000, ge=100)
    """Draws of the gate."""

    models_dir: Path
    """Where bundles are served from: NAME/VERSION/ and NAME/deployment.json."""

    champion: ModelVersion | None = None
    """The version in use when the run began: what the new one is measured against."""

    deploy_as: Literal["challenger", "champion", "nothing"] = "challenger"
    """What becomes of a bundle that passed."""

    key: Path | None = None
    """Private key; None leaves the bundle unsigned."""

    password_file: Path | None = None
    """File with the private key's password."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.labels and self.alarms:
            raise ValueError("either labels or an alarms' file, not both")
        return self

    @property
    def signals(self) -> tuple[SignalSpec, ...]:
        """In the order of the tensor."""
        return tuple(column.signal for column in self.columns)

    @property
    def names(self) -> list[str]:
        """Of the signals, in the order of the tensor."""
        return [column.signal.name for column in self.columns]
