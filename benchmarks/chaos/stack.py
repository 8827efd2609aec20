"""The stack under test, as a case sees it: parts that can be killed, hung and started, and ways to look inside."""

from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Any, Protocol

from benchmarks.chaos.flow import BrokerAddress
from testbed.fault_proxy import FaultProxy
from testbed.small_volume import SmallVolume


class Part(StrEnum):
    """A service of docker-compose.yml that readings depend on."""

    MOSQUITTO = "mosquitto"
    PREDICTOR = "predictor"
    INFERENCE = "inference"
    MONITOR = "monitor"
    TELEGRAF = "telegraf"
    INFLUXDB = "influxdb"
    SECOND_PREDICTOR = "predictor-2"
    """Runs only where a case starts it."""


PARTS = tuple(part for part in Part if part is not Part.SECOND_PREDICTOR)
"""What a stack consists of."""


class LeftOut(Exception):  # noqa: N818 - it says what happens to a case
    """A case cannot run here; with what is missing."""


class Stack(Protocol):
    """Processes of this machine, or the containers of docker-compose.yml."""

    kind: str
    """What ran, for the report."""
    broker_volume: SmallVolume | None
    """The broker's data on a volume that can be filled; None where it lies on the machine's disk."""

    def kill(self, part: Part) -> None:
        """SIGKILL, without warning. What supervises it may start it again at once."""

    def take_away(self, part: Part) -> None:
        """SIGKILL, and nobody but `start` starts it again."""

    def start(self, part: Part, *, wait: bool = True) -> None:
        """Start it again, on the data that it left; wait until it does its work unless told otherwise."""

    def hang(self, part: Part) -> None:
        """Freeze every process of it: connections stay, nothing answers (SIGSTOP)."""

    def resume(self, part: Part) -> None:
        """Let it go on (SIGCONT)."""

    def check_broker(self) -> None:
        """Run the broker's health check, as Compose does every ten seconds; nothing where an engine does it."""

    def process_of(self, part: Part) -> int | None:
        """The process id of its first process; None when it does not run. Another one after each restart."""

    def memory_mib(self, part: Part) -> float:
        """Resident memory of all its processes, MiB."""

    def broker(self, user: str) -> BrokerAddress:
        """Where the broker is, and a user of it with its password."""

    def query(self, statement: str, *, user: str = "grafana") -> list[dict[str, Any]]:
        """The rows of an InfluxQL statement, time in nanoseconds. Raises OSError where InfluxDB does not answer."""

    def metric(self, part: Part, name: str) -> float:
        """A figure of a service's /metrics, summed over its labels."""

    def scoring_url(self) -> str:
        """The scoring service. Raises LeftOut where it cannot be reached from here."""

    def predictor_behind_a_proxy(self) -> AbstractContextManager[FaultProxy]:
        """The predictor reaches the broker through a proxy for as long as the block. Raises LeftOut."""

    def another_telegraf_password(self) -> AbstractContextManager[None]:
        """InfluxDB takes another password of Telegraf's user than Telegraf has, for as long as the block."""
