"""The run as JSON and as Markdown tables."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.speed.contestants.processes import RELAY, THIS_PROJECT
from benchmarks.speed.measures.monitoring import MONITOR
from benchmarks.speed.sample import Sample, contestants, median, ratio, select

JSON_FILE = "latest.json"
MARKDOWN_FILE = "latest.md"
ARTICLE = "the article's way"


@dataclass(frozen=True)
class Report:
    """Every measurement, and on what and when it was made.

    Attributes:
        machine: What the figures were measured on.
        dates: The day of each measure, ISO 8601.
        samples: The measurements.
    """

    machine: dict[str, Any]
    dates: dict[str, str]
    samples: list[Sample]


@dataclass(frozen=True)
class Goal:
    """One promise of the project in numbers."""

    what: str
    bound: float
    at_least: bool
    figure: float

    @property
    def met(self) -> bool:
        """Whether the figure keeps the bound."""
        return self.figure >= self.bound if self.at_least else self.figure <= self.bound


def machine() -> dict[str, Any]:
    """What the figures are measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cpu": model or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def merge(earlier: Report | None, samples: Sequence[Sample]) -> Report:
    """What an earlier report says, and the new samples as further rounds."""
    today = datetime.now(UTC).date().isoformat()
    fresh = {sample.measure: today for sample in samples}
    if earlier is None:
        return Report(machine(), fresh, list(samples))
    last = {measure: max((s.round for s in select(earlier.samples, measure)), default=0) for measure in fresh}
    further = [replace(sample, round=sample.round + last[sample.measure]) for sample in samples]
    return Report(machine(), earlier.dates | fresh, [*earlier.samples, *further])


def read_report(folder: Path) -> Report | None:
    """What latest.json says; None when there is none."""
    file = folder / JSON_FILE
    if not file.exists():
        return None
    content = json.loads(file.read_text())
    samples = [Sample(**sample) for sample in content["samples"]]
    return Report(content["machine"], content["dates"], samples)


