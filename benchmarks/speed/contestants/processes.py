"""Starting the contestants and their broker, by the testbed's way of starting servers."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from testbed.mosquitto import Mosquitto
from testbed.ports import free_port
from testbed.process import REPOSITORY, ServerProcess, server_binary
from testbed.services import Inference, Predictor
from testbed.site import Site
from testbed.waiting import port_answers

HERE = Path(__file__).parent
MODEL_FILE = REPOSITORY / "models" / "fan" / "model.keras"

BROKER_CONFIGURATION = """\
listener 1883
allow_anonymous true
max_inflight_messages 1000
max_queued_messages 0
set_tcp_nodelay true
log_type error
"""
"""No persistence: the disk would be measured instead of the contestants. Every contestant has this broker."""


@dataclass(frozen=True)
class Usage:
    """What the processes of a contestant have used: seconds of CPU and MiB of resident memory, by process."""

    cpu_s: dict[str, float]
    memory_mib: dict[str, float]


@dataclass(frozen=True)
class Contestant:
    """Something that carries messages from fan/messages to fan/anomaly.

    Attributes:
        name: As the report calls it.
        servers: Its processes, by what they do.
        predictors: Those of this project, which know more of themselves.
    """

    name: str
    servers: dict[str, ServerProcess]
    predictors: list[Predictor] = field(default_factory=list)

    def usage(self) -> Usage:
        """What has been used so far, children included."""
        families = {name: _family(server.pid) for name, server in self.servers.items()}
        memory = {name: sum(p.memory_info().rss for p in family) / 2**20 for name, family in families.items()}
        # Its bound is for a worker; the arbiter beside it shares most of its pages.
        if "inference" in families:
            memory["inference worker"] = max(p.memory_info().rss for p in families["inference"]) / 2**20
        return Usage(
            {name: sum(sum(p.cpu_times()[:2]) for p in family) for name, family in families.items()}, memory
        )


Start = Callable[[Mosquitto, str], AbstractContextManager[Contestant]]
"""Starts a contestant at a broker; the text is a prefix for the folders of its logs."""


def broker(folder: Path, configuration: str = BROKER_CONFIGURATION) -> Mosquitto:
    """The broker that every contestant gets, anew each time."""
    return Mosquitto(Site(folder), configuration)


class _Program(ServerProcess):
    """A contestant that is one program."""

    def __init__(
        self, name: str, folder: Path, command: list[str], environment: dict[str, str], says: str
    ) -> None:
        super().__init__(name, folder)
        self._command, self._environment, self._says = command, environment, says

    def command(self) -> list[str]:
        """As given."""
        return self._command

    def environment(self) -> dict[str, str]:
        """As given, and where our modules lie."""
        return {"PYTHONPATH": str(REPOSITORY)} | self._environment

    def is_ready(self) -> bool:
        """Whether it has said that it is."""
        return self._says in self.log(last=1_000_000)

    def wait_ready(self, within_s: float = 90) -> None:
        """TensorFlow takes its time."""
        super().wait_ready(within_s)

    def stop(self) -> None:
        """With what it started."""
        children = _family(self.pid)[1:] if self.running else []
        super().stop()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.terminate()
        psutil.wait_procs(children, timeout=10)


class _PortProgram(_Program):
    """One that serves a port."""

    def is_ready(self) -> bool:
        """Whether the port answers."""
        return port_answers(int(self._says))


class SlowInference(Inference):
    """The scoring service on TensorFlow, which takes ten seconds to import."""

    def wait_ready(self, within_s: float = 120) -> None:
        """Until the model has scored a row."""
        super().wait_ready(within_s)


@contextlib.contextmanager
def fanwatch(
    mosquitto: Mosquitto,
    name: str = "this project",
    *,
    runtime: str = "litert",
    predictors: int = 1,
    settings: dict[str, str] | None = None,
) -> Iterator[Contestant]:
    """This project: predictors in one shared subscription, and one scoring service."""
    with contextlib.ExitStack() as stack:
        settings = {"RUNTIME": runtime} | (settings or {})
        inference = stack.enter_context(SlowInference(mosquitto.site, settings))
        members = [
            stack.enter_context(
                Predictor(mosquitto, inference.url, {"CLIENT_ID": f"predictor-{number}"} | settings)
            )
            for number in range(1, predictors + 1)
        ]
        names = ["predictor"] if predictors == 1 else [member.name for member in members]
        yield Contestant(
            name, {**dict(zip(names, members, strict=True)), "inference": inference}, predictors=members
        )


def this_project(mosquitto: Mosquitto, name: str) -> AbstractContextManager[Contestant]:
    """With LiteRT."""
    return fanwatch(mosquitto, name)


def this_project_on_tensorflow(mosquitto: Mosquitto, name: str) -> AbstractContextManager[Contestant]:
    """With TensorFlow."""
    return fanwatch(mosquitto, name, runtime="tensorflow")


@contextlib.contextmanager
def _program(
    mosquitto: Mosquitto,
    name: str,
    command: list[str],
    says: str = "subscribed",
    environment: dict[str, str] | None = None,
) -> Iterator[Contestant]:
    folder = mosquitto.site.folder / name.replace(" ", "-")
    with _Program("program", folder, command, environment or {}, says) as process:
        yield Contestant(name, {name: process})


def relay(mosquitto: Mosquitto, name: str) -> AbstractContextManager[Contestant]:
    """The no-op paho relay."""
    return _program(mosquitto, name, _module("relay", str(mosquitto.port)))


def linkedge(mosquitto: Mosquitto, name: str) -> AbstractContextManager[Contestant]:
    """LinkEdge's way."""
    return _program(mosquitto, name, _module("linkedge", str(mosquitto.port), str(MODEL_FILE)))


