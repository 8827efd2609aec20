"""The group of all commands, each loaded when it is called.

A room's module is imported when one of its commands is called, and not before: ``fanwatch --help`` is instant, and
works where most extras are not installed.
"""

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from fanwatch.rooms import COMMANDS


class LazyGroup(TyperGroup):
    """Finds a command in its room's app when it is asked for; its help comes from the table instead."""

    _offered: dict[str, str] | None = None
    """While the shell asks how a word could go on: the words, with their help."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - typer keeps this type to itself
        """The names, in the order of the table."""
        return list(COMMANDS if self._offered is None else self._offered)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - as above
        """Import the room and return its command, or None when there is no such command."""
        if self._offered is not None:
            return TyperCommand(cmd_name, help=self._offered[cmd_name])
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
        if ctx.resilient_parsing and len(args) == 1 and _second_words(args[0]):
            return None, None, args  # completion: the second word is what is asked for
        if two in COMMANDS:
            return two, self.get_command(ctx, two), args[2:]
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:  # noqa: ANN401 - as above
        """Names and their help out of the table, for the first word or the second; no room is imported."""
        words = [*getattr(ctx, "_protected_args", []), *ctx.args]
        self._offered = _second_words(words[0]) if words else _first_words()
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self._offered = None

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - as above
        """Write the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, room.summary) for name, room in COMMANDS.items()])


def _first_words() -> dict[str, str]:
    """The first word of each name, with the help of its command or of what its second words are."""
    found: dict[str, str] = {}
    for name, room in COMMANDS.items():
        first, _, second = name.partition(" ")
        if not second:
            found[first] = room.summary
        else:
            found.setdefault(first, ", ".join(_second_words(first)))
    return found


def _second_words(first: str) -> dict[str, str]:
    """The second words behind a first one, each with its command's help."""
    names = [(name.partition(" "), room) for name, room in COMMANDS.items()]
    return {second: room.summary for (word, _, second), room in names if second and word == first}


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="""\b
Examples:
  fanwatch init, then fanwatch up   a site on this machine, with Docker
  fanwatch add fan NAME             let a fan in
  fanwatch demo                     everything on this machine, until Ctrl-C
  fanwatch command 5 faulty         break the simulated fan 5
  fanwatch command 5 healthy        mend it
  fanwatch replay fan.csv --rate 100
  fanwatch train --help             what a command takes, with examples""",
)


@app.callback()
def fanwatch() -> None:
    """Predictive maintenance at the edge."""
