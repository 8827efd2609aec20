"""`python -m edge_manager history` as a process of the tests."""

import sys

import requests

from testbed.influxdb import InfluxDB
from testbed.ports import free_port
from testbed.process import REPOSITORY, ServerProcess


class HistoryProcess(ServerProcess):
    """The history service at a database, with its own secrets and on a loopback port of its own.

    Args:
        influxdb: The database.
        settings: FANWATCH_ variables beyond those.
    """

    def __init__(self, influxdb: InfluxDB, **settings: str) -> None:
        super().__init__("history", influxdb.site.folder / "history")
        self.port = free_port()
        self.metrics_url = f"http://127.0.0.1:{self.port}/metrics"
        self._environment = {
            "PYTHONPATH": str(REPOSITORY),
            "FANWATCH_INFLUXDB_URL": influxdb.url,
            "FANWATCH_SCHEMA_DIR": str(REPOSITORY / "influxdb" / "schema"),
            "FANWATCH_SECRETS_DIR": str(influxdb.site.secrets_of("history")),
            "FANWATCH_HISTORY_STATE_FILE": str(self.folder / "state.json"),
            "FANWATCH_HEARTBEAT_INTERVAL_S": "1",
            "FANWATCH_LISTEN_PORT": str(self.port),
            **settings,
        }

    def command(self) -> list[str]:
        """The service."""
        return [sys.executable, "-m", "edge_manager", "history"]

    def environment(self) -> dict[str, str]:
        """Its settings."""
        return self._environment

    def is_ready(self) -> bool:
        """Whether InfluxDB answers it."""
        return self.metric("fanwatch_history_influxdb_answers") == 1

    def metric(self, name: str) -> float | None:
        """A figure of its /metrics; None while there is none."""
        for line in requests.get(self.metrics_url, timeout=2).text.splitlines():
            if line.split(" ")[0] == name:
                return float(line.split(" ")[1])
        return None
