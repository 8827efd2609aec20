"""How a challenger does beside the champion, from the scoring service's metrics."""

import re
from collections import defaultdict
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

_PREFIX = "fanwatch_inference_shadow_"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Champion and challenger on the same readings."""

    champion: str
    challenger: str
    rows: int
    agreement: float
    """Share of rows on which both say the same."""
    fault_rates: tuple[float, float]
    """Share of rows that the champion and the challenger call a fault."""
    p99_s: tuple[float, float]
    """Of the time to score one request, seconds: the bound of the histogram's bucket in which it lies."""


def comparisons(exposition: str) -> list[Comparison]:
    """Read the text format of Prometheus; a pair of models that has scored nothing is left out."""
    figures: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    buckets: dict[tuple[str, str, str], dict[float, float]] = defaultdict(dict)
    for family in text_string_to_metric_families(exposition):
        if not family.name.startswith(_PREFIX):
            continue
        for sample in family.samples:
            labels = sample.labels
            if "champion" not in labels:
                continue
            pair = labels["champion"], labels["challenger"]
            if sample.name.endswith("_bucket"):
                buckets[*pair, labels["by"]][float(labels["le"])] = sample.value
            else:
                name = re.sub("_total$", "", sample.name.removeprefix(_PREFIX))
                figures[pair][f"{name} {labels.get('by', '')}".strip()] = sample.value
    return [
        Comparison(
            champion=pair[0],
            challenger=pair[1],
            rows=int(found["rows"]),
            agreement=found.get("agreed", 0.0) / found["rows"],
            fault_rates=(
                found.get("faults champion", 0.0) / found["rows"],
                found.get("faults challenger", 0.0) / found["rows"],
            ),
            p99_s=(_p99(buckets[*pair, "champion"]), _p99(buckets[*pair, "challenger"])),
        )
        for pair, found in sorted(figures.items())
        if found.get("rows")
    ]


def _p99(counts: dict[float, float]) -> float:
    total = max(counts.values(), default=0.0)
    return next((bound for bound, count in sorted(counts.items()) if count >= 0.99 * total), float("inf"))
