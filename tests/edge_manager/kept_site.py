"""A whole site of processes, whose data lies in a folder for each volume: what a backup is made of."""

import json
import re
from contextlib import ExitStack
from pathlib import Path

import requests

from contract.alarm import Alarm
from edge_manager.models.versions import ModelVersions
from monitor.diagnosis.plant import DEFAULT_PLANT
from monitor.findings import FindingKind
from testbed.influxdb import InfluxDB
from testbed.keeping import ProcessStack
from testbed.mosquitto import Mosquitto
from testbed.process import ServerProcess
from testbed.services import Inference, Predictor
from testbed.site import Site
from testbed.telegraf import Telegraf
from testbed.waiting import wait_until
from tests.inference.model_versions import Signer
from tests.monitor.monitor_process import MonitorProcess

RULES = json.dumps({kind.value: {"on_delay_s": 0.2, "off_delay_s": 0.2} for kind in FindingKind})


class KeptSite:
    """One site on one machine.

    Args:
        folder: Of the site; empty for a machine that a backup is brought back on.
        signer: Whose models are served.
        site: Its secrets; none yet where they come from a backup.
    """

    def __init__(self, folder: Path, signer: Signer) -> None:
        self.folder = folder
        self.kept = folder / "kept"
        for name in ("monitor", "models", "secrets"):
            (self.kept / name).mkdir(parents=True)
        self.models = ModelVersions(self.kept / "models", "fan")
        self._signer = signer
        self._running = ExitStack()

    def open(self, site: Site) -> None:
        """Makes its servers; they read their secrets when they start.

        Args:
            site: Its secrets; of an empty machine, folders without them.
        """
        self.site = site
        self.broker = Mosquitto(site)
        self.influxdb = InfluxDB(site)
        self.inference = Inference(
            site,
            {"MODELS_DIR": str(self.kept / "models"), "MODEL_PUBLIC_KEYS": str(self._signer.public_key)},
        )
        knowledge = site.folder / "plant.toml"
        knowledge.write_text(f"{DEFAULT_PLANT.read_text()}\n[quality]\nsilent_after_s = 600\n")
        self.predictor = Predictor(self.broker, self.inference.url)
        self.monitor = MonitorProcess(
            site.folder / "monitor",
            self.broker,
            FANWATCH_ALARM_FILE=str(self.kept / "monitor" / "alarms.sqlite3"),
            FANWATCH_ACCOUNT_FILE=str(self.kept / "monitor" / "accounts.sqlite3"),
            FANWATCH_ALARM_RULES=RULES,
            FANWATCH_PLANT_FILE=str(knowledge),
            FANWATCH_INFERENCE_URL=self.inference.url,
        )
        self.telegraf = Telegraf(
            self.broker, self.influxdb, metrics_urls={"predictor": f"{self.predictor.health_url}/metrics"}
        )
        (self.broker.folder / "data").mkdir(exist_ok=True)
        (self.kept / "mosquitto").symlink_to(self.broker.folder / "data")
        (self.kept / "influxdb").symlink_to(self.influxdb.folder)
        self.stack = ProcessStack(self.kept, self.influxdb, self._others())

    def _others(self) -> list[ServerProcess]:
        return [self.monitor, self.predictor, self.inference, self.telegraf, self.broker]

    def start(self) -> None:
        """Starts everything, as `docker compose up` does: InfluxDB, setup, and then the rest."""
        self.influxdb.start()
        self.influxdb.prepare()
        self.broker.start()
        self.inference.start()
        for server in (self.predictor, self.telegraf, self.monitor):
            server.start()

    def destroy(self) -> None:
        """Ends everything without warning, and the machine with it."""
        for server in (*self._others(), self.influxdb):
            if server.running:
                server.kill()

    def close(self) -> None:
        """Ends what runs."""
        for server in (*self._others(), self.influxdb):
            server.stop()

    def sign_in(self, name: str, password: str) -> int:
        """The status that the live page answers to a login: 302 lets in."""
        with requests.Session() as browser:
            page = browser.get(f"{self.monitor.url}/login", timeout=5)
            token = re.search(r'name="csrf(?:_token|-token)" (?:value|content)="([^"]+)"', page.text)
            assert token, page.text[:300]
            form = {"name": name, "password": password, "csrf_token": token[1]}
            answer = browser.post(
                f"{self.monitor.url}/login",
                data=form,
                headers={"Origin": self.monitor.url},
                allow_redirects=False,
                timeout=5,
            )
            return answer.status_code

    def wait_alarm(self, device: str) -> Alarm:
        """Waits for the alarm that the broker retains of a device."""
        with self.broker.connect("telegraf") as watcher:
            watcher.subscribe(f"fan/alarms/{device}")
            return Alarm.from_json(bytes(watcher.next(within_s=40).payload))

    def wait_count(self, measurement: str, device: str, count: int) -> None:
        """Waits until so many points of a device are stored."""
        wait_until(
            lambda: self.count(measurement, device) >= count, within_s=40, what=f"{count} in {measurement}"
        )

    def count(self, measurement: str, device: str) -> int:
        """How many points of a device are stored."""
        field = "fault" if measurement == "anomaly" else "rotation"
        rows = self.influxdb.query(
            f'SELECT count("{field}") FROM "fan"."raw"."{measurement}" WHERE "deviceID" = \'{device}\''
        )
        return int(rows[0]["count"]) if rows else 0
