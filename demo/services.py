"""What the demo runs: each part as a command line and an environment."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from demo.broker import Broker
from demo.ports import LOOPBACK, Ports

BROKEN_FAN = "5"
FANS = 6
STOP_S = "2"
"""Everything stops at once, the broker too, so nobody needs to wait long for its confirmations."""

MEASURE = "measure"
"""The part whose output the terminal shows, and whose end ends the demo."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process."""

    name: str
    command: list[str]
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Files:
    """Where a run keeps what it writes, all in one folder."""

    folder: Path

    @property
    def logs(self) -> Path:
        """A file for each part."""
        return self.folder / "logs"

    @property
    def truth(self) -> Path:
        """What the simulator really did."""
        return self.folder / "truth.jsonl"

    @property
    def alarms(self) -> Path:
        """The monitor's alarms and audit log."""
        return self.folder / "alarms.sqlite3"

    @property
    def accounts(self) -> Path:
        """Who may sign in to the page."""
        return self.folder / "accounts.sqlite3"

    @property
    def secrets(self) -> Path:
        """The monitor's secrets folder."""
        return self.folder / "secrets"

    @property
    def result(self) -> Path:
        """The figures, when the run is over."""
        return self.folder / "result.json"


def parts(
    broker: Broker, ports: Ports, files: Files, models: Path, started_s: float, duration_s: float | None
) -> list[Part]:
    """Everything, in the order in which it is started; nobody waits for that order, each waits for what it needs."""
    shared = _inherited() | {
        "PYTHONUNBUFFERED": "1",
        "FANWATCH_MQTT_HOST": LOOPBACK,
        "FANWATCH_MQTT_PORT": str(ports.mqtt),
        "FANWATCH_INFERENCE_URL": f"http://{LOOPBACK}:{ports.inference}",
        "FANWATCH_MODELS_DIR": str(models),
        # The clone's own model, tried out: its signature would take a library of 50 MB.
        "FANWATCH_ALLOW_UNSIGNED_MODELS": "true",
        "FANWATCH_LISTEN_HOST": LOOPBACK,
        "FANWATCH_DEMO": "true",
        "FANWATCH_STOP_S": STOP_S,
    }

    def service(name: str, port: int, command: list[str]) -> Part:
        return Part(name, command, shared | {"FANWATCH_LISTEN_PORT": str(port)})

    python = sys.executable
    simulator = [
        python,
        "-m",
        "simulator",
        "--fans",
        str(FANS),
        "--fault",
        BROKEN_FAN,
        "--rate",
        f"{broker.rate:g}",
    ]
    simulator += ["--truth", str(files.truth)]
    gate = [python, "-m", "demo.gate", "--port", str(ports.mqtt), "--service", "predictor"]
    gate += ["--url", f"http://{LOOPBACK}:{ports.inference}/v2/health/ready", "--"]
    measure = [python, "-m", f"demo.{MEASURE}", "--port", str(ports.mqtt), "--started", str(started_s)]
    measure += ["--truth", str(files.truth), "--result", str(files.result)]
    if duration_s is not None:
        measure += ["--duration", str(duration_s)]
    return [
        Part("broker", broker.command, shared),
        service("inference", ports.inference, [python, "-m", "inference"]),
        Part(
            "predictor",
            [python, "-m", "predictor"],
            shared | broker.predictor | {"FANWATCH_LISTEN_PORT": str(ports.predictor)},
        ),
        Part(
            "monitor",
            [python, "-m", "monitor"],
            shared
            | {
                "FANWATCH_LISTEN_PORT": str(ports.page),
                "FANWATCH_ALARM_FILE": str(files.alarms),
                "FANWATCH_ACCOUNT_FILE": str(files.accounts),
                "FANWATCH_SECRETS_DIR": str(files.secrets),
            },
        ),
        service("simulator", ports.simulator, [*gate, *simulator]),
        Part(MEASURE, measure, shared),
    ]


def _inherited() -> dict[str, str]:
    """The environment, without settings that belong to another installation."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FANWATCH_")}
