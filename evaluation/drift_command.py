"""The command: judge the drift watch on simulated fans."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

# The libraries behind the command take seconds to load, so it loads them when it runs.

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_show_locals=False)


@app.command(
    epilog="""\b
Examples:
  fanwatch evaluate drift --out reports/drift
  fanwatch evaluate drift --trials 20 --stretches 2 --out reports/drift"""
)
def drift(
    out: Annotated[Path, typer.Option(help="Folder of drift.json and drift.png.")],
    bundle: Annotated[Path, typer.Option(help="Folder of the fan's model.")] = Path("models/fan"),
    trials: Annotated[
        int, typer.Option(min=1, help="Seasons that begin, in each signal and direction.")
    ] = 100,
    stretches: Annotated[int, typer.Option(min=1, help="Stretches without drift, of each fleet.")] = 10,
    readings: Annotated[int, typer.Option(min=1000, help="Readings in a stretch.")] = 100_000,
    others: Annotated[
        int, typer.Option(min=0, help="Trials of each broken sensor; a fifth of slow seasons.")
    ] = 20,
) -> None:
    """How soon drift of 10 % is told, how often it is told where there is none, and whether who drifts is told rightly.

    Six simulated fans, one of them broken and one wearing, scored by the model itself. About a quarter of an hour.
    """
    from tqdm import tqdm  # noqa: PLC0415

    from evaluation.drift_plot import plot_drift  # noqa: PLC0415
    from evaluation.drift_study import (  # noqa: PLC0415
        FLEETS,
        DriftFigures,
        DriftTrial,
        study_delays,
        study_false_flags,
        study_sensors,
        study_slow_season,
    )

    trial, figures = DriftTrial(bundle), DriftFigures()
    quiet = not sys.stderr.isatty()
    for seed in tqdm(range(trials), desc="sudden seasons", disable=quiet):
        for percent in (10, -10):
            study_delays(trial, figures, [seed], percent)
    for seed in tqdm(range(others), desc="broken sensors", disable=quiet):
        study_sensors(trial, figures, [seed])
    for seed in tqdm(range(-(-others // 5)), desc="slow seasons", disable=quiet):
        study_slow_season(trial, figures, [seed], 10)
    for seed in tqdm(range(stretches), desc="no drift", disable=quiet):
        for number, (name, fans) in enumerate(FLEETS.items()):
            study_false_flags(trial, figures, name, fans, len(FLEETS) * seed + number, readings)
    out.mkdir(parents=True, exist_ok=True)
    report = json.dumps(figures.figures(), indent=2) + "\n"
    (out / "drift.json").write_text(report, encoding="utf-8")
    plot_drift(out / "drift.png", figures)
    typer.echo(report)


if __name__ == "__main__":
    app()
