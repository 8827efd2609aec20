"""Recordings like those of the benchmark: a made pump with eight signals, and a valve that closes for a while."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

HEADINGS = (
    "Accelerometer1RMS",
    "Accelerometer2RMS",
    "Current",
    "Pressure",
    "Temperature",
    "Thermocouple",
    "Voltage",
    "Volume Flow RateRMS",
)
FLOW = 7
TEMPERATURE = 4

Rows = npt.NDArray[np.float64]


def pump(rows: int, seed: int) -> Rows:
    """A healthy pump, [rows, 8]: noise, a current that swings, a motor that slowly warms and cools."""
    rng = np.random.default_rng(seed)
    time = np.arange(rows)
    wander = np.cumsum(np.convolve(rng.normal(0, 0.01, rows), np.ones(20) / 20, mode="same"))
    return np.column_stack(
        [
            rng.normal(0.027, 0.0004, rows),
            rng.normal(0.040, 0.0007, rows),
            1 + 0.3 * np.sin(2 * np.pi * time / 70) + rng.normal(0, 0.2, rows),
            rng.choice([-0.27, 0.05, 0.38], rows, p=[0.2, 0.6, 0.2]),
            70 + 8 * wander + rng.normal(0, 0.05, rows),
            25 - 0.5 * wander + rng.normal(0, 0.003, rows),
            rng.normal(230, 9, rows),
            np.round(32.2 + rng.normal(0, 0.4, rows)),
        ]
    )


def close_valve(signals: Rows, first: int, last: int, drop: float = 3.0) -> npt.NDArray[np.int64]:
    """Takes the flow down from reading first to last, in place; returns the labels."""
    signals[first : last + 1, FLOW] -= drop
    labels = np.zeros(len(signals), dtype=np.int64)
    labels[first : last + 1] = 1
    return labels


def write_recording(path: Path, signals: Rows, labels: npt.NDArray[np.int64] | None) -> None:
    """As the benchmark writes it; without labels like its recording without a fault."""
    headings = ["datetime", *HEADINGS] + (["anomaly", "changepoint"] if labels is not None else [])
    lines = [";".join(headings)]
    for number, row in enumerate(signals):
        cells = [f"2020-03-09 10:{number // 60 % 60:02}:{number % 60:02}", *(f"{value:.6g}" for value in row)]
        cells += [f"{labels[number]}.0", "0.0"] if labels is not None else []
        lines.append(";".join(cells))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
