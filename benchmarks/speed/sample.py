"""One measurement, and the pure arithmetic over many: medians, percentiles, ratios of one round."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

PERCENTILES = {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0, "p999_ms": 99.9}


@dataclass(frozen=True)
class Sample:
    """What one run of one contestant gave.

    Attributes:
        measure: What was measured, as `--measure` names it.
        contestant: Who.
        round: Counts from 1; what has the same round was measured side by side.
        conditions: What sets this run apart: qos, per_second, fans, signals, predictors.
        figures: Numbers by name; units stand in the names.
    """

    measure: str
    contestant: str
    round: int
    conditions: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As latest.json has it."""
        return asdict(self)


def percentiles(latencies_ms: npt.NDArray[np.float64]) -> dict[str, float]:
    """The percentiles of open-loop latencies, linear between two values (numpy's default)."""
    found = np.percentile(latencies_ms, list(PERCENTILES.values()))
    return {name: float(value) for name, value in zip(PERCENTILES, found, strict=True)}


def select(samples: Iterable[Sample], measure: str, **conditions: float) -> list[Sample]:
    """The samples of a measure under these conditions, whatever the others are."""
    return [
        sample
        for sample in samples
        if sample.measure == measure
        and all(sample.conditions.get(name) == value for name, value in conditions.items())
    ]


def median(samples: Sequence[Sample], contestant: str, figure: str) -> float | None:
    """The median of one figure over a contestant's rounds; None when it was not measured."""
    values = [s.figures[figure] for s in samples if s.contestant == contestant and figure in s.figures]
    return statistics.median(values) if values else None


def ratio(samples: Sequence[Sample], contestant: str, to: str, figure: str) -> float | None:
    """The median of a contestant's figure over another's of the same round; None when no round has both.

    Rounds are compared with themselves, so that a machine that is slower for a while is so for both.
    """
    base = _by_round(samples, to, figure)
    own = _by_round(samples, contestant, figure)
    ratios = [own[number] / base[number] for number in own if base.get(number)]
    return statistics.median(ratios) if ratios else None


def _by_round(samples: Sequence[Sample], contestant: str, figure: str) -> Mapping[int, float]:
    return {s.round: s.figures[figure] for s in samples if s.contestant == contestant and figure in s.figures}


def contestants(samples: Iterable[Sample]) -> list[str]:
    """Who was measured, in the order in which they came first."""
    return list(dict.fromkeys(sample.contestant for sample in samples))
