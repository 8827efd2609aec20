"""``fanwatch people``: who may sign in to the live page, and which programs may read from it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from monitor.login.accounts import Accounts

# What these commands use is loaded by each of them: `fanwatch --help` must not wait for it.

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
people = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Who may sign in to the live page.",
    epilog="""\b
Examples:
  fanwatch people add kim             asks for the password of kim, who may then sign in
  fanwatch people password operator   a new one, also when the old one is forgotten
  fanwatch people remove kim          ends every session of kim at once
  fanwatch people token add display   a token for a program, which may read and nothing else""",
)
app.add_typer(people, name="people")
tokens = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Which programs may read from the live page's API.",
    epilog="""\b
Examples:
  fanwatch people token add display --days 365   prints a token, this once
  curl --header @header.txt http://127.0.0.1:8080/api/alarms   with "Authorization: Bearer TOKEN" in it
  fanwatch people token remove display           its next question is refused""",
)
people.add_typer(tokens, name="token")


@app.callback()
def _room() -> None:
    """The monitor's commands."""


AccountFile = Annotated[
    Path | None,
    typer.Option(
        "--file",
        help="The accounts' SQLite file; FANWATCH_ACCOUNT_FILE if not given. The monitor may be running.",
    ),
]
Program = Annotated[str, typer.Argument(help="The program's name, for the list and the log.")]
Name = Annotated[str, typer.Argument(help="As they sign in, and as their alarms are acknowledged.")]


@people.command("list")
def list_people(file: AccountFile = None) -> None:
    """Print the names, one a line."""
    for name in _accounts(file).names():
        typer.echo(name)


@people.command()
def add(name: Name, file: AccountFile = None) -> None:
    """Give somebody an account; the password is asked for."""
    try:
        if not _accounts(file).add(name, _asked_password()):
            _refuse(f"{name!r} has an account already; `people password` changes the password")
    except ValueError as error:
        _refuse(str(error))
    _write_down("add account", name)
    typer.echo(f"{name} may sign in.")


@people.command()
def password(name: Name, file: AccountFile = None) -> None:
    """Change a password, also of somebody who forgot it; their sessions end."""
    try:
        _accounts(file).set_password(name, _asked_password())
    except (ValueError, LookupError) as error:
        _refuse(str(error))
    _write_down("set password", name)
    typer.echo(f"{name} has a new password, and is signed out everywhere.")


@people.command()
def remove(name: Name, file: AccountFile = None) -> None:
    """Take an account away; its sessions end at once, and what it did stays written down."""
    try:
        _accounts(file).remove(name)
    except LookupError as error:
        _refuse(str(error))
    _write_down("remove account", name)
    typer.echo(f"{name} may no longer sign in.")


@tokens.command("list")
def list_tokens(file: AccountFile = None) -> None:
    """Print the programs that have a token, since when, and until when."""
    for each in _accounts(file).tokens():
        until = "for ever" if each.ends is None else f"until {_day(each.ends)}"
        typer.echo(f"{each.name}\tsince {_day(each.made)}\t{until}")


@tokens.command("add")
def add_token(
    name: Program,
    days: Annotated[
        int | None,
        typer.Option("--days", min=1, max=3650, help="It ends after so many days; never if not given."),
    ] = None,
    file: AccountFile = None,
) -> None:
    """Make a token for a program and print it: it is kept as a digest, and cannot be shown again."""
    try:
        token = _accounts(file).give_token(name, None if days is None else days * 86400)
    except ValueError as error:
        _refuse(str(error))
    if token is None:
        _refuse(f"{name!r} has a token already; `people token remove` takes it away")
    _write_down("add token", name)
    typer.echo(token)


@tokens.command("remove")
def remove_token(name: Program, file: AccountFile = None) -> None:
    """Take a program's token away; its next question is refused."""
    try:
        _accounts(file).take_token(name)
    except LookupError as error:
        _refuse(str(error))
    _write_down("remove token", name)
    typer.echo(f"{name} may no longer read.")


def _day(moment: float) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


def _accounts(file: Path | None) -> "Accounts":
    from monitor.clock import SystemClock  # noqa: PLC0415
    from monitor.login.accounts import Accounts, AccountsUnusableError  # noqa: PLC0415
    from monitor.login.settings import LoginSettings  # noqa: PLC0415

    try:
        return Accounts(file or LoginSettings.read().account_file, SystemClock())
    except AccountsUnusableError as error:
        _refuse(str(error))


def _write_down(action: str, name: str) -> None:
    """Into the audit log, which a monitor that has run once keeps beside its alarms."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from monitor.alarms.database import AlarmDatabase, StoreError  # noqa: PLC0415
    from monitor.alarms.history import AlarmHistory  # noqa: PLC0415
    from monitor.alarms.settings import AlarmSettings  # noqa: PLC0415

    file = AlarmSettings.read().alarm_file
    if not file.exists():
        return
    try:
        with AlarmDatabase(file) as database, database.transaction():
            AlarmHistory(database).write_audit(datetime.now(UTC), "command line", action, name, "")
    except StoreError as error:
        _refuse(f"it is done, and could not be written down: {error}")


def _asked_password() -> str:
    """Asked for, or the first line of what is piped in; never an argument, which every process listing shows."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n")


def _refuse(sentence: str) -> NoReturn:
    typer.echo(f"error: {sentence}", err=True)
    raise typer.Exit(2)
