"""The configuration of a back-test: which columns are which signals, what is known of the machine, what is true."""

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from contract.identity import SignalName
from monitor.alarms.policy import AlarmPolicy
from monitor.alarms.settings import RuleChange
from monitor.diagnosis.plant import (
    EvidenceKind,
    EvidenceSettings,
    GatheringSettings,
    HealthPlan,
    InspectionRule,
    Maintenance,
    ModePlan,
    TrendSettings,
    sentence_of,
)
from monitor.findings import FindingKind

Finite = Annotated[float, Field(allow_inf_nan=False)]
Range = tuple[Finite, Finite]


class ConfigError(ValueError):
    """The file does not say what it should; the sentence names the file, the key and what was expected."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataTable(_Table):
    """How the file is written."""

    time: str = Field(min_length=1, description="Column of the time of measurement.")
    time_format: str = Field(
        default="iso",
        description='"iso" (RFC 3339, or without a zone), "unix" (seconds), "unix_ms", or a strptime format.',
    )
    zone: str = Field(default="UTC", description="Of times that name none.")
    device: str | None = Field(default=None, description="Column of the device; without it there is one.")
    device_name: str = Field(default="machine", description="What the one device is called.")
    separator: str = Field(default=",", min_length=1, max_length=1)

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"unknown time zone {value!r}") from error
        return value


class SignalTable(_Table):
    """One signal; what is not given is learned from the healthy stretch."""

    column: str | None = Field(default=None, description="Its column; its own name if not given.")
    label: str = ""
    unit: str = ""
    usual: Range | None = Field(default=None, description="Lowest and highest value of a healthy machine.")
    plausible: Range | None = Field(default=None, description="Outside of it the sensor must be broken.")
    worn_low: Finite | None = None
    worn_high: Finite | None = None
    flat_readings: int | None = Field(default=None, ge=0)


class HealthyTable(_Table):
    """The stretch to learn from; alarms in it are not counted."""

    first_percent: float | None = Field(default=None, gt=0, lt=100, description="Of each device's readings.")
    first_rows: int | None = Field(default=None, ge=60)
    start: datetime | None = Field(default=None, alias="from")
    end: datetime | None = Field(default=None, alias="to")

    @model_validator(mode="after")
    def _one(self) -> Self:
        ways = (
            self.first_percent is not None,
            self.first_rows is not None,
            self.start is not None and self.end is not None,
        )
        if sum(ways) != 1:
            raise ValueError("expected one of first_percent, first_rows, or from and to")
        for moment in (self.start, self.end):
            if moment is not None and moment.tzinfo is None:
                raise ValueError("from and to need a zone: 2026-11-23T06:00:00Z")
        return self


class ModelTable(_Table):
    """A model bundle in place of what is learned from the healthy stretch."""

    bundle: Path = Field(description="Folder with manifest.json and model.tflite, relative to this file.")


class QualityTable(_Table):
    """As in the plant's file; what is not given follows the readings' interval and the healthy stretch."""

    flat_readings: int | None = Field(default=None, ge=0)
    spike_widths: float = Field(default=1.0, gt=0)
    spikes: int = Field(default=3, ge=1)
    silent_after_s: float | None = Field(default=None, gt=0)


class LabelTable(_Table):
    """What is true, to judge by; nothing is learned from it."""

    column: str | None = Field(default=None, description="Column with 1 where the machine is at fault.")
    windows: tuple[tuple[datetime, datetime], ...] = Field(default=(), description="Faults, from and to.")
    failures: tuple[datetime, ...] = Field(default=(), description="Moments at which the machine failed.")
    within_days: float = Field(
        default=7,
        gt=0,
        description="An alarm so many days before a failure foretells it; earlier ones are false.",
    )
    device: str | None = Field(default=None, description="Of windows and failures; all devices if not given.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum((self.column is not None, bool(self.windows), bool(self.failures))) != 1:
            raise ValueError("expected one of column, windows, failures")
        for moment in (*self.failures, *(moment for window in self.windows for moment in window)):
            if moment.tzinfo is None:
                raise ValueError("times need a zone: 2026-11-23T06:00:00Z")
        return self


class BacktestConfig(_Table):
    """The whole file."""

    name: str = Field(default="machine", min_length=1, max_length=64)
    data: DataTable
    signals: dict[SignalName, SignalTable] = Field(min_length=1)
    healthy: HealthyTable | None = None
    model: ModelTable | None = None
    labels: LabelTable | None = None
    mode: ModePlan | None = None
    inspect: tuple[InspectionRule, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    health: HealthPlan | None = Field(
        default=None,
        description="Without it a model is taken for calibrated, and without a model evidence is gathered.",
    )
    evidence: EvidenceSettings | None = None
    gathering: GatheringSettings | None = None
    quality: QualityTable = QualityTable()
    trend: TrendSettings = TrendSettings()
    alarms: dict[FindingKind, RuleChange] = Field(
        default_factory=dict, description="What is changed of the alarms' rules, as in FANWATCH_ALARM_RULES."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.model is None and self.healthy is None:
            raise ValueError("expected healthy (a stretch to learn from) or model (a bundle)")
        unknown = [name for name, signal in self.signals.items() if signal.usual is None]
        if self.healthy is None and unknown:
            raise ValueError(f"without healthy, usual must be given for {', '.join(unknown)}")
        if self.model is None and not self.gathers:
            raise ValueError(
                "health.evidence: a sequential test takes a model's calibrated probabilities; name a model"
            )
        idle = self.evidence if self.gathers else self.gathering
        if idle is not None:
            name = "evidence" if self.gathers else "gathering"
            raise ValueError(f"{name} is not read by the evidence that is chosen under health")
        return self

    @property
    def gathers(self) -> bool:
        """Whether evidence is gathered."""
        if self.health is None:
            return self.model is None
        return self.health.evidence is EvidenceKind.GATHERING

    def policy(self) -> AlarmPolicy:
        """The alarms' rules."""
        rules = dict(AlarmPolicy().rules)
        for kind, change in self.alarms.items():
            rules[kind] = change.of(rules[kind])
        return AlarmPolicy(rules=rules)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            ConfigError: It cannot be read, or does not say what it should.
        """
        try:
            content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read: {error}") from error
        try:
            config = cls.model_validate(content)
        except ValidationError as error:
            raise ConfigError(f"{path}: {sentence_of(error)}") from None
        if config.model is None:
            return config
        bundle = path.parent / config.model.bundle
        return config.model_copy(update={"model": ModelTable(bundle=bundle)})
