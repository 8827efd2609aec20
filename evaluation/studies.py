"""The studies of the diagnosis and of the gate: `make studies` writes their figures and plots into docs/studies."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from evaluation.gate_study import CHALLENGER_SCATTERS, plot_gate, study_gate
from evaluation.health_study import study_health
from evaluation.study_plots import plot_delays, plot_wear
from evaluation.wear_study import Life, Run, WearFigures, false_warnings, study_wear
from training.fan import HEALTHY
from training.gate import Rule

LIVES = (
    Life(healthy_s=600, wear_s=600, interval_s=2),
    Life(healthy_s=3000, wear_s=10_000, interval_s=5),
    Life(healthy_s=86_400, wear_s=3 * 86_400, interval_s=120),
)
SEEDS = range(200)
"""How the signal that decides is chosen was settled on the seeds from 1,000 on; these are only reported."""

GATE_SIZES = (200, 1000)
_HEALTHY_DEVICES = 10
_HEALTHY_DAYS = 3
_HEALTHY_INTERVAL_S = 2.0
_PROGRESS_SEEDS = 20

app = typer.Typer(help="Studies of the diagnosis on simulated fans.", add_completion=False)


@app.command()
def health(
    out: Annotated[Path, typer.Option(help="Folder of health.json and health.png.")] = Path("docs/studies"),
    bundle: Annotated[Path, typer.Option(help="Folder of the fan's model.")] = Path("models/fan"),
    streams: Annotated[int, typer.Option(min=10, help="Streams of each kind.")] = 2000,
    long: Annotated[int, typer.Option(min=1000, help="Readings of the longest stream.")] = 200_000,
) -> None:
    """How right and how quick the state of a fan is."""
    figures = study_health(bundle, streams=streams, readings=100, long_readings=long, seed=1)
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "health.json", figures.figures())
    plot_delays(out / "health.png", figures)


@app.command()
def wear(
    out: Annotated[Path, typer.Option(help="Folder of wear.json and wear.png.")] = Path("docs/studies"),
) -> None:
    """How true the time left is, and how early the warning; 200 fans of three lives, and 30 healthy device-days."""
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
    out.mkdir(parents=True, exist_ok=True)
    content = {result.life.name: result.figures() for result in results} | {
        "healthy_device_days": _HEALTHY_DEVICES * _HEALTHY_DAYS,
        "false_warnings": warnings,
    }
    _write(out / "wear.json", content)
    plot_wear(out / "wear.png", results)


@app.command()
def gate(
    out: Annotated[Path, typer.Option(help="Folder of gate.json and gate.png.")] = Path("docs/studies"),
    repeats: Annotated[int, typer.Option(min=10, help="Draws of each point.")] = 600,
) -> None:
    """How often the gate lets a new model pass, by how much better it really is."""
    rule = Rule(resamples=400)
    all_of_them = study_gate(GATE_SIZES, repeats, rule)
    points = list(tqdm(all_of_them, total=len(GATE_SIZES) * len(CHALLENGER_SCATTERS), desc="gate"))
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "gate.json", {"repeats": repeats, "points": [asdict(point) for point in points]})
    plot_gate(out / "gate.png", points, rule)


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    typer.echo(f"{path}\n{path.read_text(encoding='utf-8')}")


if __name__ == "__main__":
    app()
