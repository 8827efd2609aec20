"""The figures as pictures, one file each; written anew with each report, from whatever was measured."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from benchmarks.speed.contestants.processes import CONTESTANTS, RELAY, THIS_PROJECT
from benchmarks.speed.sample import Sample, contestants, median, select

mpl.use("Agg")

_PLAIN = FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:g}")
_COLOURS = dict(
    zip(
        CONTESTANTS,
        ("#6b7280", "#0b6bcb", "#7fb2e5", "#c2410c", "#d9a400", "#2f855a", "#8b5cf6"),
        strict=True,
    )
)


def write_plots(folder: Path, samples: Sequence[Sample]) -> list[Path]:
    """Write those plots whose measures there are; gives their files."""
    written = []
    for name, measure, draw in PLOTS:
        if not select(samples, measure):
            continue
        figure = Figure(figsize=(8, 4.8), layout="constrained")
        draw(figure, samples)
        written.append(folder / f"{name}.png")
        figure.savefig(written[-1], dpi=110)
    return written


def _throughput_by_fleet(figure: Figure, samples: Sequence[Sample]) -> None:
    axes = _axes(figure, "Throughput at QoS 1 against the size of the fleet", "fans", "messages a second")
    _lines(axes, samples, "fleet", "fans", "per_second")
    _logarithmic(axes, samples, "fleet", "fans", y=False)
    axes.yaxis.set_major_formatter(_PLAIN)
    axes.set_ylim(bottom=0)


def _latency_by_load(figure: Figure, samples: Sequence[Sample]) -> None:
    figure.suptitle("Latency against load, open loop")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, percentile, title in zip(
        panels, ("p50_ms", "p99_ms", "p999_ms"), ("p50", "p99", "p99.9"), strict=True
    ):
        axes.set_title(title)
        axes.set_xlabel("messages a second")
        _lines(axes, samples, "latency", "per_second", percentile, labels=False)
        _logarithmic(axes, samples, "latency", "per_second", y=True)
        axes.tick_params(axis="x", labelrotation=90)
        axes.grid(visible=True, which="major", alpha=0.3)
    panels[0].set_ylabel("milliseconds")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)


def _cpu_by_load(figure: Figure, samples: Sequence[Sample]) -> None:
    axes = _axes(figure, "CPU for 1,000 messages against load", "messages a second", "CPU milliseconds")
    _lines(axes, samples, "latency", "per_second", "cpu_ms_per_1000")
    _logarithmic(axes, samples, "latency", "per_second", y=True)


def _memory(figure: Figure, samples: Sequence[Sample]) -> None:
    axes = _axes(figure, "Resident memory at full speed", "MiB", "")
    some = select(samples, "throughput", qos=1)
    names = contestants(some)[::-1]
    values = [median(some, name, "memory_mib") or 0 for name in names]
    bars = axes.barh(names, values, color=[_COLOURS.get(name, "#999999") for name in names])
    axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3)
    axes.set_xlim(right=max(values) * 1.12)


def _memory_over_time(figure: Figure, samples: Sequence[Sample]) -> None:
    axes = _axes(figure, "Resident memory over a long run", "messages", "MiB")
    (sample,) = select(samples, "memory")
    for part, colour in (("predictor", _COLOURS[THIS_PROJECT]), ("inference worker", _COLOURS[RELAY])):
        prefix = f"memory_mib {part} "
        points = sorted(
            (int(figure_name.removeprefix(prefix)), value)
            for figure_name, value in sample.figures.items()
            if figure_name.startswith(prefix)
        )
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, color=colour, label=part)
    axes.xaxis.set_major_formatter(_PLAIN)
    axes.set_ylim(bottom=0)
    axes.legend()


PLOTS: tuple[tuple[str, str, Callable[[Figure, Sequence[Sample]], None]], ...] = (
    ("throughput-by-fleet", "fleet", _throughput_by_fleet),
    ("latency-by-load", "latency", _latency_by_load),
    ("cpu-by-load", "latency", _cpu_by_load),
    ("memory", "throughput", _memory),
    ("memory-over-time", "memory", _memory_over_time),
)
"""Each plot's file, the measure that it needs, and what draws it."""


def _axes(figure: Figure, title: str, x: str, y: str) -> Axes:
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, which="major", alpha=0.3)
    return axes


def _logarithmic(axes: Axes, samples: Sequence[Sample], measure: str, condition: str, *, y: bool) -> None:
    """Logarithmic axes with the numbers that were measured, written as people write them."""
    axes.set_xscale("log")
    axes.set_xticks(sorted({sample.conditions[condition] for sample in select(samples, measure)}))
    axes.xaxis.set_major_formatter(_PLAIN)
    axes.xaxis.set_minor_locator(NullLocator())
    if y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_PLAIN)
        axes.yaxis.set_minor_formatter(NullFormatter())


def _lines(
    axes: Axes, samples: Sequence[Sample], measure: str, condition: str, figure: str, *, labels: bool = True
) -> None:
    """One line a contestant: medians of the figure by the condition."""
    some = select(samples, measure)
    for name in contestants(some):
        values = sorted({s.conditions[condition] for s in some if s.contestant == name})
        medians = [median(select(some, measure, **{condition: v}), name, figure) for v in values]
        width = 2.4 if name == THIS_PROJECT else 1.3
        axes.plot(
            values,
            [m or 0 for m in medians],
            marker="o",
            color=_COLOURS.get(name),
            linewidth=width,
            label=name,
        )
    if labels:
        axes.legend(fontsize=8)
