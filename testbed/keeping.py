"""A site of processes as `fanwatch backup`, `status` and `doctor` see a site: its folders stand for the volumes."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from edge_manager.backup.site_files import SiteFile
from edge_manager.backup.site_stack import SiteStack
from edge_manager.device_health.device import Device, subscriber
from edge_manager.device_health.disks import disk_of
from edge_manager.device_health.facts import Disk, Service
from testbed.influxdb import InfluxDB
from testbed.mosquitto import Mosquitto
from testbed.process import REPOSITORY, SERVERS, ServerProcess, server_binary


class ProcessStack(SiteStack):
    """The servers of one site.

    Args:
        kept: Holds the folder of each volume: links to where the processes keep their data.
        influxdb: The database; started by a restore.
        others: What else may run.
    """

    def __init__(self, kept: Path, influxdb: InfluxDB, others: list[ServerProcess]) -> None:
        self.folder = REPOSITORY
        self._kept = kept
        self._influxdb = influxdb
        self._others = others
        self.before_database: Callable[[], object] = lambda: None

    def images(self) -> dict[str, str]:
        """There are none."""
        return {}

    def site_files(self) -> dict[str, SiteFile]:
        """There are none: its folder is the clone."""
        return {}

    def places(self, verb: str) -> list[str]:
        """The program that the container runs."""
        program = [sys.executable, "-m", "edge_manager.backup.places", verb, "--root", str(self._kept)]
        options = ["--keep-owner"] if verb == "place" else []
        return ["env", f"PYTHONPATH={REPOSITORY}", *program, *options]

    def database(self, script: str) -> list[str]:
        """The script that runs beside InfluxDB, with the influxd of the tests."""
        self.before_database()
        place = [str(self._influxdb.folder), self._influxdb.backup_address]
        return ["env", f"PATH={SERVERS / 'bin'}:{os.environ['PATH']}", "sh", "-c", script, "sh", *place]

    def running(self) -> list[str]:
        """The processes that live."""
        return [server.name for server in [self._influxdb, *self._others] if server.running]

    def stop(self) -> None:
        """Ends them."""
        for server in [*self._others, self._influxdb]:
            server.stop()

    def start_database(self) -> None:
        """Starts InfluxDB."""
        self._influxdb.start()


class ProcessDevice(Device):
    """The same site as `fanwatch status` and `fanwatch doctor` see a device.

    Args:
        influxdb: The database.
        broker: The broker.
        servers: Every server, by the name of its service.
        places: What lies where, for the disks.
    """

    def __init__(
        self,
        influxdb: InfluxDB,
        broker: Mosquitto,
        servers: dict[str, ServerProcess],
        places: dict[str, Path] | None = None,
    ) -> None:
        self.folder = REPOSITORY
        self._influxdb = influxdb
        self._broker = broker
        self._servers = servers
        self._places = places or {}
        self.ports: list[tuple[str, str, int]] = []

    def services(self) -> tuple[Service, ...]:
        """The processes, as if they were containers."""
        return tuple(
            Service(name, "running") if server.running else Service(name, "exited", exit_code=137)
            for name, server in self._servers.items()
        )

    def figures_command(self, *, write: bool) -> list[str]:
        """The program that the history service's container runs."""
        environment = {
            "PYTHONPATH": str(REPOSITORY),
            "FANWATCH_INFLUXDB_URL": self._influxdb.url,
            "FANWATCH_SECRETS_DIR": str(self._influxdb.site.secrets_of("history")),
        }
        options = ["--write"] if write else []
        program = [sys.executable, "-m", "edge_manager.device_health.figures", *options]
        return ["env", *(f"{name}={value}" for name, value in environment.items()), *program]

    def broker_command(self) -> list[str]:
        """The program that runs in the broker's container."""
        options = self._broker.site.secrets_of("mosquitto") / "probe_options"
        return subscriber(str(server_binary("mosquitto_sub")), self._broker.port, str(options))

    def disks(self) -> tuple[Disk, ...]:
        """Those of the places."""
        found = (disk_of(path, what) for what, path in self._places.items())
        return tuple(disk for disk in found if disk is not None)

    def published(self) -> list[tuple[str, str, int]]:
        """Those that the test names."""
        return self.ports
