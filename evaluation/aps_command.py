"""The command: what a model's mistakes cost on the files of the APS failure data set."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

# pandas and scikit-learn take seconds to load; `fanwatch --help` must not wait for them.

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_show_locals=False)


@app.command(
    epilog="""\b
Examples:
  fanwatch evaluate aps --data APS
  fanwatch evaluate aps --data APS --project aps && fanwatch toolkit test aps"""
)
def aps(
    data: Annotated[
        Path,
        typer.Option(
            help="Folder with aps_failure_training_set.csv and aps_failure_test_set.csv, as UCI has them."
        ),
    ],
    project: Annotated[
        Path | None, typer.Option(help="Folder to write a project for `fanwatch toolkit` into.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the folds and the model.")] = 1,
) -> None:
    """Learn which trucks have a failing air pressure system, and print what the mistakes cost.

    The threshold is the one that costs least (10 a false alarm, 500 a miss) on the training file, each truck scored by
    a model that has not seen it. The test file is looked at once, to count.
    """
    from tqdm import tqdm  # noqa: PLC0415

    from evaluation.aps import (  # noqa: PLC0415
        SCANIAS_ROWS,
        TEST_FILE,
        TRAINING_FILE,
        InvalidTrucks,
        judge,
        read_trucks,
    )
    from evaluation.aps_project import write_project  # noqa: PLC0415

    try:
        training, test = read_trucks(data / TRAINING_FILE), read_trucks(data / TEST_FILE)
        outcome = judge(
            training,
            test,
            seed=seed,
            progress=lambda folds: tqdm(folds, desc="folds", disable=not sys.stderr.isatty()),
        )
        if project is not None:
            write_project(project, outcome, training, test)
    except (InvalidTrucks, OSError) as error:
        _fail(str(error))
    rows = len(training.failures), len(test.failures)
    if rows != SCANIAS_ROWS:
        typer.echo(
            f"NOT SCANIA'S DATA: {rows[0]:,} and {rows[1]:,} rows where the data set has 60,000 and 16,000; "
            "what follows is no result on it"
        )
    typer.echo(
        f"threshold {outcome.threshold:.4f}, on {rows[1]:,} trucks, {int(test.failures.sum())} of them failing:"
    )
    for name, cost in (("this model", outcome.found), ("never", outcome.never), ("always", outcome.always)):
        typer.echo(
            f"  {name:<12} {cost.false_alarms:>6} false alarms x 10 + {cost.misses:>4} misses x 500 = {cost.total:>8,}"
        )
    typer.echo(
        f"cost a truck: {outcome.found.total / rows[1]:.3f}, expected {outcome.expected.total / rows[0]:.3f}"
    )
    if project is not None:
        typer.echo(f"project: {project}")


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code=1)
