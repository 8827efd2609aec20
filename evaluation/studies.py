"""The commands that measure the diagnosis and the pipeline's gate: `make studies` writes docs/studies."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

# numpy, LiteRT and matplotlib take seconds to load, so each command loads them when it runs.

if TYPE_CHECKING:
    from evaluation.wear_study import Run

SEEDS = range(200)
"""How the signal that decides is chosen was settled on the seeds from 1,000 on; these are only reported."""
UNLABELLED_SEEDS = range(600, 620)
"""The time constants and the limit were settled on other seeds, below 510."""
GATE_SIZES = (200, 1000)
"""Labelled rows that the gate is given."""

_HEALTHY_DEVICES = 10
_HEALTHY_DAYS = 3
_HEALTHY_INTERVAL_S = 2.0
_PROGRESS_SEEDS = 20

app = typer.Typer(
    no_args_is_help=True,
    help="How good the diagnosis and the gate are.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

STUDIES = Path("docs/studies")


@app.command(
    epilog="""\b
Examples:
  fanwatch evaluate health                                     into docs/studies
  fanwatch evaluate health --bundle models/mine --out reports"""
)
def health(
    out: Annotated[Path, typer.Option(help="Folder of health.json and health.png.")] = STUDIES,
    bundle: Annotated[Path, typer.Option(help="Folder of the fan's model.")] = Path("models/fan"),
    streams: Annotated[int, typer.Option(min=10, help="Streams of each kind.")] = 2000,
    long: Annotated[int, typer.Option(min=1000, help="Readings of the longest stream.")] = 200_000,
) -> None:
    """How right and how quick the state of a fan is: streams of the known distributions, scored by a bundle."""
    from evaluation.health_study import study_health  # noqa: PLC0415
    from evaluation.study_plots import plot_delays  # noqa: PLC0415
    from training.bundle import BundleError  # noqa: PLC0415

    try:
        figures = study_health(bundle, streams=streams, readings=100, long_readings=long, seed=1)
    except BundleError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(code=1) from None
    _write(out, "health.json", figures.figures())
    plot_delays(out / "health.png", figures)


@app.command(
    epilog="""\b
Examples:
  fanwatch evaluate wear                                       into docs/studies, some minutes
  fanwatch evaluate wear --out reports"""
)
def wear(out: Annotated[Path, typer.Option(help="Folder of wear.json and wear.png.")] = STUDIES) -> None:
    """How true the time left is, and how early the warning; 200 fans of three lives, and 30 healthy device-days."""
    import numpy as np  # noqa: PLC0415
    from tqdm import tqdm  # noqa: PLC0415

    from evaluation.study_plots import plot_wear  # noqa: PLC0415
    from evaluation.wear_study import LIVES, WearFigures, false_warnings, study_wear  # noqa: PLC0415
    from training.fan import HEALTHY  # noqa: PLC0415

    results = []
    for life in LIVES:
        runs: list[Run] = []
        for begin in tqdm(range(0, len(SEEDS), _PROGRESS_SEEDS), desc=life.name, unit_scale=_PROGRESS_SEEDS):
            runs += study_wear(life, SEEDS[begin : begin + _PROGRESS_SEEDS]).runs
        results.append(WearFigures(life, tuple(runs)))
    chance = np.random.default_rng(1)
    readings = int(_HEALTHY_DAYS * 86_400 / _HEALTHY_INTERVAL_S)
    warnings = 0
    for number in tqdm(range(_HEALTHY_DEVICES), desc="healthy fans", unit="fan"):
        rows = np.round(chance.uniform(HEALTHY.low, HEALTHY.high, (readings, len(HEALTHY.low))), 1)
        warnings += false_warnings(rows, _HEALTHY_INTERVAL_S, str(number))
    content = {result.life.name: result.figures() for result in results} | {
        "healthy_device_days": _HEALTHY_DEVICES * _HEALTHY_DAYS,
        "false_warnings": warnings,
    }
    _write(out, "wear.json", content)
    plot_wear(out / "wear.png", results)


@app.command(
    epilog="""\b
Examples:
  fanwatch evaluate backtest                                 into docs/studies, some minutes
  fanwatch evaluate backtest --recordings 3 --out reports"""
)
def backtest(
    out: Annotated[Path, typer.Option(help="Folder of backtest.json.")] = STUDIES,
    recordings: Annotated[
        int, typer.Option(min=1, max=500, help="Recordings of each machine and fault.")
    ] = len(UNLABELLED_SEEDS),
) -> None:
    """How good the back-test is without labels: made machines and their faults, faults found and false alarms."""
    from tqdm import tqdm  # noqa: PLC0415

    from evaluation.made_machines import MACHINES  # noqa: PLC0415
    from evaluation.unlabelled_study import study_unlabelled  # noqa: PLC0415

    seeds = range(UNLABELLED_SEEDS.start, UNLABELLED_SEEDS.start + recordings)
    whole = recordings * sum(1 + len(machine.faults) for machine in MACHINES)
    with tqdm(total=whole, desc="recordings", unit="file", disable=not sys.stderr.isatty()) as bar:
        results = study_unlabelled(seeds, progress=bar.update)
    _write(out, "backtest.json", [asdict(result) for result in results])


@app.command(
    epilog="""\b
Examples:
  fanwatch evaluate gate                                       into docs/studies, some minutes
  fanwatch evaluate gate --repeats 30 --out reports"""
)
def gate(
    out: Annotated[Path, typer.Option(help="Folder of gate.json and gate.png.")] = STUDIES,
    repeats: Annotated[int, typer.Option(min=10, help="Draws of each point.")] = 600,
) -> None:
    """How often the gate lets a new model pass, by how much better it really is."""
    from tqdm import tqdm  # noqa: PLC0415

    from evaluation.gate_study import CHALLENGER_SCATTERS, plot_gate, study_gate  # noqa: PLC0415
    from training.gate import Rule  # noqa: PLC0415

    rule = Rule(resamples=400)
    all_of_them = study_gate(GATE_SIZES, repeats, rule)
    points = list(tqdm(all_of_them, total=len(GATE_SIZES) * len(CHALLENGER_SCATTERS), desc="gate"))
    _write(out, "gate.json", {"repeats": repeats, "points": [asdict(point) for point in points]})
    plot_gate(out / "gate.png", points, rule)


def _write(folder: Path, name: str, content: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2) + "\n"
    (folder / name).write_text(text, encoding="utf-8")
    typer.echo(f"{folder / name}\n{text}")
