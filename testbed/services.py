"""Our own services as processes of this machine, on the real broker of a site."""

import signal
import sys

import psutil
import requests

from testbed.mosquitto import Mosquitto
from testbed.ports import free_port
from testbed.process import REPOSITORY, ServerProcess
from testbed.site import Site
from testbed.waiting import port_answers


class ForkingProcess(ServerProcess):
    """A service under gunicorn: what happens to it happens to its workers too."""

    def kill(self) -> None:
        """Ends it and its workers without warning; a worker alone would go on serving for a while."""
        workers = self._workers()
        super().kill()
        for worker in workers:
            worker.kill()
        psutil.wait_procs(workers, timeout=10)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to it and its workers."""
        super().send(number)
        for worker in self._workers():
            worker.send_signal(number)

    def _workers(self) -> list[psutil.Process]:
        return psutil.Process(self.pid).children(recursive=True)


class Inference(ForkingProcess):
    """The scoring service with the committed model.

    Args:
        site: Where it keeps its log.
        settings: FANWATCH_ variables that differ from the defaults, without the prefix.
        name: Another than "inference" for a second one on the same site.
    """

    def __init__(
        self, site: Site, settings: dict[str, str] | None = None, *, name: str = "inference"
    ) -> None:
        super().__init__(name, site.folder / name)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = {"MODELS_DIR": str(REPOSITORY / "models")} | (settings or {})

    def command(self) -> list[str]:
        """The service."""
        return [sys.executable, "-m", "inference"]

    def environment(self) -> dict[str, str]:
        """Its settings."""
        settings = self._settings | {"LISTEN_PORT": str(self.port)}
        return {"PYTHONPATH": str(REPOSITORY)} | {
            f"FANWATCH_{name}": value for name, value in settings.items()
        }

    def is_ready(self) -> bool:
        """Whether a model is loaded and has scored a row."""
        return requests.get(f"{self.url}/v2/health/ready", timeout=2).ok


class Predictor(ServerProcess):
    """A predictor between a broker and a scoring service.

    Args:
        mosquitto: The broker, whose site has the predictor's password.
        inference_url: The scoring service.
        settings: FANWATCH_ variables that differ from the defaults, without the prefix.
        port: Of /health and /metrics; a free one unless given.
    """

    def __init__(
        self,
        mosquitto: Mosquitto,
        inference_url: str,
        settings: dict[str, str] | None = None,
        *,
        port: int | None = None,
    ) -> None:
        name = (settings or {}).get("CLIENT_ID", "predictor")
        super().__init__(name, mosquitto.site.folder / name)
        self.health_port = free_port() if port is None else port
        self.health_url = f"http://127.0.0.1:{self.health_port}"
        self._settings = {
            "MQTT_HOST": mosquitto.host,
            "MQTT_PORT": str(mosquitto.port),
            "MQTT_USERNAME": "predictor",
            "INFERENCE_URL": inference_url,
            "SECRETS_DIR": str(mosquitto.site.secrets_of("predictor")),
        } | (settings or {})

    def command(self) -> list[str]:
        """The service."""
        return [sys.executable, "-m", "predictor"]

    def environment(self) -> dict[str, str]:
        """Its settings."""
        settings = self._settings | {"LISTEN_PORT": str(self.health_port)}
        return {"PYTHONPATH": str(REPOSITORY)} | {
            f"FANWATCH_{name}": value for name, value in settings.items()
        }

    def is_ready(self) -> bool:
        """Whether it has its connection to the broker."""
        return self.metric("fanwatch_predictor_connected") == 1

    def metric(self, name: str) -> float:
        """A figure of its /metrics: the sum over its labels."""
        lines = requests.get(f"{self.health_url}/metrics", timeout=2).text.splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name
        )

    def complaint(self) -> str | None:
        """What its health check complains of; None when it is well."""
        answer: str | None = requests.get(f"{self.health_url}/health", timeout=2).json()["complaint"]
        return answer


class Monitor(ForkingProcess):
    """The monitor with its live page.

    Args:
        mosquitto: The broker, whose site has the monitor's password.
        inference_url: The scoring service, which states the units.
    """

    def __init__(self, mosquitto: Mosquitto, inference_url: str) -> None:
        super().__init__("monitor", mosquitto.site.folder / "monitor")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = {
            "MQTT_HOST": mosquitto.host,
            "MQTT_PORT": str(mosquitto.port),
            "MQTT_USERNAME": "monitor",
            "INFERENCE_URL": inference_url,
            "LISTEN_PORT": str(self.port),
            "SECRETS_DIR": str(mosquitto.site.secrets_of("monitor")),
            # Else every monitor of this machine would know what the others were told.
            "ALARM_FILE": str(self.folder / "alarms.sqlite3"),
            "ACCOUNT_FILE": str(self.folder / "accounts.sqlite3"),
        }

    def command(self) -> list[str]:
        """The service."""
        return [sys.executable, "-m", "monitor"]

    def environment(self) -> dict[str, str]:
        """Its settings."""
        return {"PYTHONPATH": str(REPOSITORY)} | {
            f"FANWATCH_{name}": value for name, value in self._settings.items()
        }

    def is_ready(self) -> bool:
        """Whether it says that it works."""
        return requests.get(f"{self.url}/health", timeout=5).ok


class Simulator(ServerProcess):
    """Simulated fans at a broker, named 1, 2, 3...; all run well until they are told otherwise.

    Args:
        mosquitto: The broker, whose site has the simulator's password.
        fans: How many.
        rate: Readings a second of each.
        seed: The same seed gives each fan the same readings.
    """

    def __init__(self, mosquitto: Mosquitto, *, fans: int, rate: float, seed: int) -> None:
        super().__init__("simulator", mosquitto.site.folder / "simulator")
        self._mosquitto = mosquitto
        self._port = free_port()
        self._options = ["--fans", str(fans), "--rate", f"{rate:g}", "--seed", str(seed)]

    def command(self) -> list[str]:
        """The fans."""
        return [sys.executable, "-m", "simulator", "simulate", *self._options]

    def environment(self) -> dict[str, str]:
        """Its settings."""
        return {
            "PYTHONPATH": str(REPOSITORY),
            "FANWATCH_MQTT_HOST": self._mosquitto.host,
            "FANWATCH_MQTT_PORT": str(self._mosquitto.port),
            "FANWATCH_MQTT_USERNAME": "simulator",
            "FANWATCH_SECRETS_DIR": str(self._mosquitto.site.secrets_of("simulator")),
            "FANWATCH_LISTEN_PORT": str(self._port),
        }

    def is_ready(self) -> bool:
        """Whether it runs."""
        return port_answers(self._port)
