"""The real InfluxDB with influxdb/influxdb.conf, its users and its schema."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import requests

from edge_manager.influxdb import InfluxDB as InfluxDBConnection
from edge_manager.site.credentials import Account, passwords_of
from edge_manager.site.preparation import prepare_influxdb
from testbed.ports import free_port
from testbed.process import REPOSITORY, ServerProcess, server_binary
from testbed.site import Site
from testbed.waiting import wait_until

CONFIGURATION = REPOSITORY / "influxdb" / "influxdb.conf"
SCHEMA = REPOSITORY / "influxdb" / "schema"


class InfluxDB(ServerProcess):
    """The database, on a loopback port of its own; InfluxDB's own variables name its port and folders.

    Args:
        site: Whose passwords its users get.
        configuration: The text of influxdb.conf; another than the shipped one for a test of a setting.
    """

    def __init__(self, site: Site, configuration: str | None = None) -> None:
        super().__init__("influxdb", site.folder / "influxdb")
        self.site = site
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._backup_port = free_port()
        self._configuration = CONFIGURATION.read_text() if configuration is None else configuration

    def command(self) -> list[str]:
        """The database with its file."""
        file = self.folder / "influxdb.conf"
        file.write_text(self._configuration)
        return [str(server_binary("influxd")), "run", "-config", str(file)]

    def environment(self) -> dict[str, str]:
        """This machine's places."""
        return {
            "INFLUXDB_BIND_ADDRESS": f"127.0.0.1:{self._backup_port}",
            "INFLUXDB_HTTP_BIND_ADDRESS": f"127.0.0.1:{self.port}",
            "INFLUXDB_META_DIR": str(self.folder / "meta"),
            "INFLUXDB_DATA_DIR": str(self.folder / "data"),
            "INFLUXDB_DATA_WAL_DIR": str(self.folder / "wal"),
        }

    def is_ready(self) -> bool:
        """Whether it answers."""
        return requests.get(f"{self.url}/ping", timeout=2).status_code == 204

    def prepare(self, retention_days: int | None = None) -> None:
        """Makes users, database, retention policies and continuous queries, as the setup service does."""
        prepare_influxdb(
            lambda user, password: InfluxDBConnection(self.url, user, password),
            passwords_of(self.site.store, Account.INFLUXDB),
            SCHEMA,
            retention_days,
        )

    def token(self, user: str) -> str:
        """What a client of /api/v2 (influxdb-client, Telegraf) signs in with; the bucket is "fan/raw"."""
        return f"{user}:{self.site.influxdb_password(user)}"

    def query(self, statement: str, *, user: str = "admin") -> list[dict[str, Any]]:
        """The rows of a statement, each a dict with its columns and tags; time is nanoseconds since 1970.

        Raises:
            PermissionError: The user may not.
            ValueError: InfluxDB refused the statement.
        """
        response = self._post(statement, user)
        body = response.json()
        results = body.get("results", [body])
        problem = body.get("error") or next((r["error"] for r in results if "error" in r), None)
        if response.status_code in {401, 403} or (problem and "not authorized" in problem):
            raise PermissionError(problem)
        if problem:
            raise ValueError(problem)
        return [
            dict(zip(series["columns"], row, strict=True))
            | series.get("tags", {})
            | {"name": series.get("name")}
            for result in results
            for series in result.get("series", [])
            for row in series["values"]
        ]

    def raw_query(self, statement: str, *, user: str = "admin") -> dict[str, Any]:
        """InfluxDB's whole answer to a statement."""
        answer: dict[str, Any] = self._post(statement, user).json()
        return answer

    def _post(self, statement: str, user: str) -> requests.Response:
        return requests.post(
            f"{self.url}/query",
            data={"q": statement, "db": "fan", "epoch": "ns"},
            auth=(user, self.site.influxdb_password(user)),
            timeout=60,
        )

    def points(self, measurement: str, device: str, *, policy: str = "raw") -> list[dict[str, Any]]:
        """Every point of one fan in one measurement, oldest first."""
        return self.query(f'SELECT * FROM "fan"."{policy}"."{measurement}" WHERE "deviceID" = \'{device}\'')

    def wait_points(
        self, measurement: str, device: str, count: int, *, within_s: float = 30, policy: str = "raw"
    ) -> list[dict[str, Any]]:
        """Waits until at least that many points of a fan are stored, and returns them."""
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            found[:] = self.points(measurement, device, policy=policy)
            return len(found) >= count

        try:
            wait_until(enough, within_s=within_s, what=f"{count} points of {device} in {measurement}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}; {len(found)} were there") from None
        return found

    def write(self, lines: Sequence[str], *, user: str = "history", policy: str = "raw") -> requests.Response:
        """Writes line protocol with nanoseconds."""
        return requests.post(
            f"{self.url}/write",
            params={"db": "fan", "rp": policy, "precision": "ns"},
            data="\n".join(lines).encode(),
            auth=(user, self.site.influxdb_password(user)),
            timeout=30,
        )


def nanoseconds(moment: datetime) -> int:
    """A time as InfluxDB has it, exact to the millisecond."""
    return round(moment.timestamp() * 1000) * 1_000_000
