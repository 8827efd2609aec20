"""The contestants and their broker as processes on free loopback ports."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

_REPOSITORY = Path(__file__).resolve().parents[1]
_START_S = 30

_BROKER_CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
max_inflight_messages 1000
max_queued_messages 0
set_tcp_nodelay true
log_type error
"""
"""No persistence: the disk would be measured instead of the contestants. Every contestant has this broker."""


class BenchmarkError(RuntimeError):
    """The benchmark cannot run here, or a contestant failed; with what to do."""


@dataclass(frozen=True)
class Contestant:
    """Something that carries messages from fan/messages to fan/anomaly."""

    name: str
    processes: dict[str, psutil.Process]

    def memory_mib(self) -> dict[str, float]:
        """Resident memory of each process with its children, MiB."""
        return {
            name: sum(p.memory_info().rss for p in [process, *process.children(recursive=True)]) / 2**20
            for name, process in self.processes.items()
        }

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time that each process with its children has used so far, seconds."""
        return {
            name: sum(
                p.cpu_times().user + p.cpu_times().system
                for p in [process, *process.children(recursive=True)]
            )
            for name, process in self.processes.items()
        }


def program(name: str) -> str:
    """Find a program of Mosquitto's.

    Raises:
        BenchmarkError: It is not installed.
    """
    built = _REPOSITORY / ".cache" / "servers" / "bin" / name
    found = (
        str(built) if built.exists() else shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    )
    if found is None:
        raise BenchmarkError(f"{name} is missing: run `make servers`")
    return found


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Run Mosquitto; gives its port."""
    port = free_port()
    configuration = folder / f"mosquitto-{port}.conf"
    configuration.write_text(_BROKER_CONFIGURATION.format(port=port))
    with _running([program("mosquitto"), "-c", str(configuration)], folder / "mosquitto.log", {}):
        _until_port_answers(port)
        yield port


@contextlib.contextmanager
def fanwatch(port: int, folder: Path, runtime: str = "litert") -> Iterator[Contestant]:
    """Run this project's predictor and scoring service."""
    inference_port, health_port = free_port(), free_port()
    settings = {
        "FANWATCH_MQTT_PORT": str(port),
        "FANWATCH_RUNTIME": runtime,
        "FANWATCH_MODELS_DIR": str(_REPOSITORY / "models"),
        "FANWATCH_INFERENCE_URL": f"http://127.0.0.1:{inference_port}",
    }
    with contextlib.ExitStack() as stack:
        inference = stack.enter_context(
            _running(
                [sys.executable, "-m", "inference"],
                folder / "inference.log",
                {**settings, "FANWATCH_LISTEN_PORT": str(inference_port)},
            )
        )
        _until_ok(f"http://127.0.0.1:{inference_port}/v2/health/ready")
        predictor = stack.enter_context(
            _running(
                [sys.executable, "-m", "predictor"],
                folder / "predictor.log",
                {**settings, "FANWATCH_LISTEN_PORT": str(health_port)},
            )
        )
        _until_contains(f"http://127.0.0.1:{health_port}/metrics", "fanwatch_predictor_connected 1.0")
        yield Contestant(f"fanwatch ({runtime})", {"predictor": predictor, "inference": inference})


@contextlib.contextmanager
def relay(port: int, folder: Path) -> Iterator[Contestant]:
    """Run the no-op relay."""
    command = [sys.executable, "-m", "benchmarks.relay", str(port)]
    log = folder / "relay.log"
    log.unlink(missing_ok=True)
    with _running(command, log, {}) as process:
        _until(lambda: "subscribed" in log.read_text(), "the relay to subscribe")
        yield Contestant("relay without a model", {"relay": process})


@contextlib.contextmanager
def _running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[psutil.Process]:
    with log.open("ab") as output:
        process = psutil.Popen(
            command,
            cwd=_REPOSITORY,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
        if process.poll() is not None:
            raise BenchmarkError(f"{' '.join(command)} ended by itself; see {log}")
    finally:
        process.terminate()
        try:
            process.wait(15)
        except psutil.TimeoutExpired:
            process.kill()


def _until_port_answers(port: int) -> None:
    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    _until(answers, f"port {port} to answer")


def _until_ok(url: str) -> None:
    def ok() -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(url, timeout=2).ok
        return False

    _until(ok, url)


def _until_contains(url: str, text: str) -> None:
    def contains() -> bool:
        with contextlib.suppress(requests.RequestException):
            return text in requests.get(url, timeout=2).text
        return False

    _until(contains, f"{text!r} at {url}")


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _START_S
    while not condition():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"waited {_START_S} s in vain for {what}")
        time.sleep(0.05)
