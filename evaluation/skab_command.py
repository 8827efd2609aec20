"""The command: judge the detection of faults by a folder of the benchmark's recordings."""

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

# pandas and matplotlib take seconds to load; `fanwatch --help` must not wait for them.

METRICS_FILE = "metrics.json"

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_show_locals=False)


@app.command(
    epilog="""\b
Examples:
  fanwatch evaluate skab --data SKAB/valve2 --out reports/skab-valve2"""
)
def skab(
    data: Annotated[
        Path,
        typer.Option(help="Folder with recordings of the benchmark (.csv), in subfolders or not."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and a plot of each recording.")],
) -> None:
    """Learn from the first 400 rows of each recording, judge the rest, and print the table.

    F1, false-alarm rate and missing-alarm rate are the benchmark's outlier score, over the pooled rows behind the first
    400. No label is looked at but to count.
    """
    from tqdm import tqdm  # noqa: PLC0415

    from evaluation.skab import (  # noqa: PLC0415
        NothingToEvaluate,
        figures,
        find_recordings,
        judge,
        skab_machine,
        table,
    )
    from evaluation.skab_plot import write_plot  # noqa: PLC0415
    from training.baseline import NotEnoughHealth  # noqa: PLC0415
    from training.recording import InvalidRecording  # noqa: PLC0415

    machine = skab_machine()
    judged = []
    try:
        labelled, unlabelled = find_recordings(data, machine)
        out.mkdir(parents=True, exist_ok=True)
        for path in tqdm(labelled, desc="recordings", disable=not sys.stderr.isatty()):
            judged.append(judge(path, path.relative_to(data).as_posix(), machine))
            write_plot(out, judged[-1])
        left_out = [path.relative_to(data).as_posix() for path in unlabelled]
        report = json.dumps(figures(judged, left_out), indent=2) + "\n"
        (out / METRICS_FILE).write_text(report, encoding="utf-8")
    except (InvalidRecording, NotEnoughHealth, NothingToEvaluate, OSError) as error:
        _fail(str(error))
    typer.echo(table(judged))
    for name in left_out:
        typer.echo(f"left out: {name} has no column anomaly", err=True)
    typer.echo(f"figures and plots: {out}")


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code=1)
