"""Plant: what the people of a plant know of their machines, as they write it down in plant.toml.

Usual ranges, limits of wear, how a stop is told from a fault, what to look at, and planned maintenance; beside them
the figures of the diagnosis, each with a default.
"""

import math
import tomllib
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from contract.bundle import ModelSignature
from contract.identity import SignalName

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FEWEST_HEALTHY = 60
DEFAULT_PLANT = Path(__file__).parents[1] / "plant.toml"

Finite = Annotated[float, Field(allow_inf_nan=False)]


class PlantError(ValueError):
    """The file does not say what it should; the sentence names the file, the key and what was expected."""


class _Table(BaseModel):
    # Attributes of a frozen model may be cached, and a key that nobody knows is a misspelt one.
    model_config = ConfigDict(frozen=True, extra="forbid")


class SignalPlan(_Table):
    """What is usual for one signal, and where wear ends; all in the signal's unit."""

    label: str = Field(default="", max_length=64, description="What people call it; its name if not given.")
    unit: str = Field(default="", max_length=32, description='As written behind a value: "r/min".')
    usual: tuple[Finite, Finite] = Field(description="Lowest and highest value of a healthy machine.")
    worn_low: Finite | None = Field(default=None, description="Worn out when it falls to this value.")
    worn_high: Finite | None = Field(default=None, description="Worn out when it rises to this value.")
    flat_readings: int | None = Field(
        default=None, ge=0, description="Overrides quality.flat_readings; 0: it may stand still for ever."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        low, high = self.usual
        if low >= high:
            raise ValueError(f"usual is lowest, then highest value, got {low:g} and {high:g}")
        if self.worn_low is not None and self.worn_low >= self.middle:
            raise ValueError(f"worn_low {self.worn_low:g} is not below the middle of the usual range")
        if self.worn_high is not None and self.worn_high <= self.middle:
            raise ValueError(f"worn_high {self.worn_high:g} is not above the middle of the usual range")
        return self

    @property
    def middle(self) -> float:
        """Middle of the usual range."""
        return (self.usual[0] + self.usual[1]) / 2

    @property
    def width(self) -> float:
        """Width of the usual range."""
        return self.usual[1] - self.usual[0]


class ModePlan(_Table):
    """How one signal tells whether the machine is stopped, starting or running."""

    signal: SignalName
    stopped_below: Finite = Field(description="Below it the machine stands still.")
    running_above: Finite = Field(
        description="From it on the machine runs; between the two it is on its way."
    )
    debounce_readings: int = Field(
        default=3, ge=1, le=100, description="So many readings in a row make a mode."
    )
    start_within_s: float = Field(
        default=60,
        gt=0,
        description="On its way for longer than that, it does not come up to speed: from then on its verdicts count.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.stopped_below >= self.running_above:
            raise ValueError("stopped_below must be below running_above")
        return self


class InspectionRule(_Table):
    """What to look at when signals stand out: all of ``when`` must hold."""

    when: tuple[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63} (high|low)$")], ...] = Field(
        min_length=1, description='Such as ["vibration high", "rotation low"].'
    )
    look_at: str = Field(min_length=1, max_length=200, description='Such as "bearing and belt".')


class Maintenance(_Table):
    """A time in which nothing of a device is an alarm: once (from, to), or each week (weekday, at, hours)."""

    device: str = Field(description='deviceID, or "*" for every device.')
    note: str = Field(default="", max_length=200)
    start: datetime | None = Field(default=None, alias="from", description="With a zone.")
    end: datetime | None = Field(default=None, alias="to", description="With a zone.")
    weekday: Literal[_DAYS] | None = None  # type: ignore[valid-type]  # one list of days, not two
    at: time | None = Field(default=None, description="Local time of the day, without a zone.")
    hours: float | None = Field(default=None, gt=0, le=168)
    zone: str = Field(default="UTC", description='Of ``at``: "Europe/Berlin".')
    learn_anew: bool = Field(
        default=False,
        description="With from and to, and gathered evidence: behind it, what is usual is learned anew, because the "
        "machine is another one after a repair. Its fault is over by that, so leave it out where one only cleans.",
    )

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"unknown time zone {value!r}") from error
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        once = (self.start is not None, self.end is not None)
        weekly = (self.weekday is not None, self.at is not None, self.hours is not None)
        if not (all(once) and not any(weekly)) and not (all(weekly) and not any(once)):
            raise ValueError("expected either from and to, or weekday, at and hours")
        for moment in (self.start, self.end):
            if moment is not None and moment.tzinfo is None:
                raise ValueError("from and to need a zone: 2026-11-23T06:00:00+01:00")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError("from must be before to")
        if self.learn_anew and not all(once):
            raise ValueError("learn_anew goes with from and to: each week would be learned anew")
        return self

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def covers(self, at: float) -> bool:
        """Whether the moment, in seconds since 1970 UTC, lies in it."""
        if self.start is not None and self.end is not None:
            return self.start.timestamp() <= at < self.end.timestamp()
        if self.weekday is None or self.at is None or self.hours is None:
            return False
        local = datetime.fromtimestamp(at, UTC).astimezone(self._zone)
        back = (local.weekday() - _DAYS.index(self.weekday)) % 7
        for days in (back, back + 7):  # a long one may have begun last week
            began = datetime.combine(local.date() - timedelta(days=days), self.at, self._zone)
            if 0 <= at - began.timestamp() < self.hours * 3600:
                return True
        return False


