"""The real Telegraf with telegraf/gateway: machines that speak OPC UA or Modbus into a broker."""

import json
import shutil
from typing import Any

import requests

from testbed.mosquitto import Mosquitto
from testbed.ports import free_port
from testbed.process import REPOSITORY, ServerProcess, server_binary

CONFIGURATION = REPOSITORY / "telegraf" / "gateway" / "gateway.conf"
SCRIPT = REPOSITORY / "telegraf" / "gateway" / "machine.star"
MACHINES = REPOSITORY / "telegraf" / "gateway" / "machines.toml"


class Gateway(ServerProcess):
    """The gateway between machines and a broker.

    Args:
        mosquitto: The broker, whose site has the gateway's password.
        machines: The text of the plant's file.
        configuration: The text of gateway.conf; another than the shipped one for a test of a setting.
        script: The text of machine.star, likewise.
    """

    def __init__(
        self,
        mosquitto: Mosquitto,
        machines: str,
        *,
        configuration: str | None = None,
        script: str | None = None,
    ) -> None:
        super().__init__("gateway", mosquitto.site.folder / "gateway")
        self.mosquitto = mosquitto
        self._machines = machines
        self._configuration = CONFIGURATION.read_text() if configuration is None else configuration
        self._script = script
        self.health_url = f"http://127.0.0.1:{free_port()}"

    def command(self) -> list[str]:
        """Telegraf with both files."""
        shutil.copy(SCRIPT, self.folder)
        if self._script is not None:
            (self.folder / SCRIPT.name).write_text(self._script)
        files = {"gateway.conf": self._configuration, "machines.toml": self._machines}
        for name, text in files.items():
            (self.folder / name).write_text(text)
        configs = [part for name in files for part in ("--config", str(self.folder / name))]
        return [str(server_binary("telegraf")), *configs]

    def environment(self) -> dict[str, str]:
        """This machine's places."""
        return {
            "FANWATCH_SECRETS_DIR": str(self.mosquitto.site.secrets_of("gateway")),
            "FANWATCH_MQTT_HOST": self.mosquitto.host,
            "FANWATCH_MQTT_PORT": str(self.mosquitto.port),
            "FANWATCH_GATEWAY_DIR": str(self.folder),
            "FANWATCH_TELEGRAF_HEALTH": self.health_url.removeprefix("http://"),
        }

    def is_ready(self) -> bool:
        """Whether it runs: outputs are connected, or tried, before its health is served."""
        try:
            return requests.get(self.health_url, timeout=2).status_code in (200, 503)
        except requests.ConnectionError:
            return False

    def health(self) -> int:
        """The status that the container's health check sees."""
        return requests.get(self.health_url, timeout=2).status_code

    def events(self) -> list[dict[str, Any]]:
        """What this run has logged."""
        found = []
        for line in self.log(last=10_000_000).splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                found.append({"msg": line})
        return found
