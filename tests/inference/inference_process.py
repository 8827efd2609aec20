"""``python -m inference`` as a process, on a port of its own choice."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class ServiceProcess:
    """``python -m inference`` on a port of its own choice."""

    process: subprocess.Popen[str]
    address: str

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def await_event(self, event: str, times: int = 1) -> list[dict[str, Any]]:
        """Read the log until the event has come so often."""
        assert self.process.stdout is not None
        seen = []
        for line in self.process.stdout:
            entry = json.loads(line)
            if entry["event"] == event:
                seen.append(entry)
            if len(seen) == times:
                return seen
        raise AssertionError(f"the service ended (exit code {self.process.wait()}) before {event}")


def environment(**settings: object) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FANWATCH_")}
    return kept | {f"FANWATCH_{key.upper()}": str(value) for key, value in settings.items()}


@contextmanager
def running(**settings: object) -> Iterator[ServiceProcess]:
    """Start the service, wait until it listens, stop it at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "inference"],
        env=environment(**({"listen_port": 0} | settings)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        service = ServiceProcess(process, "")
        try:
            service.address = service.await_event("inference_started")[0]["address"]
            yield service
        finally:
            process.terminate()
            process.wait(30)
