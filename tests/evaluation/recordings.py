"""Recordings as users have them, drawn anew for each test."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from training.fan import FAULTY, HEALTHY

START = datetime(2026, 10, 1, tzinfo=UTC)
FURNACE = """
name = "furnace"

[data]
time = "timestamp"
time_format = "%Y-%m-%d %H:%M:%S"

[signals.temperature]
column = "value"
unit = "°C"

[healthy]
first_percent = 15
"""
FAN = """
name = "fan"

[data]
time = "Time"
device = "DeviceID"

[signals.rotation]
column = "Rotation"
unit = "r/min"
usual = [500, 700]

[signals.temperature]
column = "Temperature"
unit = "°C"
usual = [35, 45]

[signals.vibration]
column = "Vibration"
usual = [100, 200]

[signals.sound]
column = "Sound"
unit = "dB"
usual = [45, 52]

[model]
bundle = "{bundle}"

[labels]
column = "Faulty"
"""


@dataclass(frozen=True)
class Furnace:
    """One temperature every five minutes for two months: it swings, wanders, and drifts away before each failure."""

    file: Path
    config: Path
    drifts: tuple[tuple[datetime, datetime], ...]
    """When each drift began and when the machine failed."""


def write_furnace(folder: Path, *, seed: int, drift: float = 30.0) -> Furnace:
    chance = np.random.default_rng(seed)
    count, a_day = 60 * 288, 288
    keep = np.exp(-1 / (0.5 * a_day))
    steps = 3 * np.sqrt(1 - keep**2) * chance.normal(size=count)
    wander = np.zeros(count)
    for i in range(1, count):
        wander[i] = keep * wander[i - 1] + steps[i]
    swing = 2.5 * np.sin(2 * np.pi * np.arange(count) / a_day)
    values = 88 + wander + swing + chance.normal(0, 1, count)
    drifts = []
    for failed in (int(0.4 * count), int(0.8 * count)):
        began, back = failed - int(1.5 * a_day), failed + a_day // 3
        values[began:failed] -= np.linspace(0, drift, failed - began)
        values[failed:back] = chance.normal(8, 3, back - failed)
        drifts.append((START + began * timedelta(minutes=5), START + failed * timedelta(minutes=5)))
    times = pd.date_range(START, periods=count, freq="5min").strftime("%Y-%m-%d %H:%M:%S")
    file, config = folder / "furnace.csv", folder / "furnace.toml"
    pd.DataFrame({"timestamp": times, "value": np.round(values, 6)}).to_csv(file, index=False)
    config.write_text(FURNACE)
    return Furnace(file, config, tuple(drifts))


def write_fans(folder: Path, bundle: Path, *, seed: int, readings: int = 400) -> tuple[Path, Path]:
    """Two fans in one file: the second breaks half way. Returns the file and its configuration."""
    chance = np.random.default_rng(seed)
    frames = []
    for name, breaks_at in (("1", readings), ("2", readings // 2)):
        faulty = np.arange(readings) >= breaks_at
        signals = np.where(
            faulty[:, np.newaxis],
            chance.uniform(FAULTY.low, FAULTY.high, (readings, 4)),
            chance.uniform(HEALTHY.low, HEALTHY.high, (readings, 4)),
        )
        frame = pd.DataFrame(np.round(signals, 1), columns=["Rotation", "Temperature", "Vibration", "Sound"])
        times = pd.date_range(START, periods=readings, freq="2s").strftime("%Y-%m-%dT%H:%M:%SZ")
        frames.append(frame.assign(DeviceID=name, Time=times, Faulty=faulty.astype(int)))
    file, config = folder / "fans.csv", folder / "fans.toml"
    pd.concat(frames).to_csv(file, index=False)
    config.write_text(FAN.replace("{bundle}", str(bundle)))
    return file, config
