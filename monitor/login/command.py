"""``fanwatch people``: who may sign in to the live page."""

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
  fanwatch people remove kim          ends every session of kim at once""",
)
app.add_typer(people, name="people")


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
