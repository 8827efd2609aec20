"""The tables of docs/sizing.md: capacities of the parts as measured, and what one machine, three and a hub carry."""

from dataclasses import dataclass
from statistics import median
from typing import Any

__all__ = ["BROKER_QUEUE", "Capacity", "Deployment", "as_markdown", "capacities", "deployments"]

OURS = "this project (LiteRT)"
BROKER_QUEUE = 200_000
"""max_queued_messages of mosquitto/mosquitto.conf."""
SITES = 50
HEADROOM = 0.5
"""Half of what was measured: the rest is for a backlog after an outage, a dashboard, the nightly backfill."""
RETENTION_DAYS = 30


@dataclass(frozen=True)
class Capacity:
    """What one process carries alone on the measured machine, in readings a second."""

    part: str
    per_second: float
    scales: str
    source: str


@dataclass(frozen=True)
class Deployment:
    """What one way to run it carries. fans at one reading a second."""

    what: str
    fans: int
    limit: str
    outage_minutes: float
    gib: float


def _median(
    results: dict[str, Any], measure: str, contestant: str, figure: str, **conditions: float
) -> float:
    found = [
        sample["figures"][figure]
        for sample in results["samples"]
        if sample["measure"] == measure
        and sample["contestant"] == contestant
        and all(sample["conditions"].get(key) == value for key, value in conditions.items())
    ]
    return float(median(found))


def capacities(results: dict[str, Any], sizing: dict[str, Any]) -> list[Capacity]:
    """The parts, from benchmarks/results/latest.json and sizing.json."""
    telegraf = _median(results, "throughput", "Telegraf as relay", "per_second", qos=1)
    return [
        Capacity(
            "predictor and inference",
            _median(results, "throughput", OURS, "per_second", qos=1),
            "more predictors share the readings",
            "throughput, QoS 1",
        ),
        Capacity(
            "monitor",
            _median(results, "monitor", "monitor", "per_second"),
            "one process",
            "the monitor through MQTT",
        ),
        # A reading and its verdict are two messages to it.
        Capacity("Telegraf", telegraf / 2, "one process", "Telegraf as relay, two messages a reading"),
        Capacity(
            "bridge to a hub",
            sizing["bridges"]["per_second"] / 2,
            "each site has its own; this is the hub's side",
            f"{sizing['bridges']['sites']} bridged brokers, two messages a reading",
        ),
    ]


def deployments(results: dict[str, Any], sizing: dict[str, Any]) -> list[Deployment]:
    """One machine, three, and a hub of fifty sites."""
    parts = {part.part: part for part in capacities(results, sizing)}
    site = [parts[name] for name in ("predictor and inference", "monitor", "Telegraf")]
    slowest = min(site, key=lambda part: part.per_second)
    gib_per_fan = sizing["storage"]["bytes_per_reading"] * 86_400 * RETENTION_DAYS / 1024**3
    found = []
    for what, share in (("one NUC", HEADROOM), ("three nodes", (1 + HEADROOM) / 2)):
        fans = _round(slowest.per_second * share)
        found.append(Deployment(what, fans, slowest.part, BROKER_QUEUE / fans / 60, fans * gib_per_fan))
    hub = min((parts["Telegraf"], parts["bridge to a hub"]), key=lambda part: part.per_second)
    for what, messages in (
        (f"hub of {SITES} sites, readings and verdicts", 2),
        (f"hub of {SITES} sites, verdicts alone", 1),
    ):
        fans = _round(hub.per_second * 2 / messages * HEADROOM)
        # Every site keeps its own queue.
        away = BROKER_QUEUE / (fans / SITES * messages) / 60
        found.append(Deployment(what, fans, f"{hub.part}, on the hub", away, fans * gib_per_fan))
    return found


def _round(fans: float) -> int:
    """Down to two digits: more would pretend."""
    step = int(10 ** max(0, len(str(int(fans))) - 2))
    return int(fans) // step * step


def as_markdown(results: dict[str, Any], sizing: dict[str, Any]) -> str:
    """The two tables."""
    lines = ["| part | readings a second, alone | scales | measured as |", "|---|---|---|---|"]
    lines += [
        f"| {part.part} | {part.per_second:,.0f} | {part.scales} | {part.source} |"
        for part in capacities(results, sizing)
    ]
    lines += [
        "",
        "| where | fans at one reading a second | limited by | the queue bridges | InfluxDB, 30 days |",
        "|---|---|---|---|---|",
    ]
    for each in deployments(results, sizing):
        fans = f"{each.fans:,}"
        if each.what.startswith("hub"):
            fans += f", {each.fans // SITES:,} a site"
        lines.append(
            f"| {each.what} | {fans} | {each.limit} | {each.outage_minutes:,.1f} min | {each.gib:,.0f} GiB |"
        )
    return "\n".join(lines) + "\n"
