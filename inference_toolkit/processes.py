"""The services themselves, as processes of this machine: there is no second server here."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from inference_toolkit.errors import ToolkitError
from inference_toolkit.source import Packed

_READY_WITHIN_S = 120  # TensorFlow takes a tenth of it
_STOP_WITHIN_S = 20
_LOOK_S = 0.5

Told = Callable[[Mapping[str, Any]], None]
"""Gets each line of a service's log."""


def quiet(_entry: Mapping[str, Any]) -> None:
    """For who does not look at the log."""


@dataclass(frozen=True)
class Service:
    """A service that runs.

    Attributes:
        process: Its first process.
        url: Where it answers.
    """

    process: "subprocess.Popen[str]"
    url: str

    def memory_mib(self) -> float:
        """Of it and its workers: what is shared between them counts once (proportional set size)."""
        first = psutil.Process(self.process.pid)
        return sum(each.memory_full_info().pss for each in [first, *first.children(recursive=True)]) / 2**20


@contextmanager
def scoring(packed: Packed, *, port: int = 0, told: Told = quiet) -> Iterator[Service]:
    """Run the scoring service with a bundle until the block ends.

    Args:
        packed: The bundle.
        port: On the loopback interface; 0 takes any.
        told: Gets its log.

    Raises:
        ToolkitError: It does not start; with what it says of that.
    """
    settings = {
        "MODELS_DIR": packed.models_dir,
        "MODEL_NAME": packed.manifest.name,
        "MODEL_PUBLIC_KEYS": packed.public_key,
        "ALLOW_HANDLERS": True,
        "LISTEN_PORT": port,
        "PROBATION_S": 0,
    }
    with _running("inference", settings, ready="model_ready", told=told) as (process, seen):
        yield Service(process, f"http://{seen['inference_started']['address']}")


@contextmanager
def predicting(
    service: Service, name: str, broker: tuple[str, int], settings: Mapping[str, object], told: Told = quiet
) -> Iterator[Service]:
    """Run the predictor between a broker and the scoring service until the block ends.

    Args:
        service: The scoring service.
        name: Of the model.
        broker: Host and port.
        settings: More of the predictor's, by name without the prefix.
        told: Gets its log.

    Raises:
        ToolkitError: It does not reach the broker; with what it says of that.
    """
    own = {
        "INFERENCE_URL": service.url,
        "MODEL_NAME": name,
        "MQTT_HOST": broker[0],
        "MQTT_PORT": broker[1],
        "LISTEN_PORT": 0,
    }
    with _running("predictor", own | dict(settings), ready="broker_subscribed", told=told) as (process, _):
        yield Service(process, f"mqtt://{broker[0]}:{broker[1]}")


def wait_for(stop: threading.Event, services: Sequence[Service]) -> None:
    """Wait until told to stop.

    Raises:
        ToolkitError: One of the services has ended by itself.
    """
    while not stop.wait(_LOOK_S):
        if any(each.process.poll() is not None for each in services):
            raise ToolkitError("a service ended by itself; the lines above say why")


@contextmanager
def _running(
    module: str, settings: Mapping[str, object], *, ready: str, told: Told
) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any]]]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FANWATCH_")}
    with subprocess.Popen(  # noqa: S603 - our own program and settings
        [sys.executable, "-m", module],
        env=kept | {f"FANWATCH_{key}": str(value) for key, value in settings.items()},
        cwd=Path(__file__).parents[
            1
        ],  # where `python -m` finds the service, in a clone and where it is installed
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        reader = threading.Thread(target=_read, args=(process, lines, told), daemon=True)
        reader.start()
        try:
            yield process, _await(module, lines, ready)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
            reader.join(_STOP_WITHIN_S)


def _read(
    process: "subprocess.Popen[str]", lines: "queue.SimpleQueue[dict[str, Any] | None]", told: Told
) -> None:
    assert process.stdout is not None  # noqa: S101 - as Popen was told
    for line in process.stdout:
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict) or "event" not in entry:
            entry = {"event": line.strip()}  # a library's own words
        lines.put(entry)
        told(entry)
    lines.put(None)


def _await(module: str, lines: "queue.SimpleQueue[dict[str, Any] | None]", ready: str) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    last, trouble = "it said nothing", ""
    while ready not in seen:
        try:
            entry = lines.get(timeout=_READY_WITHIN_S)
        except queue.Empty:
            raise ToolkitError(
                f"the service {module} is not ready after {_READY_WITHIN_S} s: {trouble or last}"
            ) from None
        if entry is None:
            raise ToolkitError(f"the service {module} ended instead of starting: {trouble or last}")
        last = str(entry["event"]) or last
        seen[last] = entry
        if entry.get("level") in {"error", "warning"}:
            trouble = f"{entry['event']}: {entry.get('error', '')}"
    return seen
