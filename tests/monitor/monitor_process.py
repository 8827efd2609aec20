"""`python -m monitor` as a process of the tests."""

import sys
import urllib.request
from pathlib import Path

from testbed.mosquitto import Mosquitto
from testbed.ports import free_port
from testbed.process import REPOSITORY, ServerProcess


class MonitorProcess(ServerProcess):
    """The monitor at a broker, as its user there, on a loopback port of its own.

    Args:
        folder: Its log's folder.
        broker: The broker; it reads its password from the site's secrets as in production.
        settings: FANWATCH_ variables beyond those.
    """

    def __init__(self, folder: Path, broker: Mosquitto, **settings: str) -> None:
        super().__init__("monitor", folder)
        self.port = free_port()
        self._environment = {
            "PYTHONPATH": str(REPOSITORY),
            "FANWATCH_MQTT_HOST": broker.host,
            "FANWATCH_MQTT_PORT": str(broker.port),
            "FANWATCH_MQTT_USERNAME": "monitor",
            "FANWATCH_SECRETS_DIR": str(broker.site.secrets_of("monitor")),
            "FANWATCH_LISTEN_PORT": str(self.port),
            "FANWATCH_INFERENCE_URL": "http://127.0.0.1:1",
            **settings,
        }

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """The monitor."""
        return [sys.executable, "-m", "monitor"]

    def environment(self) -> dict[str, str]:
        """Its settings."""
        return self._environment

    def is_ready(self) -> bool:
        """Whether it says that it works."""
        with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
