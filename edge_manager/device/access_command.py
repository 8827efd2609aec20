"""``fanwatch add fan``, ``add client``, ``remove``, ``rotate``, ``users``: who may sign in at the site's broker.

The setup container does the work, where the secrets are; then the broker reads it again, without a restart.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from edge_manager.device.compose import Compose
from edge_manager.device.mistakes import as_sentences
from edge_manager.site.handout import Handout

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False
)

Name = Annotated[str, typer.Argument(help="The user's name at the broker; a fan's deviceID.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]
Folder = Annotated[
    Path, typer.Option(envvar="FANWATCH_FOLDER", help="The site's folder, with docker-compose.yml.")
]
_HERE = Path()


@app.command(
    epilog="""\b
Examples:
  fanwatch add fan hall2-fan7                 prints what the fan needs, the password only now
  fanwatch add fan hall2-fan7 --json > hall2-fan7.json"""
)
def fan(name: Name, as_json: AsJson = False, folder: Folder = _HERE) -> None:
    """Let a fan in, which may publish its own readings and nothing else."""
    with as_sentences():
        _added(Compose(folder), ["fan", "--json", "--", name], as_json)


@app.command(
    epilog="""\b
Examples:
  fanwatch add client historian                          may read alarms and verdicts
  fanwatch add client scada --read 'fan/#'               may read everything of the fans
  fanwatch add client erp --read 'fan/alarms/#' --write plant/orders"""
)
def client(
    name: Name,
    read: Annotated[
        list[str] | None, typer.Option(help="A topic that it may subscribe to; again for each.")
    ] = None,
    write: Annotated[
        list[str] | None, typer.Option(help="A topic that it may publish to; again for each.")
    ] = None,
    as_json: AsJson = False,
    folder: Folder = _HERE,
) -> None:
    """Let a program in; without topics it may read alarms and verdicts."""
    topics = [f"--read={topic}" for topic in read or ()] + [f"--write={topic}" for topic in write or ()]
    with as_sentences():
        _added(Compose(folder), ["client", "--json", *topics, "--", name], as_json)


@app.command(
    epilog="""\b
Examples:
  fanwatch remove hall2-fan7                  it is cut off at once"""
)
def remove(name: Name, folder: Folder = _HERE) -> None:
    """Take a fan or a client out, and cut off its connection."""
    with as_sentences():
        site = Compose(folder)
        site.setup("remove", "--json", "--", name)
        typer.echo(f"{name} cannot sign in any more.")
        cut_off = "a connection that it had is cut off"
        typer.echo(_reloaded(site, cut_off))


@app.command(
    epilog="""\b
Examples:
  fanwatch rotate hall2-fan7                  prints the new password, and cuts off who has the old one
  fanwatch rotate predictor                   a service's: it is started again with it
  fanwatch rotate influxdb-telegraf           a user of InfluxDB
  fanwatch rotate certificate                 the broker's key and certificate"""
)
def rotate(
    name: Annotated[
        str, typer.Argument(help="A user of the broker or of InfluxDB, a service, or certificate.")
    ],
    as_json: AsJson = False,
    folder: Folder = _HERE,
) -> None:
    """Give a user another password, or the broker another certificate."""
    with as_sentences():
        site = Compose(folder)
        rotated = json.loads(site.setup("rotate", "--json", "--", name))
        handout, service = rotated["handout"], rotated["restart"]
        # First of all: whatever fails now, the password has been shown.
        if as_json:
            typer.echo(json.dumps(rotated, indent=2))
        elif handout is not None:
            typer.echo(Handout.from_json(handout).to_text())
        said = [_reloaded(site, "who has the old password is cut off")]
        if service is not None:
            restarted = site.restart(service)
            said.append(
                f"{service} was started again with it"
                if restarted
                else f"{service} does not run; it reads it at its start"
            )
        typer.echo("\n".join(said), err=as_json)


@app.command(
    epilog="""\b
Examples:
  fanwatch users
  fanwatch users --json"""
)
def users(as_json: AsJson = False, folder: Folder = _HERE) -> None:
    """List who may sign in at the broker, and what for."""
    with as_sentences():
        typer.echo(Compose(folder).setup("users", *(["--json"] if as_json else [])), nl=False)


def _added(site: Compose, arguments: list[str], as_json: bool) -> None:
    handout = Handout.from_json(json.loads(site.setup("add", *arguments)))
    # First of all: whatever fails now, the password has been shown.
    typer.echo(handout.to_json() if as_json else handout.to_text())
    typer.echo(_reloaded(site, f"{handout.user} can sign in now"), err=as_json)


def _reloaded(site: Compose, then: str) -> str:
    if site.reload_broker():
        return f"The broker has read it: {then}."
    return "The broker does not run; it reads this at its start."
