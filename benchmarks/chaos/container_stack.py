"""The stack in containers: docker-compose.yml as it ships, on a Docker engine of this machine."""

import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import psutil

from benchmarks.chaos.flow import BrokerAddress
from benchmarks.chaos.stack import LeftOut, Part
from edge_manager.site.credentials import CREDENTIALS
from testbed.containers import BIND, Stack, docker, kill
from testbed.fault_proxy import FaultProxy
from testbed.influxdb import ask
from testbed.small_volume import SmallVolume
from testbed.waiting import port_answers, wait_until

MEGABYTE = 1024 * 1024
_MQTT_PORT = 1883
_BACK_WITHIN_S = 120
"""Compose waits longer before each restart of a container that ends again and again, up to a minute."""
_FORGIVEN_AFTER_S = 10
"""A container that has run so long is started again at once when it ends (moby, restartmanager: the wait starts over).
One that is killed sooner is kept down longer each time, which would make a long outage of many short ones."""
_METRICS_URLS = {
    Part.PREDICTOR: "http://predictor:9101/metrics",
    Part.INFERENCE: "http://inference:8000/metrics",
}


class ContainerStack:
    """Started on entry, thrown away with its volumes on exit. What is killed, the engine starts again by itself."""

    kind = "containers"
    broker_volume: SmallVolume | None = None

    def __init__(self) -> None:
        self._stack = Stack()
        self._passwords: dict[str, str] = {}
        self._killed: dict[Part, int] = {}
        self._away: set[Part] = set()

    def kill(self, part: Part) -> None:
        """SIGKILL to its first process, with which the container ends."""
        self._killed[part] = process = wait_until(
            lambda: self.process_of(part), within_s=_BACK_WITHIN_S, what=f"{part} to run"
        )
        kill(process)

    def take_away(self, part: Part) -> None:
        """SIGKILL by the engine, which leaves it down then whatever its restart policy is."""
        self._away.add(part)
        self._stack.compose("kill", part)

    def start(self, part: Part, *, wait: bool = True) -> None:
        """Wait until the engine has it running again; a broker also until it answers."""
        if part is Part.SECOND_PREDICTOR:
            raise LeftOut("docker-compose.yml starts one predictor")
        if part in self._away:
            self._away.remove(part)
            self._stack.compose("start", part)
        if not wait:
            return
        ended = self._killed.get(part)
        wait_until(
            lambda: self.process_of(part) not in {None, ended},
            within_s=_BACK_WITHIN_S,
            what=f"{part} to run again",
        )
        if part is Part.MOSQUITTO:
            wait_until(
                lambda: port_answers(_MQTT_PORT, BIND), within_s=_BACK_WITHIN_S, what="the broker to answer"
            )
        if ended is not None:
            wait_until(
                lambda: self._runs_for_s(part) > _FORGIVEN_AFTER_S,
                within_s=_BACK_WITHIN_S,
                what=f"{part} to run for {_FORGIVEN_AFTER_S} s",
            )

    def hang(self, part: Part) -> None:
        """The engine freezes every process of it."""
        self._stack.compose("pause", part)

    def resume(self, part: Part) -> None:
        """The engine lets it go on."""
        self._stack.compose("unpause", part)

    def check_broker(self) -> None:
        """The engine runs the health check by itself."""

    def process_of(self, part: Part) -> int | None:
        """The process id of its first process, as the machine counts it."""
        state = self._state(part)
        return int(state["Pid"]) if state["Running"] else None

    def memory_mib(self, part: Part) -> float:
        """Resident memory with the workers'; the engine runs on this machine."""
        first = psutil.Process(self._state(part)["Pid"])
        return sum(p.memory_info().rss for p in [first, *first.children(recursive=True)]) / MEGABYTE

    def broker(self, user: str) -> BrokerAddress:
        """The published port."""
        return BrokerAddress(BIND, _MQTT_PORT, user, self._passwords[f"mqtt-{user}"])

    def query(self, statement: str, *, user: str = "grafana") -> list[dict[str, Any]]:
        """By the address of the container: a process in a container for each question would take seconds."""
        return ask(
            f"http://{self._address('influxdb')}:8086",
            statement,
            (user, self._passwords[f"influxdb-{user}"]),
        )

    def metric(self, part: Part, name: str) -> float:
        """Ask from Telegraf's container, which reaches every service."""
        lines = self._stack.execute("telegraf", "curl", "-fsS", _METRICS_URLS[part]).stdout.splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name
        )

    def scoring_url(self) -> str:
        """By the address of the container, which this machine reaches though no port is published."""
        return f"http://{self._address('inference')}:8000"

    def predictor_behind_a_proxy(self) -> AbstractContextManager[FaultProxy]:
        """There is no way to put one there without changing docker-compose.yml."""
        raise LeftOut("a proxy between containers would need another docker-compose.yml")

    @contextmanager
    def another_telegraf_password(self) -> Iterator[None]:
        """As an operator rotates it in the database alone."""
        self._set_telegraf_password("rotated")
        try:
            yield
        finally:
            self._set_telegraf_password(self._passwords["influxdb-telegraf"])

    def __enter__(self) -> Self:
        """Build and start everything, but no simulated fans.

        Raises:
            LeftOut: No Docker engine answers.
        """
        if not engine_answers():
            raise LeftOut("no Docker engine answers")
        self._stack.down("--volumes")  # what an interrupted run left
        self._stack.compose("build", "--quiet", *self._stack.services, timeout_s=1200)
        try:
            self._stack.up("--scale", "simulator=0")
            self._passwords = dict(zip(CREDENTIALS, self._stack.passwords(*CREDENTIALS), strict=True))
        except BaseException:
            self._stack.down("--volumes")
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.down("--volumes")

    def _address(self, service: str) -> str:
        networks = self._stack.containers()[service]["NetworkSettings"]["Networks"]
        [address] = [network["IPAddress"] for network in networks.values()]
        if not address:
            raise ConnectionRefusedError(f"{service} does not run, so it has no address")
        return str(address)

    def _state(self, part: Part) -> dict[str, Any]:
        if part is Part.SECOND_PREDICTOR:
            raise LeftOut("docker-compose.yml starts one predictor")
        state: dict[str, Any] = self._stack.containers()[part]["State"]
        return state

    def _runs_for_s(self, part: Part) -> float:
        state = self._state(part)
        if not state["Running"]:
            return 0
        return (datetime.now(UTC) - datetime.fromisoformat(state["StartedAt"])).total_seconds()

    def _set_telegraf_password(self, password: str) -> None:
        statement = f"q=SET PASSWORD FOR \"telegraf\" = '{password}'"
        admin = f"admin:{self._passwords['influxdb-admin']}"
        url = "http://influxdb:8086/query"
        self._stack.execute("telegraf", "curl", "-fsS", "-u", admin, "--data-urlencode", statement, url)


def engine_answers() -> bool:
    """Whether a Docker engine is there, and the images that a stack of it starts from."""
    try:
        return docker("image", "inspect", "python:3.13-slim", check=False, timeout_s=30).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
