"""`fanwatch chaos`: kill, hang, fill and cut on this machine, and look for every reading."""

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmarks.chaos.case import Case, Needs, select
from benchmarks.chaos.cases.all_cases import CASES
from benchmarks.chaos.container_stack import ContainerStack, engine_answers
from benchmarks.chaos.process_stack import ProcessStack
from benchmarks.chaos.report import as_markdown, record
from benchmarks.chaos.stack import LeftOut, Stack
from benchmarks.chaos.trial import REST_S, Result, run

app = typer.Typer(help="Kill, hang, fill and cut the stack while readings flow, and look for every reading.")

_SEEDS = 2**16


@app.command()
def chaos(
    cases: Annotated[str, typer.Option(help="Numbers of the cases, as 1,3,6-8; all unless given.")] = "",
    duration: Annotated[
        float | None,
        typer.Option(min=30, help="Seconds for all; the cases are made smaller. Full size unless given."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=_SEEDS - 1, help="Order, moments; a new one unless given.")
    ] = None,
    on: Annotated[
        Literal["processes", "containers"] | None,
        typer.Option(help="Where; containers when a Docker engine with the images answers, unless given."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of chaos.json and chaos.md.")] = Path(
        "benchmarks/results"
    ),
) -> None:
    """Run the cases and write chaos.json and chaos.md; ends with 1 when a promise is broken or a state is wrong.

    Example: fanwatch chaos --cases 1,3,6 --duration 120 --seed 7
    """
    try:
        chosen = select(CASES, _numbers(cases), duration, REST_S)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--cases") from None
    seed = random.SystemRandom().randrange(_SEEDS) if seed is None else seed
    kind = on or (ContainerStack.kind if engine_answers() else ProcessStack.kind)
    results, left_out = _run(chosen.cases, kind, seed, chosen.scale)
    content = record(out, kind, results, left_out)
    typer.echo(as_markdown(content))
    raise typer.Exit(0 if all(result.passed for result in results) else 1)


def _numbers(text: str) -> list[int] | None:
    """``1,3,6-8`` as numbers; None of an empty text.

    Raises:
        ValueError: The text is not of that form.
    """
    if not text:
        return None
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            numbers.extend(range(int(first), int(last or first) + 1))
        except ValueError:
            raise ValueError(f"{part!r}: expected numbers as 1,3,6-8") from None
    return numbers


def _run(cases: Sequence[Case], kind: str, seed: int, scale: float) -> tuple[list[Result], dict[int, str]]:
    """The cases in the seed's order; those with the same needs one after the other, on one stack."""
    order = list(cases)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda case: case.needs.broker_volume_mb or 0)
    results: list[Result] = []
    left_out: dict[int, str] = {}
    for needs, group in groupby(order, key=lambda case: case.needs):
        alike = list(group)
        try:
            with _stack(kind, needs) as stack:
                results += _run_on_one_stack(stack, alike, seed, scale, left_out)
        except LeftOut as why:
            left_out |= {case.number: str(why) for case in alike}
    return results, left_out


@contextmanager
def _stack(kind: str, needs: Needs) -> Iterator[Stack]:
    if kind == ContainerStack.kind:
        if needs.broker_volume_mb is not None:
            raise LeftOut("the volume of a container cannot be made small without another docker-compose.yml")
        with ContainerStack() as containers:
            yield containers
    else:
        with (
            tempfile.TemporaryDirectory(prefix="fanwatch-chaos-") as folder,
            ProcessStack(Path(folder), broker_volume_mb=needs.broker_volume_mb) as processes,
        ):
            yield processes


def _run_on_one_stack(
    stack: Stack, cases: Sequence[Case], seed: int, scale: float, left_out: dict[int, str]
) -> list[Result]:
    results = []
    for case in cases:
        typer.echo(f"case {case.number}: {case.name}", err=True)
        try:
            result = run(case, stack, seed, scale)
        except LeftOut as why:
            left_out[case.number] = str(why)
            typer.echo(f"  left out: {why}", err=True)
            continue
        said = result.outcome if result.passed else "FAILED: " + "; ".join(result.failures)
        typer.echo(f"  {result.seconds:.0f} s: {result.acknowledged:,} acknowledged; {said}", err=True)
        results.append(result)
    return results


if __name__ == "__main__":
    app()
