"""The real Telegraf with telegraf/telegraf.conf and telegraf/reading.star."""

import json
import shutil
from pathlib import Path
from typing import Any

import requests

from testbed.influxdb import InfluxDB
from testbed.mosquitto import Mosquitto
from testbed.ports import free_port
from testbed.process import REPOSITORY, ServerProcess, server_binary
from testbed.waiting import wait_until

CONFIGURATION = REPOSITORY / "telegraf" / "telegraf.conf"
SCRIPT = REPOSITORY / "telegraf" / "reading.star"


class Telegraf(ServerProcess):
    """The bridge between a broker and a database; variables name both, its secrets and its script.

    Args:
        mosquitto: The broker; of the same site as the database.
        influxdb: The database.
        configuration: The text of telegraf.conf; another than the shipped one for a test of a setting.
        name: Another than "telegraf" for a second one on the same site.
        naive_time_zone: The zone of a time that names none.
        metrics_urls: Where to scrape the services, by service; nobody listens unless given.
        retention_days: How long InfluxDB keeps readings; unless given, the configuration's own default.
        variables: More of the environment.
        broker_volume: Where the broker's data is mounted; unless given there is no such volume, and no figure of it.
    """

    def __init__(
        self,
        mosquitto: Mosquitto,
        influxdb: InfluxDB,
        *,
        configuration: str | None = None,
        name: str = "telegraf",
        naive_time_zone: str = "UTC",
        metrics_urls: dict[str, str] | None = None,
        broker_volume: Path | None = None,
        retention_days: int | None = None,
        variables: dict[str, str] | None = None,
    ) -> None:
        super().__init__(name, mosquitto.site.folder / name)
        self.mosquitto = mosquitto
        self.influxdb = influxdb
        self._configuration = CONFIGURATION.read_text() if configuration is None else configuration
        self._naive_time_zone = naive_time_zone
        self._metrics_urls = {"predictor": "", "inference": "", "monitor": "", "drift": "", "history": ""} | (
            metrics_urls or {}
        )
        self._variables = variables or {}
        self._retention = {} if retention_days is None else {"FANWATCH_RETENTION_DAYS": str(retention_days)}
        self._broker_volume = self.folder / "no-volume" if broker_volume is None else broker_volume
        self.health_url = f"http://127.0.0.1:{free_port()}"

    def command(self) -> list[str]:
        """Telegraf with its file."""
        shutil.copy(SCRIPT, self.folder)
        file = self.folder / "telegraf.conf"
        file.write_text(self._configuration)
        return [str(server_binary("telegraf")), "--config", str(file)]

    def environment(self) -> dict[str, str]:
        """This machine's places."""
        nobody = f"http://127.0.0.1:{free_port()}/metrics"
        urls = {
            f"FANWATCH_{name.upper()}_METRICS_URL": url or nobody for name, url in self._metrics_urls.items()
        }
        return (
            urls
            | self._retention
            | self._variables
            | {
                "FANWATCH_SECRETS_DIR": str(self.mosquitto.site.secrets_of("telegraf")),
                "FANWATCH_MQTT_HOST": self.mosquitto.host,
                "FANWATCH_MQTT_PORT": str(self.mosquitto.port),
                "FANWATCH_INFLUXDB_URL": self.influxdb.url,
                "FANWATCH_TELEGRAF_DIR": str(self.folder),
                "FANWATCH_TELEGRAF_HEALTH": self.health_url.removeprefix("http://"),
                "FANWATCH_BROKER_VOLUME": str(self._broker_volume),
                "FANWATCH_NAIVE_TIME_ZONE": self._naive_time_zone,
            }
        )

    def is_ready(self) -> bool:
        """Whether it has subscribed: the inputs connect one after the other, and the last is the broker's $SYS."""
        return self.connections() >= self._configuration.count("[[inputs.mqtt_consumer]]")

    def connections(self) -> int:
        """How often this run has connected to the broker, over all its inputs."""
        return sum(str(event.get("msg", "")).startswith("Connected [") for event in self.events())

    def events(self) -> list[dict[str, Any]]:
        """What this run has logged."""
        found = []
        for line in self.log(last=10_000_000).splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                found.append({"msg": line})
        return found

    def health(self) -> int:
        """The status that the container's health check sees."""
        return requests.get(self.health_url, timeout=2).status_code

    def wait_healthy(self) -> None:
        """Waits until the health check passes."""
        wait_until(lambda: self.health() == 200, within_s=30, what="telegraf to be healthy")
