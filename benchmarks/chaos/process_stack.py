"""The stack as processes of this machine (testbed/), without Docker."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from types import TracebackType
from typing import Any, Self

import psutil
import requests

from benchmarks.chaos.flow import BrokerAddress
from benchmarks.chaos.stack import PARTS, LeftOut, Part
from testbed.fault_proxy import FaultProxy
from testbed.influxdb import InfluxDB
from testbed.mosquitto import Mosquitto
from testbed.process import ServerProcess
from testbed.services import Inference, Monitor, Predictor
from testbed.site import Site
from testbed.small_volume import SmallVolume
from testbed.telegraf import Telegraf

MEGABYTE = 1024 * 1024


class ProcessStack:
    """Every part on a loopback port of its own, on the configuration that ships.

    Args:
        folder: Where everything of this stack lies; empty at first.
        broker_volume_mb: The broker's data on a volume of so many megabytes (root only); None leaves it on the disk.
        broker_configuration: Another mosquitto.conf than the shipped one, to see that the check finds what that loses.
    """

    kind = "processes"

    def __init__(
        self, folder: Path, *, broker_volume_mb: int | None = None, broker_configuration: str | None = None
    ) -> None:
        site = Site(folder)
        self._influxdb = InfluxDB(site)
        self._mosquitto = Mosquitto(site, broker_configuration)
        self._inference = Inference(site)
        monitor = Monitor(self._mosquitto, self._inference.url)
        predictor = Predictor(self._mosquitto, self._inference.url)
        self.broker_volume = None
        if broker_volume_mb is not None:
            self.broker_volume = SmallVolume(self._mosquitto.folder / "data", broker_volume_mb)
        telegraf = Telegraf(
            self._mosquitto,
            self._influxdb,
            metrics_urls={
                "predictor": f"{predictor.health_url}/metrics",
                "inference": f"{self._inference.url}/metrics",
                "monitor": f"{monitor.url}/metrics",
            },
            broker_volume=None if self.broker_volume is None else self.broker_volume.folder,
        )
        self._metrics_urls = {
            Part.PREDICTOR: f"{predictor.health_url}/metrics",
            Part.INFERENCE: f"{self._inference.url}/metrics",
        }
        self._processes: dict[Part, ServerProcess] = {
            Part.MOSQUITTO: self._mosquitto,
            Part.INFLUXDB: self._influxdb,
            Part.INFERENCE: self._inference,
            Part.PREDICTOR: predictor,
            Part.MONITOR: monitor,
            Part.TELEGRAF: telegraf,
        }
        self._second = Predictor(
            self._mosquitto, self._inference.url, {"CLIENT_ID": Part.SECOND_PREDICTOR.value}
        )
        self._metrics_urls[Part.SECOND_PREDICTOR] = f"{self._second.health_url}/metrics"
        self._exit = ExitStack()

    def kill(self, part: Part) -> None:
        """SIGKILL."""
        self._process(part).kill()

    def take_away(self, part: Part) -> None:
        """The same: nobody supervises processes."""
        self.kill(part)

    def start(self, part: Part, *, wait: bool = True) -> None:
        """Start it again on its port and data; also one that has ended by itself."""
        process = self._process(part)
        if process.has_ended:
            process.wait_ended()
        process.start(wait=wait)

    def hang(self, part: Part) -> None:
        """SIGSTOP."""
        self._process(part).send(SIGSTOP)

    def resume(self, part: Part) -> None:
        """SIGCONT."""
        self._process(part).send(SIGCONT)

    def check_broker(self) -> None:
        """Run the broker's health check, which Compose runs in a container."""
        if self._mosquitto.running:
            self._mosquitto.check_health()

    def process_of(self, part: Part) -> int | None:
        """The process id of the running server."""
        process = self._process(part)
        return process.pid if process.running else None

    def memory_mib(self, part: Part) -> float:
        """Resident memory with the workers'."""
        first = psutil.Process(self._process(part).pid)
        return sum(p.memory_info().rss for p in [first, *first.children(recursive=True)]) / MEGABYTE

    def broker(self, user: str) -> BrokerAddress:
        """The broker and a user of its site."""
        site = self._mosquitto.site
        return BrokerAddress(self._mosquitto.host, self._mosquitto.port, user, site.mqtt_password(user))

    def query(self, statement: str, *, user: str = "grafana") -> list[dict[str, Any]]:
        """Ask InfluxDB."""
        return self._influxdb.query(statement, user=user)

    def metric(self, part: Part, name: str) -> float:
        """A figure of a service's /metrics, summed over its labels."""
        lines = requests.get(self._metrics_urls[part], timeout=5).text.splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name
        )

    def scoring_url(self) -> str:
        """The scoring service on loopback."""
        return self._inference.url

    @contextmanager
    def predictor_behind_a_proxy(self) -> Iterator[FaultProxy]:
        """The same predictor, its session and its port, with another way to the broker."""
        direct = self._processes[Part.PREDICTOR]
        assert isinstance(direct, Predictor)
        with FaultProxy(self._mosquitto.port) as proxy:
            direct.stop()
            self._processes[Part.PREDICTOR] = behind = Predictor(
                self._mosquitto, self._inference.url, {"MQTT_PORT": str(proxy.port)}, port=direct.health_port
            )
            behind.start()
            try:
                yield proxy
            finally:
                behind.stop()
                self._processes[Part.PREDICTOR] = direct
                direct.start()

    @contextmanager
    def another_telegraf_password(self) -> Iterator[None]:
        """As an operator rotates it in the database alone."""
        own = self._mosquitto.site.influxdb_password("telegraf")
        set_password = "SET PASSWORD FOR \"telegraf\" = '{}'"
        self.query(set_password.format("rotated"), user="admin")
        try:
            yield
        finally:
            self.query(set_password.format(own), user="admin")

    def __enter__(self) -> Self:
        """Start everything.

        Raises:
            LeftOut: A small volume is asked for and cannot be mounted.
        """
        with ExitStack() as starting:
            if self.broker_volume is not None:
                try:
                    starting.enter_context(self.broker_volume)
                except PermissionError as error:
                    raise LeftOut(str(error)) from None
            starting.callback(self._stop_all)
            for part in (Part.MOSQUITTO, Part.INFLUXDB):
                self.start(part)
            self._influxdb.prepare()
            for part in (Part.INFERENCE, Part.PREDICTOR, Part.MONITOR, Part.TELEGRAF):
                self.start(part, wait=False)
            for part in PARTS:
                self._processes[part].wait_ready()
            self._exit = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def _stop_all(self) -> None:
        for process in (*reversed(self._processes.values()), self._second):
            if process.running:
                process.send(SIGCONT)
                process.kill()

    def _process(self, part: Part) -> ServerProcess:
        return self._second if part is Part.SECOND_PREDICTOR else self._processes[part]
