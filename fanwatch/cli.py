"""``fanwatch``: one command for a person, made of the rooms' own."""

import sys
from itertools import pairwise

from fanwatch.rooms import COMMANDS

OUR_PACKAGES = {room.module.partition(".")[0] for room in COMMANDS.values()} | {
    "contract",
    "fanwatch",
    "model_folder",
    "mqtt_session",
}


def missing_extra(called: str | None, package: str) -> str:
    """What to say when a command, or the command line itself (called is None), needs what is not installed."""
    if called is None:
        extras = ", ".join(sorted({room.extra for room in COMMANDS.values() if room.extra}))
        return f"fanwatch needs one of its extras, {extras} ({package} is not installed). {_how_to('demo')}"
    extra = COMMANDS[called].extra
    if extra is None:
        return (
            f"fanwatch {called} runs in the environment of development ({package} is not installed): "
            "in a clone, uv sync --all-extras"
        )
    return f"fanwatch {called} needs the extra {extra} ({package} is not installed). {_how_to(extra)}"


def called_command(arguments: list[str]) -> str | None:
    """The command that is called, one or two words; None when there is none."""
    pairs = [" ".join(words) for words in pairwise(arguments)]
    return next((name for name in [*pairs, *arguments] if name in COMMANDS), None)


def main() -> None:
    """Run the command line."""
    called = called_command(sys.argv[1:])
    try:
        # Here and not above: without any extra there is no typer, and that shall be a sentence too.
        from fanwatch.group import app  # noqa: PLC0415

        app(prog_name="fanwatch")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in OUR_PACKAGES:
            raise  # a mistake of ours, not of the installation
        print(f"error: {missing_extra(called, package)}", file=sys.stderr)  # noqa: T201 - typer may be missing
        sys.exit(1)


def _how_to(extra: str) -> str:
    return f"In a clone: uv sync --extra {extra}. Elsewhere: pip install 'fanwatch[{extra}]'"


if __name__ == "__main__":
    main()