def write_report(folder: Path, report: Report) -> None:
    """Write latest.json and latest.md."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": report.machine,
        "dates": report.dates,
        "goals": [
            {"what": goal.what, "bound": goal.bound, "figure": goal.figure, "met": goal.met}
            for goal in goals(report.samples)
        ],
        "samples": [sample.to_json() for sample in report.samples],
    }
    (folder / JSON_FILE).write_text(json.dumps(content, indent=1) + "\n")
    (folder / MARKDOWN_FILE).write_text(as_markdown(report))


def goals(samples: Sequence[Sample]) -> list[Goal]:
    """Those goals whose measures were run."""
    at_qos_1 = select(samples, "throughput", qos=1)
    at_150 = select(samples, "latency", per_second=150)
    drained = select(samples, "backlog")
    memory = select(samples, "memory")
    fans = [select(samples, "fleet", fans=n) for n in (10, 10_000)]
    costs = [median(some, THIS_PROJECT, "cpu_ms_per_1000") for some in fans]
    two = select(samples, "replicas", predictors=2)
    watched = select(samples, "monitor")
    core_costs = [
        median(select(samples, "monitor core", fans=n), MONITOR, "microseconds_per_reading")
        for n in (10, 10_000)
    ]
    found: list[tuple[str, float, bool, float | None]] = [
        (
            "throughput at QoS 1, to the relay's",
            0.9,
            True,
            ratio(at_qos_1, THIS_PROJECT, RELAY, "per_second"),
        ),
        (
            "throughput at QoS 1, to the article's way",
            500,
            True,
            ratio(at_qos_1, THIS_PROJECT, ARTICLE, "per_second"),
        ),
        ("p99 at 150 a second, to the relay's", 2, False, ratio(at_150, THIS_PROJECT, RELAY, "p99_ms")),
        (
            "CPU for 1,000 messages at full speed, to the relay's",
            1.5,
            False,
            ratio(at_qos_1, THIS_PROJECT, RELAY, "cpu_ms_per_1000"),
        ),
        (
            "CPU for 1,000 messages at 150 a second, to the relay's",
            1.5,
            False,
            ratio(at_150, THIS_PROJECT, RELAY, "cpu_ms_per_1000"),
        ),
        (
            "CPU for 1,000 messages, 10,000 fans to 10",
            1.1,
            False,
            costs[1] / costs[0] if costs[0] and costs[1] else None,
        ),
        (
            "monitor: CPU of its core for a reading, 10,000 fans to 10",
            1.1,
            False,
            core_costs[1] / core_costs[0] if core_costs[0] and core_costs[1] else None,
        ),
        (
            "monitor: verdicts a second, to the predictor's readings",
            1,
            True,
            ratio(watched, MONITOR, THIS_PROJECT, "per_second"),
        ),
        ("backlog, to the sustained rate", 0.9, True, ratio(drained, "drained", "sustained", "per_second")),
        ("two predictors: scored twice", 0, False, median(two, THIS_PROJECT, "duplicates")),
        (
            "memory of the predictor over the long run, MiB grown",
            5,
            False,
            median(memory, THIS_PROJECT, "grown_mib predictor"),
        ),
        (
            "memory of an inference worker over the long run, MiB grown",
            5,
            False,
            median(memory, THIS_PROJECT, "grown_mib inference worker"),
        ),
        ("resident memory of the predictor, MiB", 80, False, _largest(samples, "memory_mib predictor")),
        (
            "resident memory of an inference worker, MiB",
            100,
            False,
            _largest(samples, "memory_mib inference worker"),
        ),
    ]
    return [
        Goal(what, bound, at_least, figure) for what, bound, at_least, figure in found if figure is not None
    ]


def as_markdown(report: Report) -> str:
    """The tables: medians over the rounds, ratios within a round."""
    about = report.machine
    lines = [
        "# Results of `make bench`",
        "",
        f"{about['cores']} cores of {about['cpu']}, {about['memory_gib']} GiB, {about['system']}, "
        f"Python {about['python']}. Medians over the rounds; a ratio compares runs of one round. Measured: "
        + ", ".join(f"{measure} {date}" for measure, date in sorted(report.dates.items()))
        + ".",
    ]
    for title, rows in (
        ("Goals", _goal_rows(report.samples)),
        ("Throughput, as fast as it goes without loss", _throughput_rows(report.samples)),
        ("Latency, open loop", _latency_rows(report.samples)),
        ("The load generator alone", _load_rows(report.samples)),
        ("Size of the fleet", _condition_rows(report.samples, "fleet", "fans")),
        ("Predictors in one shared subscription", _condition_rows(report.samples, "replicas", "predictors")),
        ("Rows of 170 signals", _condition_rows(report.samples, "wide", "signals")),
        ("Backlog", _condition_rows(report.samples, "backlog", "waiting")),
        ("The monitor's core, by size of the fleet", _core_rows(report.samples)),
        ("The monitor through MQTT, beside relay and predictor", _monitor_rows(report.samples)),
        ("From start to first verdict", _figure_rows(report.samples, "start", "first_verdict_s")),
        (
            "Written to the disk, whole path at 60 a second",
            _all_figures(report.samples, "disk", "mib_an_hour"),
        ),
        ("Memory grown after the first 50,000 messages", _all_figures(report.samples, "memory", "grown_mib")),
    ):
        if len(rows) > 2:
            lines += ["", f"## {title}", "", *rows]
    return "\n".join(lines) + "\n"


def _goal_rows(samples: Sequence[Sample]) -> list[str]:
    return _table(
        ("goal", "bound", "measured", "met"),
        [
            (
                goal.what,
                f"{'at least' if goal.at_least else 'at most'} {goal.bound:g}",
                _number(goal.figure),
                "yes" if goal.met else "no",
            )
            for goal in goals(samples)
        ],
    )


def _throughput_rows(samples: Sequence[Sample]) -> list[str]:
    one, none = select(samples, "throughput", qos=1), select(samples, "throughput", qos=0)
    return _table(
        (
            "contestant",
            "QoS 1, a second",
            "to the relay",
            "QoS 0, a second",
            "CPU ms for 1,000",
            "memory, MiB",
        ),
        [
            (
                name,
                _number(median(one, name, "per_second")),
                _number(ratio(one, name, RELAY, "per_second")),
                _number(median(none, name, "per_second")),
                _parts(one, name, "cpu_ms_per_1000"),
                _parts(one, name, "memory_mib"),
            )
            for name in contestants(one)
        ],
    )


def _latency_rows(samples: Sequence[Sample]) -> list[str]:
    rows = []
    for name in contestants(select(samples, "latency")):
        mine = [sample for sample in select(samples, "latency") if sample.contestant == name]
        for rate in sorted({sample.conditions["per_second"] for sample in mine}):
            at = select(samples, "latency", per_second=rate)
            figures = [
                _number(median(at, name, figure))
                for figure in ("p50_ms", "p95_ms", "p99_ms", "p999_ms", "cpu_ms_per_1000")
            ]
            rows.append((name, f"{rate:g}", *figures))
    return _table(
        ("contestant", "a second", "p50 ms", "p95 ms", "p99 ms", "p99.9 ms", "CPU ms for 1,000"), rows
    )


def _load_rows(samples: Sequence[Sample]) -> list[str]:
    load = select(samples, "load")
    paced = sorted({s.conditions["per_second"] for s in load if "per_second" in s.conditions})
    kinds = [(f"as fast as it goes, QoS {qos}", {"qos": float(qos)}) for qos in (1, 0)]
    kinds += [(f"{rate:g} a second", {"per_second": rate}) for rate in paced]
    rows = []
    for title, conditions in kinds:
        at = select(load, "load", **conditions)
        figures = ("per_second", "p99_ms", "generator_cpu_ms_per_1000")
        rows += [
            (title, *(_number(median(at, name, figure)) for figure in figures)) for name in contestants(at)
        ]
    return _table(("load", "a second", "p99 ms", "its own CPU ms for 1,000"), rows)


def _condition_rows(samples: Sequence[Sample], measure: str, condition: str) -> list[str]:
    rows = []
    some = select(samples, measure)
    for value in sorted({sample.conditions[condition] for sample in some}):
        at = select(some, measure, **{condition: value})
        rows += [
            (
                f"{value:,.0f}",
                name,
                _number(median(at, name, "per_second")),
                _number(median(at, name, "cpu_ms_per_1000")),
                _number(median(at, name, "duplicates")),
                _number(median(at, name, "smallest_share")),
            )
            for name in contestants(at)
        ]
    return _table(
        (condition, "contestant", "a second", "CPU ms for 1,000", "results twice", "smallest share"), rows
    )


def _core_rows(samples: Sequence[Sample]) -> list[str]:
    some = select(samples, "monitor core")
    rows = []
    for fans in sorted({sample.conditions["fans"] for sample in some}):
        at = select(some, "monitor core", fans=fans)
        figures = ("microseconds_per_reading", "cores_at_one_in_2_s")
        rows.append((f"{fans:,.0f}", *(_number(median(at, MONITOR, figure)) for figure in figures)))
    return _table(("fans", "CPU µs for a reading", "cores at one reading in 2 s"), rows)


def _monitor_rows(samples: Sequence[Sample]) -> list[str]:
    some = select(samples, "monitor")
    figures = ("per_second", "cpu_ms_per_1000", "kib_written_per_message", "memory_mib")
    rows = [
        (
            name,
            *(_number(median(some, name, figure)) for figure in figures),
            _number(ratio(some, name, RELAY, "per_second")),
            _number(ratio(some, name, THIS_PROJECT, "per_second")),
        )
        for name in contestants(some)
    ]
    return _table(
        (
            "contestant",
            "messages a second",
            "CPU ms for 1,000",
            "KiB written for each",
            "MiB",
            "to the relay",
            "to the predictor",
        ),
        rows,
    )


def _figure_rows(samples: Sequence[Sample], measure: str, figure: str) -> list[str]:
    some = select(samples, measure)
    rows = [(name, _number(median(some, name, figure))) for name in contestants(some)]
    return _table(("contestant", "seconds"), rows)


def _all_figures(samples: Sequence[Sample], measure: str, prefix: str) -> list[str]:
    rows = [
        (figure.removeprefix(prefix).strip() or "all", _number(value))
        for sample in select(samples, measure)
        for figure, value in sample.figures.items()
        if figure.startswith(prefix)
    ]
    return _table(("process", "MiB"), rows)


def _parts(samples: Sequence[Sample], name: str, figure: str) -> str:
    """The figure, and that of each process where there is more than one."""
    first = next(sample for sample in samples if sample.contestant == name)
    parts = {
        key.removeprefix(f"{figure} "): median(samples, name, key)
        for key in first.figures
        if key.startswith(f"{figure} ")
    }
    whole = _number(median(samples, name, figure))
    if len(parts) < 2:
        return whole
    return f"{whole} ({', '.join(f'{part} {_number(value)}' for part, value in parts.items())})"


def _largest(samples: Sequence[Sample], figure: str) -> float | None:
    own = [s.figures[figure] for s in samples if s.contestant == THIS_PROJECT and figure in s.figures]
    return max(own) if own else None


def _number(value: float | None) -> str:
    """Three digits are all that such a measurement knows."""
    if value is None:
        return ""
    steps: list[tuple[float, Callable[[float], str]]] = [
        (100, lambda x: f"{x:,.0f}"),
        (10, lambda x: f"{x:.1f}"),
    ]
    for bound, text in steps:
        if abs(value) >= bound:
            return text(value)
    return f"{value:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