@contextlib.contextmanager
def article(mosquitto: Mosquitto, name: str) -> Iterator[Contestant]:
    """The article's way."""
    port = free_port()
    folder = mosquitto.site.folder / "article"
    service = _PortProgram(
        "service", folder, _module("article_service", str(port), str(MODEL_FILE)), {}, str(port)
    )
    predictor = _Program(
        "predictor", folder, _module("article_predictor", str(mosquitto.port), str(port)), {}, "subscribed"
    )
    with service, predictor:
        yield Contestant(name, {"predictor": predictor, "service": service})


def c_relay(mosquitto: Mosquitto, name: str) -> AbstractContextManager[Contestant]:
    """Mosquitto's own clients, one into the other, as a shell joins them."""
    at = f"-p {mosquitto.port} -V 5 -q 1"
    subscribe = f"{server_binary('mosquitto_sub')} {at} -t 'fan/messages/#'"
    publish = f"{server_binary('mosquitto_pub')} {at} -t fan/anomaly -l"
    # It says nothing when it has subscribed: the warm-up, which counts nothing, is repeated until something comes out.
    return _program(mosquitto, name, ["sh", "-c", f"echo subscribed; {subscribe} | {publish}"])


def telegraf(mosquitto: Mosquitto, name: str) -> AbstractContextManager[Contestant]:
    """Telegraf's mqtt_consumer into its mqtt output."""
    command = [
        str(server_binary("telegraf")),
        "--config",
        str(HERE / "telegraf.conf"),
        "--strict-env-handling",
    ]
    return _program(mosquitto, name, command, "Connected [tcp://", {"BROKER_PORT": str(mosquitto.port)})


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.speed.contestants.{name}", *arguments]


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


RELAY = "paho relay, no model"
THIS_PROJECT = "this project (LiteRT)"
CONTESTANTS: dict[str, Start] = {
    RELAY: relay,
    THIS_PROJECT: this_project,
    "this project (TensorFlow)": this_project_on_tensorflow,
    "the article's way": article,
    "LinkEdge's way": linkedge,
    "relay of two C clients": c_relay,
    "Telegraf as relay": telegraf,
}
"""The relay comes first in each round: the ratios are to it."""
