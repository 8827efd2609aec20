"""What a back-test leaves behind: alarms.csv, summary.json and a plot of each device."""

import csv
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from contract.timestamp import format_timestamp
from evaluation.backtest import Backtest
from evaluation.judgement import judge
from evaluation.study_plots import BLUE, GREY, ORANGE, STYLE
from monitor.diagnosis.plant import EvidenceKind
from monitor.findings import FindingKind

ALARMS_FILE = "alarms.csv"
SUMMARY_FILE = "summary.json"

_MOST_PLOTS = 24
_MOST_PANELS = 8
_POINTS = 3000
_COLOURS = {FindingKind.MACHINE_FAULT: ORANGE, FindingKind.WEAR: "#b8a300"}
_SENSOR_COLOUR = "#7b5ea7"
_KIND_ORDER = tuple(FindingKind)

Values = npt.NDArray[np.float64]


def write_report(folder: Path, result: Backtest, facts: dict[str, Any]) -> dict[str, Any]:
    """Write the three, and return the summary.

    Args:
        folder: Where to; made if need be.
        result: The back-test.
        facts: More for the summary: name, seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ALARMS_FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["device", "kind", "raised", "cleared", "signals", "why", "inspect"])
        for alarm in result.alarms:
            writer.writerow(
                [
                    alarm.device,
                    alarm.kind,
                    _written(alarm.raised),
                    "" if alarm.cleared is None else _written(alarm.cleared),
                    " ".join(alarm.signals),
                    alarm.why,
                    alarm.inspect,
                ]
            )
    summary = facts | _summary(result)
    plots = _plots(folder, result)
    summary["plots"] = plots
    (folder / SUMMARY_FILE).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def _summary(result: Backtest) -> dict[str, Any]:
    recorded = result.recorded
    kinds = Counter(alarm.kind.value for alarm in result.alarms)
    learned = result.learned_until()
    summary: dict[str, Any] = {
        "data": recorded.source,
        "readings": len(recorded),
        "devices": len(recorded.devices),
        "from": _written(float(recorded.times[0])),
        "to": _written(float(recorded.times[-1])),
        "learned_until": {device: _written(at) for device, at in learned.items()},
        "usual": {name: list(plan.usual) for name, plan in result.plant.signals.items()},
        "alarms": len(result.alarms),
        "alarms_by_kind": {kind.value: kinds[kind.value] for kind in _KIND_ORDER if kinds[kind.value]},
        "alarms_standing_at_the_end": sum(alarm.cleared is None for alarm in result.alarms),
    }
    if result.plant.health.evidence is EvidenceKind.GATHERING:
        gathering = result.plant.gathering
        summary["gathering"] = {
            "healthy_readings": gathering.healthy_readings,
            "averaged_readings": gathering.averaged_readings,
            "smoothing_readings": gathering.smoothing,
            "level_readings": gathering.level,
            "limit": gathering.most_deviations,
            "off_delay_readings": gathering.off_delay,
        }
    if result.faults is not None:
        summary["judged"] = judge(result.alarms, result.faults, recorded, learned)
    return summary


def _plots(folder: Path, result: Backtest) -> list[str]:
    """One plot where there is one device; else one for each, those with most alarms first, 24 at most."""
    counts = Counter(alarm.device for alarm in result.alarms)
    devices = sorted(range(len(result.recorded.devices)), key=lambda i: -counts[result.recorded.devices[i]])
    names = []
    for index in devices[:_MOST_PLOTS]:
        safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in result.recorded.devices[index])
        name = "alarms.png" if len(devices) == 1 else f"alarms-{safe}.png"
        _plot(folder / name, result, index)
        names.append(name)
    return names


def _plot(path: Path, result: Backtest, index: int) -> None:
    recorded, device = result.recorded, result.recorded.devices[index]
    mine = recorded.device == index
    times, rows = recorded.times[mine], recorded.signals[mine]
    plans = list(result.plant.signals.items())[:_MOST_PANELS]
    alarms = [alarm for alarm in result.alarms if alarm.device == device]
    kinds = [kind for kind in _KIND_ORDER if any(alarm.kind is kind for alarm in alarms)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 2.1 * len(plans) + 0.45 * len(kinds) + 1.2))
        heights = [*[4.0] * len(plans), max(0.6, 0.9 * len(kinds))]
        panels = figure.subplots(
            len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
        )[:, 0]
        for axes, (column, (name, plan)) in zip(panels, enumerate(plans), strict=False):
            x, y = _thinned(times, rows[:, column])
            axes.axhspan(*plan.usual, color=BLUE, alpha=0.10, linewidth=0, label="usual")
            axes.plot(_moments(x), y, color=BLUE, linewidth=0.6)
            axes.set_ylabel(f"{plan.label or name}\n{plan.unit}".strip())
            for limit in (plan.worn_low, plan.worn_high):
                if limit is not None:
                    axes.axhline(limit, color=GREY, linestyle="--", linewidth=1)
            _shade(axes, result, index)
        lanes = panels[-1]
        end = float(times[-1])
        for lane, kind in enumerate(kinds):
            colour = _COLOURS.get(kind, _SENSOR_COLOUR)
            for alarm in alarms:
                if alarm.kind is kind:
                    stop = end if alarm.cleared is None else alarm.cleared
                    lanes.plot(
                        _moments(np.array([alarm.raised, stop])),
                        [lane, lane],
                        color=colour,
                        linewidth=7,
                        solid_capstyle="butt",
                    )
                    lanes.plot(
                        _moments(np.array([alarm.raised])), [lane], color="black", marker="|", markersize=11
                    )
        lanes.set_yticks(range(len(kinds)), [kind.value.replace("_", " ") for kind in kinds])
        lanes.set_ylim(len(kinds) - 0.4, -0.6)
        if not kinds:
            lanes.text(0.5, 0.5, "no alarm", transform=lanes.transAxes, ha="center", va="center", color=GREY)
        _shade(lanes, result, index)
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]  # matplotlib leaves it out
        lanes.xaxis.set_major_locator(locator)
        lanes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        figure.suptitle(f"{device}: {len(alarms)} alarms in {recorded.source}", fontsize=11)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
        figure.savefig(path)


def _shade(axes: Axes, result: Backtest, index: int) -> None:
    """What was learned from, and what was true."""
    recorded = result.recorded
    mine = result.learned & (recorded.device == index)
    if mine.any():
        first, last = _moments(np.array([recorded.times[mine].min(), recorded.times[mine].max()]))
        axes.axvspan(first, last, color=GREY, alpha=0.15, linewidth=0, label="learned from")
    label = "fault, as labelled"
    for fault in result.faults or ():
        if fault.device in {None, recorded.devices[index]}:
            begin, end = _moments(np.array([fault.begin, fault.end]))
            axes.axvspan(begin, end, color=ORANGE, alpha=0.18, linewidth=0, label=label)
            label = "_"


def _moments(times: Values) -> npt.NDArray[np.datetime64]:
    return (times * 1000).astype("datetime64[ms]")


def _thinned(times: Values, values: Values) -> tuple[Values, Values]:
    """Lowest and highest value of each slice, in order of time: what a line as narrow as a pixel shows anyway."""
    size = len(times) // _POINTS
    if size < 2:
        return times, values
    whole = len(times) // size * size
    slices = np.nan_to_num(values[:whole], nan=float(np.nanmedian(values))).reshape(-1, size)
    picked = np.sort(np.column_stack([slices.argmin(axis=1), slices.argmax(axis=1)]), axis=1)
    indices = (picked + np.arange(0, whole, size)[:, np.newaxis]).ravel()
    return times[indices], values[indices]


def _written(at: float) -> str:
    return format_timestamp(datetime.fromtimestamp(at, UTC))
