"""`fanwatch chaos`: kill, hang, fill and cut on this machine, and look for every reading."""

import random
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.chaos.case import Case, Needs, select
from benchmarks.chaos.cases.all_cases import CASES
from benchmarks.chaos.process_stack import ProcessStack
from benchmarks.chaos.report import Report
from benchmarks.chaos.stack import LeftOut
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
    out: Annotated[Path, typer.Option(help="Folder of chaos.json and chaos.md.")] = Path(
        "benchmarks/results"
    ),
) -> None:
    """Run the cases and write chaos.json and chaos.md; ends with 1 when a reading is lost or a state is wrong.

    Example: fanwatch chaos --cases 1,3,6 --duration 120 --seed 7
    """
    try:
        chosen = select(CASES, _numbers(cases), duration, REST_S)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--cases") from None
    seed = random.SystemRandom().randrange(_SEEDS) if seed is None else seed
    report = _run(chosen.cases, seed, chosen.scale)
    report.write(out)
    typer.echo(report.as_markdown())
    raise typer.Exit(0 if report.passed else 1)


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


def _run(cases: Sequence[Case], seed: int, scale: float) -> Report:
    """The cases in the seed's order; those with the same needs one after the other, on one stack."""
    order = list(cases)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda case: case.needs.broker_volume_mb or 0)
    results: list[Result] = []
    left_out: dict[int, str] = {}
    for needs, group in groupby(order, key=lambda case: case.needs):
        alike = list(group)
        try:
            results += _run_on_one_stack(needs, alike, seed, scale, left_out)
        except LeftOut as why:
            left_out |= {case.number: str(why) for case in alike}
    return Report(ProcessStack.kind, seed, results, left_out)


def _run_on_one_stack(
    needs: Needs, cases: Sequence[Case], seed: int, scale: float, left_out: dict[int, str]
) -> list[Result]:
    results = []
    with (
        tempfile.TemporaryDirectory(prefix="fanwatch-chaos-") as folder,
        ProcessStack(Path(folder), broker_volume_mb=needs.broker_volume_mb) as stack,
    ):
        for case in cases:
            typer.echo(f"case {case.number}: {case.name}", err=True)
            try:
                result = run(case, stack, seed, scale)
            except LeftOut as why:
                left_out[case.number] = str(why)
                continue
            said = result.outcome if result.passed else "FAILED: " + "; ".join(result.failures)
            typer.echo(f"  {result.seconds:.0f} s: {result.acknowledged:,} acknowledged; {said}", err=True)
            results.append(result)
    return results


if __name__ == "__main__":
    app()
