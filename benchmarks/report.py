"""The run as JSON and as a Markdown table."""

import dataclasses
import json
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.latency import Latency
from benchmarks.throughput import Throughput


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def as_json(throughputs: Sequence[Throughput], latencies: Sequence[Latency]) -> dict[str, Any]:
    """Every measurement, and the ratio to the relay of the same round."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "throughput_ratio_to_relay": {name: statistics.median(r) for name, r in _ratios(throughputs).items()},
        "throughput": [dataclasses.asdict(one) for one in throughputs],
        "latency": [dataclasses.asdict(one) for one in latencies],
    }


def as_markdown(throughputs: Sequence[Throughput], latencies: Sequence[Latency]) -> str:
    """Two tables: medians over the rounds, and the percentiles at each rate."""
    ratios = _ratios(throughputs)
    names = list(dict.fromkeys(one.contestant for one in throughputs))
    lines = [
        "| contestant | messages a second, QoS 1 | ratio to the relay | CPU ms for 1,000 messages | memory, MiB |",
        "|---|---|---|---|---|",
    ]
    for name in names:
        mine = [one for one in throughputs if one.contestant == name]
        rate = statistics.median(one.per_second for one in mine)
        ratio = statistics.median(ratios[name])
        cpu = _parts(
            {
                part: statistics.median(o.cpu_ms_per_1000[part] for o in mine)
                for part in mine[0].cpu_ms_per_1000
            }
        )
        memory = _parts({part: max(o.memory_mib[part] for o in mine) for part in mine[0].memory_mib})
        lines.append(f"| {name} | {rate:,.0f} | {ratio:.2f} | {cpu} | {memory} |")
    lines += [
        "",
        "| contestant | messages a second | p50 ms | p95 ms | p99 ms | p99.9 ms |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.contestant} | {one.per_second:,} | "
        f"{one.p50_ms:.2f} | {one.p95_ms:.2f} | {one.p99_ms:.2f} | {one.p999_ms:.2f} |"
        for one in latencies
    ]
    return "\n".join(lines) + "\n"


def write_report(folder: Path, throughputs: Sequence[Throughput], latencies: Sequence[Latency]) -> None:
    """Write latest.json and latest.md."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.json").write_text(json.dumps(as_json(throughputs, latencies), indent=2) + "\n")
    (folder / "latest.md").write_text(as_markdown(throughputs, latencies))


def _ratios(throughputs: Sequence[Throughput]) -> dict[str, list[float]]:
    """Each contestant's rate over the relay's of the same round; the relay is the first of a round."""
    ratios: dict[str, list[float]] = {}
    relay = throughputs[0].contestant
    base = 0.0
    for one in throughputs:
        if one.contestant == relay:
            base = one.per_second
        ratios.setdefault(one.contestant, []).append(one.per_second / base)
    return ratios


def _parts(figures: dict[str, float]) -> str:
    if len(figures) == 1:
        return f"{next(iter(figures.values())):.0f}"
    return " + ".join(f"{name} {value:.0f}" for name, value in figures.items())