class EvidenceSettings(_Table):
    """The sequential probability test on the verdicts' probabilities."""

    false_fault_rate: float = Field(
        default=1e-6, gt=0, lt=0.5, description="Wald's alpha: a healthy machine is called faulty."
    )
    false_healthy_rate: float = Field(
        default=1e-7,
        gt=0,
        lt=0.5,
        description="Wald's beta: a faulty machine is called healthy; one faulty reading in eleven of a fan looks so.",
    )
    prior_fault: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="Share of faults on which the model was calibrated; it is taken out of each probability.",
    )
    one_reading_at_most: float = Field(
        default=5.0,
        gt=0,
        description="Bound of one reading's log likelihood ratio (5: 150 to 1), so that no single reading decides.",
    )
    first_decision_readings: int = Field(
        default=10, ge=1, description="The first test is cut off after so many readings, by its sign."
    )
    longest_run_readings: int = Field(
        default=50, ge=2, description="A later test without a decision starts anew after so many readings."
    )
    independent_after_s: float = Field(
        default=0,
        ge=0,
        description="Readings closer together than this tell the same thing twice, and count in proportion.",
    )


class EvidenceKind(StrEnum):
    """How a machine's health is told from its verdicts."""

    SEQUENTIAL_TEST = "sequential_test"
    GATHERING = "gathering"


class HealthPlan(_Table):
    """Which evidence tells the machine's health."""

    evidence: EvidenceKind = Field(
        default=EvidenceKind.SEQUENTIAL_TEST,
        description='"sequential_test" for a model that was trained on faults, whose probability is calibrated '
        '(settings: [evidence]); "gathering" for one that has seen healthy readings only, as `fanwatch learn` makes '
        "it, and for signals that wander (settings: [gathering]).",
    )


_SMOOTHING_FACTOR = 0.75
_LIMIT = 3.4
_VALUES = 400 / 15
"""Smoothed values in the stretch that the limit was chosen on."""


