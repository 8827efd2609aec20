"""The tables of docs/comparison.md, from benchmarks/results/latest.json and comparison.json."""

from statistics import median
from typing import Any

__all__ = ["FORMS", "RATES", "blocks", "extra_cpu", "forms", "one_process", "readings"]

RATES = (50, 100, 150)
OURS, LINKEDGE = "this project (LiteRT)", "LinkEdge's way"
FORMS = ("process", "container")


def blocks(latest: dict[str, Any], comparison: dict[str, Any]) -> dict[str, str]:
    """Each table by the name of its place on the page."""
    return {"readings": readings(latest), "forms": forms(comparison)}


def readings(latest: dict[str, Any]) -> str:
    """From a reading to its verdict, by how many a second, beside LinkEdge's way."""
    lines = [
        "| readings a second | Fanwatch (LiteRT) | p99 | rounds | LinkEdge's way, rebuilt | p99 | rounds |",
        "|---|---|---|---|---|---|---|",
    ]
    for rate in RATES:
        cells = [str(rate)]
        for contestant in (OURS, LINKEDGE):
            found = _figures(latest, "latency", contestant, per_second=rate)
            # Milliseconds of CPU for 1,000 readings; of one core, one second has 1,000.
            percent = median(each["cpu_ms_per_1000"] for each in found) * rate / 10_000
            p99 = median(each["p99_ms"] for each in found)
            cells += [f"{percent:.1f} %", f"{p99:.2f} ms", str(len(found))]
        lines.append(f"| {' | '.join(cells)} |")
    most, memory, start = [["the most"], ["memory"], ["first verdict after the start"]]
    for contestant in (OURS, LINKEDGE):
        carried = _figures(latest, "throughput", contestant, qos=1)
        alone = one_process(latest, contestant)
        started = len(_figures(latest, "start", contestant))
        measured = len(_figures(latest, "latency", contestant, per_second=150))
        most += [f"{_two_digits(median(c['per_second'] for c in carried)):,} a second", "", str(len(carried))]
        memory += [f"{alone['memory_mib']:.0f} MiB", "", str(measured)]
        start += [f"{alone['first_verdict_s']:.1f} s", "", str(started)]
    lines += [f"| {' | '.join(cells)} |" for cells in (most, memory, start)]
    return "\n".join(lines) + "\n"


def forms(comparison: dict[str, Any]) -> str:
    """The scoring service in its two forms, a table for each run."""
    return "\n".join(_run(run) for run in comparison["runs"])


def one_process(latest: dict[str, Any], contestant: str = OURS) -> dict[str, float]:
    """Medians at 150 a second in MiB, by process, and seconds from the start to the first verdict."""
    found = _figures(latest, "latency", contestant, per_second=150)
    memory = {
        name: median(each[name] for each in found) for name in found[0] if name.startswith("memory_mib")
    }
    started = _figures(latest, "start", contestant)
    return memory | {"first_verdict_s": median(each["first_verdict_s"] for each in started)}


def extra_cpu(run: dict[str, Any]) -> float:
    """What a request costs in a container, to what it costs bare: the median over the rates, less 1."""
    return median(_cpu(run, "container", rate) / _cpu(run, "process", rate) for rate in RATES) - 1


def _cpu(run: dict[str, Any], form: str, rate: int) -> float:
    return median(float(each["cpu_percent"]) for each in _at(run, form, rate))


def _figures(
    latest: dict[str, Any], measure: str, contestant: str, **conditions: float
) -> list[dict[str, float]]:
    return [
        sample["figures"]
        for sample in latest["samples"]
        if (sample["measure"], sample["contestant"]) == (measure, contestant)
        and all(sample["conditions"].get(name) == value for name, value in conditions.items())
    ]


def _two_digits(value: float) -> int:
    step = int(10 ** max(0, len(str(int(value))) - 2))
    return round(value / step) * step


def _at(run: dict[str, Any], form: str, rate: int) -> list[dict[str, float]]:
    rounds = run["forms"].get(form, [])
    return [each for one in rounds for each in one["rates"] if each["per_second"] == rate]


def _run(run: dict[str, Any]) -> str:
    lines = [f"{run['date']}, {run['about']}:", ""]
    lines += [
        "| requests a second | bare process | p50 | container | p50 |",
        "|---|---|---|---|---|",
    ]
    for rate in RATES:
        cells = [str(rate)]
        for form in FORMS:
            found = _at(run, form, rate)
            cells += [_list(found, "cpu_percent", ".1f", "%"), _list(found, "p50_ms", ".1f", "ms")]
        lines.append(f"| {' | '.join(cells)} |")
    for title, figure, digits, unit in (
        ("memory (proportional)", "memory_mb", ".0f", "MB"),
        ("start until ready", "ready_s", ".1f", "s"),
    ):
        cells = [title]
        for form in FORMS:
            cells += [_list(run["forms"].get(form, []), figure, digits, unit), ""]
        lines.append(f"| {' | '.join(cells)} |")
    if all(run["forms"].get(form) for form in FORMS):
        extra = round(100 * extra_cpu(run))
        how_much = f"{abs(extra)} % {'less' if extra < 0 else 'more'}"
        lines += [
            "",
            f"In this run a request in a container cost {how_much} CPU than in a bare process.",
        ]
    return "\n".join(lines) + "\n"


def _list(found: list[dict[str, float]], figure: str, digits: str, unit: str) -> str:
    return ", ".join(f"{each[figure]:{digits}} {unit}" for each in found) or "not measured"
