"""`python -m monitor` as a process of the tests."""

import sys
import urllib.request
from pathlib import Path

import psutil

from monitor.diagnosis.plant import DEFAULT_PLANT
from testbed.mosquitto import Mosquitto
from testbed.ports import free_port
from testbed.process import REPOSITORY, ServerProcess
from testbed.waiting import wait_until


def plant_file(folder: Path, *, silent_after_s: float) -> str:
    """The plant's file with another patience; an hour of it calls nobody silent, however slow the machine."""
    file = folder / "plant.toml"
    file.write_text(f"{DEFAULT_PLANT.read_text()}\n[quality]\nsilent_after_s = {silent_after_s}\n")
    return str(file)


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
        self._broker = broker
        self._environment = {
            "PYTHONPATH": str(REPOSITORY),
            "FANWATCH_MQTT_HOST": broker.host,
            "FANWATCH_MQTT_PORT": str(broker.port),
            "FANWATCH_MQTT_USERNAME": "monitor",
            "FANWATCH_SECRETS_DIR": str(broker.site.secrets_of("monitor")),
            "FANWATCH_LISTEN_PORT": str(self.port),
            "FANWATCH_INFERENCE_URL": "http://127.0.0.1:1",
            "FANWATCH_ALARM_FILE": str(folder / "alarms.sqlite3"),
            "FANWATCH_ACCOUNT_FILE": str(folder / "accounts.sqlite3"),
            # Most tests look at what is shown; those of the login take this back.
            "FANWATCH_PUBLIC_VIEW": "true",
            **settings,
        }

    @property
    def first_password(self) -> str:
        """Of the page's account `operator`, as setup made it."""
        return (self._broker.site.secrets_of("monitor") / "fanwatch_page_password").read_text()

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

    def kill(self) -> None:
        """Ends it and its worker without warning.

        The master first stands still: seeing its worker gone it would make another, which would live on without it.
        """
        master = psutil.Process(self.pid)
        master.suspend()
        workers = master.children(recursive=True)
        for worker in workers:
            worker.kill()
        super().kill()
        wait_until(lambda: all(map(_has_ended, workers)), within_s=10, what=f"the end of {workers}")

    def is_ready(self) -> bool:
        """Whether it says that it works."""
        with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
            return bool(answer.status == 200)


def _has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more; nobody may be there to bury it."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
