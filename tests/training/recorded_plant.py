"""A site for the pipeline: a poor model in use, and sixty hours of readings that technicians have judged."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from typer.testing import CliRunner, Result

from monitor.alarms.labels import COLUMNS
from testbed.influxdb import InfluxDB, nanoseconds
from training.fan import FAULTY, HEALTHY
from training.pipeline import Order, run
from training.pipeline_command import app
from training.recipe import Recipe
from training.signing import generate_keys
from training.tracking import Registry

NAMES = ("rotation", "temperature", "vibration", "sound")
DEVICES = 6
ILL = (5, 6)
READINGS = 600  # of each device, six minutes apart: 60 hours
BEGIN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=70)
END = BEGIN + timedelta(minutes=6 * READINGS)


@dataclass(frozen=True)
class Plant:
    """A site with a model in use that is not much good, and sixty hours of readings that technicians have looked at."""

    folder: Path
    influxdb: InfluxDB

    @property
    def models(self) -> Path:
        return self.folder / "models"

    @property
    def labels(self) -> Path:
        return self.folder / "labels.csv"

    @property
    def registry(self) -> Registry:
        return Registry(self.folder / "registry")

    def pipeline(self, *arguments: str, password: str | None = None) -> Result:
        return CliRunner().invoke(
            app,
            ["pipeline", "run", *arguments],
            env={
                "FANWATCH_INFLUXDB_URL": self.influxdb.url,
                "FANWATCH_INFLUXDB_USERNAME": "grafana",
                "FANWATCH_INFLUXDB_PASSWORD": password or self.influxdb.site.influxdb_password("grafana"),
                "FANWATCH_REGISTRY_DIR": str(self.folder / "registry"),
            },
        )

    def options(self, run_folder: str, *more: str) -> list[str]:
        times = ["--from", BEGIN.isoformat(), "--to", END.isoformat()]
        folders = ["--run", str(self.folder / run_folder), "--models", str(self.models)]
        return [*times, *folders, "--labels", str(self.labels), "--epochs", "10", *more]


def stored_readings() -> list[str]:
    chance = np.random.default_rng(11)
    lines = []
    for device in range(1, DEVICES + 1):
        box = FAULTY if device in ILL else HEALTHY
        rows = np.round(chance.uniform(box.low, box.high, (READINGS, 4)), 1)
        rows[17, 0] = 5000 if device == 1 else rows[17, 0]  # a broken sensor
        for number, row in enumerate(rows):
            fields = ",".join(f"{name}={value}" for name, value in zip(NAMES, row, strict=True))
            if (device, number) == (2, 30):
                fields = fields.partition(",")[2]  # a reading without its rotation
            at = BEGIN + timedelta(minutes=6 * number, seconds=device)
            lines.append(f'telemetry,deviceID=piped{device} {fields},bootID="b" {nanoseconds(at)}')
    return lines


@contextmanager
def recorded_plant(influxdb: InfluxDB, folder: Path) -> Iterator[Plant]:
    """Write its readings, labels, model and keys; its readings are gone from InfluxDB afterwards."""
    folder.mkdir(exist_ok=True)
    assert influxdb.write(stored_readings()).ok
    with (folder / "labels.csv").open("w", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(COLUMNS)
        for device in range(1, DEVICES + 1):
            word, faulty = ("real", 1) if device in ILL else ("false", 0)
            rows.writerow(
                [f"piped{device}", BEGIN.isoformat(), END.isoformat(), word, "machine_fault", faulty]
            )
    run(
        Order(
            data=None,
            rows=1000,
            seed=9,
            bundle=folder / "models" / "fan",
            report=folder / "report",
            name="fan",
            version="1",
            threshold=0.5,
            overwrite=False,
        ),
        Recipe(epochs=2),
        progress=False,
    )
    generate_keys(folder / "keys")
    yield Plant(folder, influxdb)
    # InfluxDB is everybody's: others count what is in it.
    for device in range(1, DEVICES + 1):
        influxdb.query(f"DROP SERIES WHERE \"deviceID\" = 'piped{device}'")
