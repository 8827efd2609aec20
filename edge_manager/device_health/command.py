"""``fanwatch status`` and ``fanwatch doctor``: how this device does, and what to do about it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from edge_manager.device.compose import Compose
from edge_manager.device.docker import SiteError
from edge_manager.device.from_here import fanwatch_command, is_here
from edge_manager.device_health.device import ComposeDevice, gather
from edge_manager.device_health.facts import Facts
from edge_manager.device_health.findings import Limits, find
from edge_manager.device_health.told import as_json, findings_text, status_text

app = typer.Typer(
    no_args_is_help=True,
    help="How this device does.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Folder = Annotated[
    Path, typer.Option(envvar="FANWATCH_FOLDER", help="The site's folder, with docker-compose.yml.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON object, for programs.")]
SilentAfter = Annotated[
    float, typer.Option(min=1, help="Seconds without a reading after which a fan counts as silent.")
]
_HERE = Path()


@app.command(
    epilog="""\b
Examples:
  fanwatch status                   for people
  fanwatch status --json            for programs
Exit code: 0 when all is well, 1 when something is not, 2 when nobody could be asked."""
)
def status(folder: Folder = _HERE, as_json_: AsJson = False, silent_after: SilentAfter = 300) -> None:
    """Say how each service does, what waits, how full the disk is, which model serves, when each fan was heard."""
    facts = _gather(folder, thorough=False)
    findings = find(facts, Limits(silent_after_s=silent_after))
    typer.echo(json.dumps(as_json(facts, findings)) if as_json_ else status_text(facts, findings))
    if findings and not as_json_:
        typer.echo(f"\n{fanwatch_command('doctor', folder)} says what is wrong, and what to do", err=True)
    raise typer.Exit(1 if findings else 0)


@app.command(
    epilog="""\b
Examples:
  fanwatch doctor                   what is wrong, each with the command that mends it or shows more
  fanwatch doctor --json
Exit code: 0 when nothing is wrong, 1 when something is, 2 when nobody could be asked."""
)
def doctor(folder: Folder = _HERE, as_json_: AsJson = False, silent_after: SilentAfter = 300) -> None:
    """Say what is wrong with this device and what to do, worst first."""
    facts = _gather(folder, thorough=True)
    findings = find(facts, Limits(silent_after_s=silent_after))
    typer.echo(json.dumps(as_json(facts, findings)) if as_json_ else findings_text(facts, findings))
    if findings and not as_json_ and not is_here(folder):
        typer.echo(f"\nThe commands are for the folder {folder.resolve()}", err=True)
    raise typer.Exit(1 if findings else 0)


def _gather(folder: Path, *, thorough: bool) -> Facts:
    try:
        device = ComposeDevice(Compose(folder.resolve()))
    except SiteError as error:
        _nobody_to_ask(str(error))
    facts = gather(device, lambda: datetime.now(UTC), thorough=thorough)
    if facts.services is None:
        _nobody_to_ask(facts.services_unknown)
    return facts


def _nobody_to_ask(why: str) -> NoReturn:
    typer.echo(f"error: {why}", err=True)
    raise typer.Exit(2)
