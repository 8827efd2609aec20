"""`python -m drift` as a process of the tests."""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from testbed.mosquitto import Mosquitto
from testbed.ports import free_port
from testbed.process import REPOSITORY, ServerProcess


class DriftProcess(ServerProcess):
    """The drift watch at a broker, as its user there, on a loopback port of its own.

    Args:
        folder: Its log's folder.
        broker: The broker; it reads its password from the site's secrets as in production.
        settings: FANWATCH_ variables beyond those.
    """

    def __init__(self, folder: Path, broker: Mosquitto, **settings: str) -> None:
        super().__init__("drift", folder)
        self.port = free_port()
        self._environment = {
            "PYTHONPATH": str(REPOSITORY),
            "FANWATCH_MQTT_HOST": broker.host,
            "FANWATCH_MQTT_PORT": str(broker.port),
            "FANWATCH_MQTT_USERNAME": "drift",
            "FANWATCH_SECRETS_DIR": str(broker.site.secrets_of("drift")),
            "FANWATCH_LISTEN_PORT": str(self.port),
            "FANWATCH_MODELS_DIR": str(REPOSITORY / "models"),
            **settings,
        }

    def command(self) -> list[str]:
        """The drift watch."""
        return [sys.executable, "-m", "drift"]

    def environment(self) -> dict[str, str]:
        """Its settings."""
        return self._environment

    def get(self, path: str) -> str:
        """The body of an answer."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def drift(self) -> dict[str, Any]:
        """What GET /drift says."""
        body: dict[str, Any] = json.loads(self.get("/drift"))
        return body

    def figure(self, name: str) -> float:
        """One sample of /metrics, with its labels as they are written there."""
        lines = dict(line.rsplit(" ", 1) for line in self.get("/metrics").splitlines() if line[0] != "#")
        return float(lines[name])

    def is_ready(self) -> bool:
        """Whether it says that it works."""
        return bool(json.loads(self.get("/health"))["complaint"] is None)
