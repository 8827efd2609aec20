"""``python -m simulator [options]`` simulates; ``python -m simulator health`` asks a running one."""

import sys

from simulator.command import app

SUBCOMMANDS = {"simulate", "replay", "command", "health", "--help"}


def main() -> None:
    """Run a subcommand; options alone mean simulate."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] not in SUBCOMMANDS:
        arguments = ["simulate", *arguments]
    app(args=arguments, prog_name="python -m simulator")


if __name__ == "__main__":
    main()
