"""The scoring service alone, with one worker, in the two forms in which it is run."""

import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from testbed.containers import BIND, PROJECT, docker
from testbed.services import Inference
from testbed.site import Site
from testbed.waiting import wait_until

__all__ = ["FORMS", "Service", "layers"]

IMAGE = f"{PROJECT}-inference"
_READY_WITHIN_S = 60
_BASE = "python:3.13-slim"


@dataclass(frozen=True)
class Service:
    """A scoring service that answers.

    Attributes:
        host: Where it listens.
        port: Likewise.
        first_process: Its process id, as this machine counts; the workers are its children.
        ready_s: Seconds from the command that started it until it was ready.
    """

    host: str
    port: int
    first_process: int
    ready_s: float

    def family(self) -> list[psutil.Process]:
        """Its processes."""
        first = psutil.Process(self.first_process)
        return [first, *first.children(recursive=True)]

    def cpu_s(self) -> float:
        """Seconds of CPU that its processes have used."""
        return float(sum(sum(process.cpu_times()[:2]) for process in self.family()))

    def memory_mb(self) -> float:
        """Its proportional memory in MB: what processes share is counted once. Another user's needs root."""
        return float(sum(process.memory_full_info().pss for process in self.family()) / 1e6)


@contextmanager
def process() -> Iterator[Service]:
    """As a process of this machine."""
    with tempfile.TemporaryDirectory(prefix="fanwatch-bench-") as folder:
        service = Inference(Site(Path(folder)), {"WORKERS": "1"})
        began = time.monotonic()
        with service:
            yield Service("127.0.0.1", service.port, service.pid, time.monotonic() - began)


@contextmanager
def container() -> Iterator[Service]:
    """In the image of inference/Dockerfile, closed as docker-compose.yml closes it.

    Raises:
        AssertionError: docker failed, with its output.
    """
    _build()
    closed = (
        "--read-only",
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        "--pids-limit",
        "100",
    )
    limits = ("--memory", "384m", "--tmpfs", "/tmp:size=16m,mode=1777,noexec,nosuid,nodev")
    settings = ("FANWATCH_LISTEN_HOST=0.0.0.0", "FANWATCH_MODELS_DIR=/app/models", "FANWATCH_WORKERS=1")
    began = time.monotonic()
    name = docker(
        *("run", "--detach", "--publish", f"{BIND}::8000", *closed, *limits),
        *(part for setting in settings for part in ("--env", setting)),
        IMAGE,
    ).stdout.strip()
    try:
        port = int(docker("port", name, "8000/tcp").stdout.split()[0].rsplit(":", 1)[1])
        _await_ready(f"http://{BIND}:{port}")
        first = int(docker("inspect", "--format", "{{.State.Pid}}", name).stdout)
        yield Service(BIND, port, first, time.monotonic() - began)
    finally:
        docker("rm", "--force", name)


FORMS: dict[str, Callable[[], AbstractContextManager[Service]]] = {"process": process, "container": container}


def layers() -> dict[str, int]:
    """Bytes of what a site loads anew: with another line of code, and with other libraries.

    Raises:
        RuntimeError: The image has no such layer.
    """
    _build()
    listed = docker("history", "--no-trunc", "--human=false", "--format", "{{json .}}", IMAGE).stdout
    copied = [entry for line in listed.splitlines() if "COPY" in (entry := json.loads(line))["CreatedBy"]]
    return {
        "code_bytes": _size(copied, r"(COPY|in) /app( |$)"),
        "libraries_bytes": _size(copied, r"(COPY|in) /opt/venv( |$)"),
    }


def _size(copied: list[dict[str, str]], place: str) -> int:
    sizes = [int(entry["Size"]) for entry in copied if re.search(place, entry["CreatedBy"])]
    if len(sizes) != 1:
        raise RuntimeError(
            f"expected one layer of {IMAGE} that matches {place!r}, found {len(sizes)}: {copied}"
        )
    return sizes[0]


def _build() -> None:
    stand_in = docker(
        "image", "inspect", "--format", '{{index .Config.Labels "fanwatch.stand-in"}}', _BASE, check=False
    ).stdout.strip()
    # On a stand-in the older builder: BuildKit would ask the registry about it, as in tests/compose/run.sh.
    if stand_in:
        os.environ["DOCKER_BUILDKIT"] = "0"
    docker("build", "--file", "inference/Dockerfile", "--tag", IMAGE, ".", timeout_s=1800)


def _await_ready(url: str) -> None:
    def ready() -> bool:
        try:
            return requests.get(f"{url}/v2/health/ready", timeout=2).ok
        except requests.RequestException:
            return False

    wait_until(ready, within_s=_READY_WITHIN_S, what="the scoring service in its container")
