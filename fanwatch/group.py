"""The group of all commands, each loaded when it is called.

A room's module is imported when one of its commands is called, and not before: ``fanwatch --help`` is instant, and
works where most extras are not installed.
"""

import importlib
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from fanwatch.rooms import COMMANDS


class LazyGroup(TyperGroup):
    """Finds a command in its room's app when it is asked for; its help comes from the table instead."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - typer keeps this type to itself
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - as above
        """Import the room and return its command, or None when there is no such command."""
        room = COMMANDS.get(cmd_name)
        if room is None:
            return None
        command = get_command(importlib.import_module(room.module).app)
        # An app with a single command is that command.
        return (
            command.commands[cmd_name.rsplit(maxsplit=1)[-1]] if isinstance(command, TyperGroup) else command
        )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - as above
        """A name of two words goes before one of the first word alone."""
        two = " ".join(args[:2])
        if two in COMMANDS:
            return two, self.get_command(ctx, two), args[2:]
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - as above
        """Write the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, room.summary) for name, room in COMMANDS.items()])


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog="""\b
Examples:
  fanwatch demo                     everything on this machine, until Ctrl-C
  fanwatch command 5 faulty         break the simulated fan 5
  fanwatch command 5 healthy        mend it
  fanwatch replay fan.csv --rate 100
  fanwatch train --help             what a command takes, with examples""",
)


@app.callback()
def fanwatch() -> None:
    """Predictive maintenance at the edge."""
