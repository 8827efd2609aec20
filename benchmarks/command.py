"""`fanwatch bench`: measure the path on this machine."""

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import load, processes
from benchmarks.latency import Latency, measure_latency
from benchmarks.report import as_markdown, write_report
from benchmarks.throughput import Throughput, measure_throughput

app = typer.Typer(help="Measure throughput and latency of the path, beside a relay that scores nothing.")

_WARM_UP = 2000
_LATENCY_S = 10


@app.command()
def bench(
    messages: Annotated[
        int, typer.Option(min=1000, max=200_000, help="Messages in one throughput run.")
    ] = 20_000,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Throughput runs of each contestant.")] = 3,
    rate: Annotated[
        list[int] | None, typer.Option(help="Latency at so many messages a second; may repeat.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of latest.json and latest.md.")] = Path(
        "benchmarks/results"
    ),
) -> None:
    """Measure and write benchmarks/results/latest.json and latest.md.

    Example: fanwatch bench --messages 50000 --rounds 5 --rate 150
    """
    rates = rate or [50, 150, 1000]
    try:
        with tempfile.TemporaryDirectory(prefix="fanwatch-bench-") as scratch:
            throughputs, latencies = _run(Path(scratch), messages, rounds, rates)
    except processes.BenchmarkError as error:
        typer.echo(f"bench: {error}", err=True)
        raise typer.Exit(1) from None
    write_report(out, throughputs, latencies)
    typer.echo(as_markdown(throughputs, latencies))


def _run(
    scratch: Path, messages: int, rounds: int, rates: list[int]
) -> tuple[list[Throughput], list[Latency]]:
    contestants: list[Callable[[int, Path], AbstractContextManager[processes.Contestant]]] = [
        processes.relay,
        processes.fanwatch,
    ]
    payloads = [reading.to_json() for reading in load.readings(messages, fans=100)]
    throughputs = []
    for number in range(1, rounds + 1):
        for start in contestants:
            with processes.broker(scratch) as port, start(port, scratch) as contestant:
                typer.echo(f"round {number} of {rounds}: throughput, {contestant.name}", err=True)
                measure_throughput(port, contestant, payloads[:_WARM_UP])
                throughputs.append(measure_throughput(port, contestant, payloads))
    latencies = []
    for per_second in rates:
        for start in contestants:
            with processes.broker(scratch) as port, start(port, scratch) as contestant:
                typer.echo(f"latency at {per_second} a second, {contestant.name}", err=True)
                measure_latency(port, contestant, load.readings(per_second, fans=100), per_second)
                readings = load.readings(per_second * _LATENCY_S, fans=100)
                latencies.append(measure_latency(port, contestant, readings, per_second))
    return throughputs, latencies


if __name__ == "__main__":
    app()
