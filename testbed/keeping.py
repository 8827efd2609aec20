"""A site of processes as `fanwatch backup` sees a site: its folders stand for the volumes."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from edge_manager.backup.site_stack import SiteStack
from testbed.influxdb import InfluxDB
from testbed.process import REPOSITORY, SERVERS, ServerProcess


class ProcessStack(SiteStack):
    """The servers of one site.

    Args:
        kept: Holds the folder of each volume: links to where the processes keep their data.
        influxdb: The database; started by a restore.
        others: What else may run.
    """

    def __init__(self, kept: Path, influxdb: InfluxDB, others: list[ServerProcess]) -> None:
        self._kept = kept
        self._influxdb = influxdb
        self._others = others
        self.files: dict[str, Path] = {}
        self.before_database: Callable[[], None] = lambda: None

    def images(self) -> dict[str, str]:
        """There are none."""
        return {}

    def site_files(self) -> dict[str, Path]:
        """Those that the test names."""
        return self.files

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