class GatheringSettings(_Table):
    """How evidence is gathered; counted in readings, and in standard deviations of the healthy stretch.

    Chosen on SKAB's valve1 and anomaly-free recordings, 400 healthy readings at one a second (docs/skab.md). A longer
    stretch has shown more of what the machine does when it is well: the time constants follow it.
    """

    healthy_readings: int = Field(
        default=400,
        description="Readings from the start that are taken for healthy and learned from; at least 60.",
    )
    averaged_readings: int = Field(
        default=1,
        ge=1,
        description="So many readings are averaged into one beforehand, and everything else here counts those: for a "
        "machine that tells more often than its condition can change.",
    )
    smoothing_readings: float | None = Field(
        default=None,
        ge=1,
        description="Time constant of the smoothing: a shift is seen the later, and the smaller, the longer. If not "
        "given, 15 for 400 healthy readings, and with the square root of their number.",
    )
    level_readings: float | None = Field(
        default=None,
        ge=1,
        description="Time constant with which the level follows: what is slower is drift and no fault. If not given, a "
        "quarter of the healthy readings.",
    )
    limit: float | None = Field(
        default=None,
        gt=0,
        description="Deviations of the smoothed healthy channel from its level within which it may stray. If not "
        "given, 3.4 for 400 healthy readings, and more for a longer stretch as the largest of more values is larger.",
    )
    least_limit: float = Field(
        default=1.0, gt=0, description="Deviations of the unsmoothed healthy channel that are always allowed."
    )
    model_limit: float = Field(
        default=1.25, gt=0, description="The model's log-odds may stray so many times as far as a signal."
    )
    return_share: float = Field(
        default=0.15,
        ge=0,
        lt=1,
        description="A channel is back when its deviation is below this share of its peak, or below its limit.",
    )
    off_delay_readings: int | None = Field(
        default=None,
        ge=0,
        description="The fault stays for so many readings after the last channel is back (ISA-18.2's off-delay). If "
        "not given, as many as the smoothing's time constant.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.healthy_readings < _FEWEST_HEALTHY:
            raise ValueError(
                f"healthy_readings is {self.healthy_readings}; expected at least {_FEWEST_HEALTHY}: "
                "from fewer there is nothing to learn"
            )
        return self

    @property
    def smoothing(self) -> float:
        """Time constant of the smoothing, in (averaged) readings."""
        return self.smoothing_readings or max(1.0, _SMOOTHING_FACTOR * math.sqrt(self.healthy_readings))

    @property
    def level(self) -> float:
        """Time constant of the level, likewise."""
        return self.level_readings or self.healthy_readings / 4

    @property
    def most_deviations(self) -> float:
        """The limit; grows as the largest of N independent normal values, sqrt(2 ln N), N smoothed ones a stretch."""
        if self.limit is not None:
            return self.limit
        values = max(2.0, self.healthy_readings / (_SMOOTHING_FACTOR * math.sqrt(self.healthy_readings)))
        return _LIMIT * math.sqrt(math.log(values) / math.log(_VALUES))

    @property
    def off_delay(self) -> int:
        """So many (averaged) readings."""
        return round(self.smoothing) if self.off_delay_readings is None else self.off_delay_readings


class QualitySettings(_Table):
    """When a sensor, and not the machine, is to blame."""

    flat_readings: int = Field(
        default=10, ge=0, description="The very same value so many times in a row; 0 never."
    )
    flat_clears_after: int = Field(default=3, ge=1, description="So many changes in a row end it.")
    spike_widths: float = Field(
        default=0.45,
        gt=0,
        description="A spike lies so many widths of the usual range outside of it, alone between two usual readings.",
    )
    spikes: int = Field(default=3, ge=1, description="So many spikes within spike_window_readings.")
    spike_window_readings: int = Field(default=100, ge=3)
    refusals: int = Field(default=3, ge=1, description="So many refused readings, without good ones between.")
    good_after_refusals: int = Field(
        default=5, ge=1, description="So many good readings in a row end it, and set the count back."
    )
    silent_after_s: float = Field(default=30, gt=0, description="Nothing heard for so long.")
    ahead_s: float = Field(default=10, gt=0, description="A sensor's clock is ahead by more than this.")
    behind_s: float = Field(
        default=120,
        gt=0,
        description="A sensor's clock is behind by more than this, steadily; a backlog comes closer and is none.",
    )
    skew_readings: int = Field(default=8, ge=2, description="So many such readings in a row.")


class TrendSettings(_Table):
    """The trend towards the limits of wear."""

    readings_per_bucket: int = Field(default=5, ge=1, description="Readings whose medians make one point.")
    fewest_buckets: int = Field(default=12, ge=8, description="No trend is told from fewer points.")
    confidence: float = Field(default=0.9, gt=0.5, lt=1, description="Of the interval of the time left.")
    chance: float = Field(
        default=1e-6, gt=0, lt=0.1, description="Mann-Kendall: that a machine without trend looks like this."
    )
    warn_at: float = Field(
        default=0.25,
        gt=0,
        lt=1,
        description="Warn from this part of the way from the middle of the usual range to the limit.",
    )
    clear_at: float = Field(default=0.1, ge=0, lt=1, description="The warning ends below this part.")
    horizon_days: float = Field(default=90, gt=0, description="A failure further away is no warning yet.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.clear_at >= self.warn_at:
            raise ValueError("clear_at must be below warn_at")
        return self


class Plant(_Table):
    """The whole file."""

    signals: dict[SignalName, SignalPlan] = Field(default_factory=dict)
    mode: ModePlan | None = None
    inspect: tuple[InspectionRule, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    health: HealthPlan = HealthPlan()
    evidence: EvidenceSettings = EvidenceSettings()
    gathering: GatheringSettings = GatheringSettings()
    quality: QualitySettings = QualitySettings()
    trend: TrendSettings = TrendSettings()

    @model_validator(mode="after")
    def _check(self) -> Self:
        known = ", ".join(self.signals) or "none"
        self._check_evidence()
        if self.mode is not None and self.mode.signal not in self.signals:
            raise ValueError(f"mode.signal {self.mode.signal!r} is not one of the signals: {known}")
        for rule in self.inspect:
            for condition in rule.when:
                if condition.split()[0] not in self.signals:
                    raise ValueError(f"inspect: {condition!r} names none of the signals: {known}")
        return self

    def _check_evidence(self) -> None:
        """A table that nothing would read is a mistake."""
        gathers = self.health.evidence is EvidenceKind.GATHERING
        idle = "evidence" if gathers else "gathering"
        if idle in self.model_fields_set:
            raise ValueError(
                f"[{idle}] is not read while health.evidence is {self.health.evidence.value!r}: take the table out, or "
                "choose the other evidence"
            )
        if gathers and not self.signals:
            raise ValueError("gathering looks at the signals: expected at least one under [signals]")

    @classmethod
    def read(cls, path: Path = DEFAULT_PLANT) -> Self:
        """Read the file.

        Raises:
            PlantError: It cannot be read, or does not say what it should.
        """
        try:
            text = path.read_text(encoding="utf-8")
            return cls.model_validate(tomllib.loads(text))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise PlantError(f"{path}: cannot be read: {error}") from error
        except ValidationError as error:
            raise PlantError(f"{path}: {sentence_of(error)}") from None

    def check(self, signature: ModelSignature) -> None:
        """Compare with the model in use.

        Raises:
            PlantError: A signal of the plant is none of the model's.
        """
        names = [spec.name for spec in signature.signals]
        unknown = [name for name in self.signals if name not in names]
        if unknown:
            raise PlantError(
                f"the plant's file names {', '.join(unknown)}, the model scores {', '.join(names)}"
            )

    def maintenance_of(self, device_id: str) -> tuple[Maintenance, ...]:
        """The maintenance windows of a device."""
        return tuple(one for one in self.maintenance if one.device in {"*", device_id})


def sentence_of(error: ValidationError) -> str:
    """What is wrong where, for a person."""
    return "; ".join(
        f"{'.'.join(str(part) for part in detail['loc']) or 'the file'}: "
        f"{detail['msg'].removeprefix('Value error, ')}"
        for detail in error.errors(include_url=False)[:5]
    )
