"""``python -m simulator [options]`` simulates; ``python -m simulator health`` asks a running one."""

import sys

SUBCOMMANDS = {"simulate", "replay", "command", "health", "--help"}


def main() -> None:
    """Run a subcommand; options alone mean simulate."""
    arguments = sys.argv[1:]
    if arguments == ["health"]:
        # Asked every few seconds, so it loads neither numpy nor paho.
        from simulator import health  # noqa: PLC0415
        from simulator.settings import SimulatorSettings  # noqa: PLC0415

        settings = SimulatorSettings.read()
        sys.exit(health.main(settings.listen_host, settings.listen_port))
    from simulator.command import app  # noqa: PLC0415

    if not arguments or arguments[0] not in SUBCOMMANDS:
        arguments = ["simulate", *arguments]
    app(args=arguments, prog_name="python -m simulator")


if __name__ == "__main__":
    main()
