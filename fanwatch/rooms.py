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


# A name of two words is a command below another: `fanwatch evaluate` judges a bundle, `fanwatch evaluate skab` and the
# others what belongs to another room.
COMMANDS: dict[str, RoomCommand] = {
    "demo": RoomCommand("demo.command", "demo", "Run the whole stack on this machine, without Docker."),
    "init": RoomCommand(
        "edge_manager.device.command", "edge-manager", "Look at this machine, and write the site's .env."
    ),
    "up": RoomCommand("edge_manager.device.command", "edge-manager", "Start the site, wait until it works."),
    "down": RoomCommand("edge_manager.device.command", "edge-manager", "Stop the site; its data stays."),
    "logs": RoomCommand(
        "edge_manager.device.command", "edge-manager", "Show the services' log lines, made readable."
    ),
    "add fan": RoomCommand(
        "edge_manager.device.access_command", "edge-manager", "Let a fan in at the broker."
    ),
    "add client": RoomCommand(
        "edge_manager.device.access_command", "edge-manager", "Let a program in at the broker."
    ),
    "remove": RoomCommand(
        "edge_manager.device.access_command", "edge-manager", "Take a fan or a client out, and cut it off."
    ),
    "rotate": RoomCommand(
        "edge_manager.device.access_command", "edge-manager", "Give a user or a service another password."
    ),
    "users": RoomCommand(
        "edge_manager.device.access_command", "edge-manager", "List who may sign in at the broker."
    ),
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
    "evaluate aps": RoomCommand(
        "evaluation.aps_command", "evaluation", "Say what a model costs on Scania's trucks."
    ),
    "evaluate drift": RoomCommand(
        "evaluation.drift_command", "evaluation", "Judge how soon and how rightly drift is told."
    ),
    "model add": RoomCommand(
        "edge_manager.models.command", "edge-manager", "Copy a bundle onto this device."
    ),
    "model list": RoomCommand(
        "edge_manager.models.command", "edge-manager", "Say which versions of a model are here, and in use."
    ),
    "model use": RoomCommand(
        "edge_manager.models.command", "edge-manager", "Switch to a version of a model."
    ),
    "model shadow": RoomCommand(
        "edge_manager.models.command", "edge-manager", "Score a version beside the one in use, unseen."
    ),
    "model rollback": RoomCommand("edge_manager.models.command", "edge-manager", "Switch back."),
    "model compare": RoomCommand(
        "edge_manager.models.command", "edge-manager", "Say how the version in the shadow does."
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
    "toolkit new": RoomCommand(
        "inference_toolkit.command", "toolkit", "Write a project for a model of your own."
    ),
    "toolkit test": RoomCommand(
        "inference_toolkit.command", "toolkit", "Try a model in the scoring service."
    ),
    "toolkit serve": RoomCommand(
        "inference_toolkit.command", "toolkit", "Serve a model on this machine, over HTTP and MQTT."
    ),
    "toolkit pack": RoomCommand(
        "inference_toolkit.command", "toolkit", "Write the signed bundle of a project."
    ),
    "toolkit build": RoomCommand(
        "inference_toolkit.command", "toolkit", "Make a container image that serves one model."
    ),
    "toolkit push": RoomCommand(
        "inference_toolkit.command", "toolkit", "Send a bundle or an image to a registry."
    ),
    "toolkit pull": RoomCommand("inference_toolkit.command", "toolkit", "Fetch a bundle from a registry."),
    "evaluate health": RoomCommand(
        "evaluation.studies", "evaluation", "Judge the state of simulated fans: how right."
    ),
    "evaluate wear": RoomCommand(
        "evaluation.studies", "evaluation", "Judge the time left of simulated fans: how true."
    ),
    "evaluate backtest": RoomCommand(
        "evaluation.studies", "evaluation", "Judge the back-test by made machines without labels."
    ),
    "evaluate gate": RoomCommand(
        "evaluation.studies", "evaluation", "Judge how rightly the pipeline's gate lets models pass."
    ),
    "backtest": RoomCommand(
        "evaluation.command", "evaluation", "Say what would have alarmed on stored data."
    ),
    "alarms": RoomCommand(
        "monitor.alarms.command", "monitor", "Say how good the alarms are, or export their labels."
    ),
    "people": RoomCommand("monitor.login.command", "monitor", "Say who may sign in to the live page."),
    "bench": RoomCommand(
        "benchmarks.speed.command", None, "Measure speed, beside what could be used instead."
    ),
    "chaos": RoomCommand(
        "benchmarks.chaos.command", None, "Kill, hang and cut the stack, and look for every reading."
    ),
}
