"""`fanwatch bench`: measure this project and what could be used instead, on this machine."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.speed.contestants.processes import CONTESTANTS
from benchmarks.speed.generator import BenchmarkError
from benchmarks.speed.plan import MEASURES, Plan
from benchmarks.speed.plots import write_plots
from benchmarks.speed.report import as_markdown, merge, read_report, write_report
from benchmarks.speed.sample import Sample

app = typer.Typer(help="Measure throughput, latency, CPU and memory, beside what could be used instead.")

QUICK = ("load", "throughput", "latency", "fleet", "replicas", "backlog")
"""What a run without options measures, in about a quarter of an hour."""
RESULTS = Path("benchmarks/results")


@app.command()
def bench(  # noqa: PLR0913, PLR0917 - one argument for each option
    measure: Annotated[
        list[str] | None, typer.Option(help=f"What to measure; may repeat. One of {', '.join(MEASURES)}.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Every measure; takes most of an hour.")] = False,
    contestant: Annotated[
        list[str] | None,
        typer.Option(help=f"Whom to measure; may repeat. One of {', '.join(CONTESTANTS)}."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Runs of each contestant.")] = 2,
    messages: Annotated[
        int, typer.Option(min=100, max=200_000, help="Messages in one throughput run.")
    ] = 20_000,
    rate: Annotated[
        list[int] | None, typer.Option(help="Latency at so many messages a second; may repeat.")
    ] = None,
    seconds: Annotated[int, typer.Option(min=1, max=60, help="Length of one latency run.")] = 5,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep what latest.json says; this run adds rounds and measures to it."),
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of latest.json, latest.md and the plots.")] = RESULTS,
) -> None:
    """Measure and write benchmarks/results.

    Example: fanwatch bench --measure latency --rate 150 --rounds 5 --keep
    """
    wanted = tuple(MEASURES) if full else tuple(measure or QUICK)
    unknown = [*(set(wanted) - set(MEASURES)), *(set(contestant or ()) - set(CONTESTANTS))]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: `fanwatch bench --help` lists what there is")
    plan = Plan(
        say=lambda what: typer.echo(f"{datetime.now(UTC):%H:%M:%S} {what}", err=True),
        count=messages,
        rounds=rounds,
        rates=tuple(rate or Plan.rates),
        seconds=seconds,
        contestants=tuple(contestant or CONTESTANTS),
    )
    samples: list[Sample] = []
    try:
        for name in wanted:
            samples += MEASURES[name](plan)
    except (BenchmarkError, FileNotFoundError, RuntimeError, TimeoutError) as error:
        typer.echo(f"bench: {error}", err=True)
        raise typer.Exit(1) from None
    report = merge(read_report(out), samples) if keep else merge(None, samples)
    write_report(out, report)
    write_plots(out, report.samples)
    typer.echo(as_markdown(report))


if __name__ == "__main__":
    app()
