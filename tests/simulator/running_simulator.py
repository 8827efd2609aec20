"""``python -m simulator`` as a process of the tests."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from testbed.mosquitto import Mosquitto
from testbed.ports import free_port
from testbed.waiting import wait_until

STOP_WITHIN_S = 20


class RunningSimulator:
    """A simulator that signs in at a broker of the tests."""

    def __init__(self, broker: Mosquitto, folder: Path, *options: str, client_id: str = "simulator") -> None:
        self.metrics_port = free_port()
        self.log_file = folder / f"{client_id}.log"
        environment = os.environ | {
            "FANWATCH_MQTT_HOST": broker.host,
            "FANWATCH_MQTT_PORT": str(broker.port),
            "FANWATCH_MQTT_USERNAME": "simulator",
            "FANWATCH_SECRETS_DIR": str(broker.site.secrets_of("simulator")),
            "FANWATCH_CLIENT_ID": client_id,
            "FANWATCH_LISTEN_PORT": str(self.metrics_port),
        }
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "simulator", *options],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def metric(self, name: str) -> float:
        """One of its metrics, by its name after ``fanwatch_simulator_``."""
        with urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        return next(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"fanwatch_simulator_{name}"
        )

    def wait_acknowledged(self, count: int, *, within_s: float = 60) -> None:
        """Waits until the broker has acknowledged so many readings."""
        wait_until(
            lambda: self.metric("readings_acknowledged_total") >= count,
            within_s=within_s,
            what=f"{count} acknowledged readings",
        )

    def stop(self) -> int:
        """Ends it as an operator does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_WITHIN_S)

    def log(self) -> str:
        """What it has logged."""
        return self.log_file.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
