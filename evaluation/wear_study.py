"""How true the time left is, and how early the warning, on simulated fans that wear out and on healthy ones.

The fans are the simulator's: they run well for a while, then each signal goes in a straight line, with noise, to where
they seize. The monitor's own core is told their readings and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from contract.command import Condition, FanCommand
from monitor.diagnosis.device import DeviceDiagnosis
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import Plant
from monitor.findings import FindingKind
from simulator.fan import Fan

_LOOKS = 20
_UNDECIDED = 0.1
"""A probability that says little: the time left is told from signals, not from verdicts."""


@dataclass(frozen=True)
class Life:
    """How a fan lives: seconds in health, then seconds of wear, and a reading every so many seconds."""

    healthy_s: float
    wear_s: float
    interval_s: float

    @property
    def name(self) -> str:
        """For tables and files."""
        return f"{self.wear_s:g} s of wear, one reading in {self.interval_s:g} s"


LIVES = (
    Life(healthy_s=600, wear_s=600, interval_s=2),
    Life(healthy_s=3000, wear_s=10_000, interval_s=5),
    Life(healthy_s=86_400, wear_s=3 * 86_400, interval_s=120),
)


@dataclass(frozen=True)
class Look:
    """What was said at one moment of the last third of a life.

    Attributes:
        used: Part of the life that was used up.
        interval: Earliest and latest failure, as parts of the life; None is "no trend".
    """

    used: float
    interval: tuple[float, float] | None

    @property
    def is_true(self) -> bool:
        """Whether the failure lay in the interval."""
        return self.interval is not None and self.interval[0] <= 1 <= self.interval[1]


@dataclass(frozen=True)
class Run:
    """One fan's end.

    Attributes:
        seed: Of the fan.
        warned_at: Part of its life used at the first warning; None when there was none; negative in health.
        looks: Twenty moments of the last third.
    """

    seed: int
    warned_at: float | None
    looks: tuple[Look, ...] = field(repr=False)


@dataclass(frozen=True)
class WearFigures:
    """What became of many fans of one life."""

    life: Life
    runs: tuple[Run, ...]

    @property
    def looks(self) -> tuple[Look, ...]:
        """All moments of all runs."""
        return tuple(look for run in self.runs for look in run.looks)

    def figures(self) -> dict[str, float]:
        """As numbers for a file; "no trend" counts as untrue."""
        looks = self.looks
        widths = [look.interval[1] - look.interval[0] for look in looks if look.interval is not None]
        warned = [run.warned_at for run in self.runs if run.warned_at is not None and run.warned_at >= 0]
        return {
            "runs": len(self.runs),
            "moments_in_the_last_third": len(looks),
            "failure_in_the_interval": sum(look.is_true for look in looks) / len(looks),
            "no_trend": sum(look.interval is None for look in looks) / len(looks),
            "median_width_in_lives": float(np.median(widths)) if widths else float("nan"),
            "warned_before_80_percent": sum(used < 0.8 for used in warned) / len(self.runs),
            "median_life_used_at_the_warning": float(np.median(warned)) if warned else float("nan"),
            "warned_in_health": sum(run.warned_at is not None and run.warned_at < 0 for run in self.runs),
        }


def study_wear(life: Life, seeds: Sequence[int]) -> WearFigures:
    """Let one fan for each seed live its life."""
    knowledge = Knowledge(Plant.read())
    return WearFigures(life, tuple(_live(life, seed, knowledge) for seed in seeds))


def _live(life: Life, seed: int, knowledge: Knowledge) -> Run:
    fan = Fan(str(seed), seed=seed)
    device = DeviceDiagnosis(fan.device_id, knowledge)
    end = life.healthy_s + life.wear_s
    looks_at = iter(np.linspace(2 / 3, 0.98, _LOOKS).tolist())
    next_look: float | None = next(looks_at)
    warned_at: float | None = None
    looks: list[Look] = []
    wearing = False
    for seq in range(int(end / life.interval_s)):
        at = seq * life.interval_s
        if not wearing and at >= life.healthy_s:
            wearing = True
            fan.obey(FanCommand(condition=Condition.WEARING, duration_s=end - at), at)
        used = (at - life.healthy_s) / life.wear_s
        signals = fan.measure(at)
        if signals is None:
            continue
        found = device.on_verdict(at, at, _UNDECIDED, tuple(signals.values()), "study", seq)
        if warned_at is None and any(one.kind is FindingKind.WEAR and one.present for one in found):
            warned_at = used
        if next_look is not None and used >= next_look:
            next_look = next(looks_at, None)
            left = device.time_left()
            interval = (
                None
                if left is None
                else (
                    (left.earliest - life.healthy_s) / life.wear_s,
                    (left.latest - life.healthy_s) / life.wear_s,
                )
            )
            looks.append(Look(used, interval))
    return Run(seed, warned_at, tuple(looks))


def false_warnings(rows: npt.NDArray[np.float64], interval_s: float, device_id: str) -> int:
    """How often a healthy fan's readings [n, 4], one every so many seconds, were taken for wear."""
    device = DeviceDiagnosis(device_id, Knowledge(Plant.read()))
    warnings = 0
    for seq, values in enumerate(rows.tolist()):
        at = seq * interval_s
        found = device.on_verdict(at, at, _UNDECIDED, tuple(values), "study", seq)
        warnings += sum(one.kind is FindingKind.WEAR and one.present for one in found)
    return warnings
