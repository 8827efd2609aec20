"""Which commands there are, where each one lives, and what it needs installed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoomCommand:
    """One command of one room.

    Args:
        module: Holds the room's typer app, named ``app``.
        extra: The extra of this package that brings what the room imports; None when it needs those of development.
        summary: One line of help, here and not in the room, because help must not import it.
    """

    module: str
    extra: str | None
    summary: str


# A name of two words is a command below another: `fanwatch evaluate` judges a bundle, `fanwatch evaluate skab` this one
# thing that belongs to another room.
COMMANDS: dict[str, RoomCommand] = {
    "demo": RoomCommand("demo.command", "demo", "Run the whole stack on this machine, without Docker."),
    "simulate": RoomCommand(
        "simulator.command", "simulator", "Run fans that do well, wear, break or go silent."
    ),
    "replay": RoomCommand("simulator.command", "simulator", "Publish the readings of a CSV."),
    "command": RoomCommand("simulator.command", "simulator", "Break a simulated fan, or mend it."),
    "generate": RoomCommand(
        "training.command", "training", "Write a data set drawn from the known distributions."
    ),
    "train": RoomCommand("training.command", "training", "Train a model and write its bundle and report."),
    "learn": RoomCommand("training.command", "training", "Write a bundle learned from a healthy machine."),
    "evaluate": RoomCommand(
        "training.command", "training", "Judge a bundle by recorded or generated readings."
    ),
    "evaluate skab": RoomCommand(
        "evaluation.skab_command", "evaluation", "Judge the detection of faults by SKAB's recordings."
    ),
    "pipeline": RoomCommand(
        "training.pipeline_command",
        "pipeline",
        "From stored readings to a better model on the device.",
    ),
    "model keygen": RoomCommand(
        "training.model_command", "pipeline", "Make the keys that bundles are signed with."
    ),
    "model sign": RoomCommand("training.model_command", "pipeline", "Sign a bundle."),
    "model verify": RoomCommand(
        "training.model_command", "pipeline", "Say whether a bundle's signature holds."
    ),
    "backtest": RoomCommand(
        "evaluation.command", "evaluation", "Say what would have alarmed on stored data, and how early."
    ),
    "alarms": RoomCommand(
        "monitor.alarms.command", "monitor", "Say how good the alarms are; export labels from closed ones."
    ),
    "people": RoomCommand("monitor.login.command", "monitor", "Say who may sign in to the live page."),
    "bench": RoomCommand(
        "benchmarks.speed.command", None, "Measure speed, beside what could be used instead."
    ),
    "chaos": RoomCommand(
        "benchmarks.chaos.command", None, "Kill, hang and cut the stack, and look for every reading."
    ),
}
