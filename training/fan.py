"""The fan: its signals, and the two distributions that its readings were recorded from.

Source of the figures: the published recording fan.csv (20,000 readings of six fans, janakiramm/aiot). There
devices 1 to 4 are healthy and devices 5 and 6 faulty; each signal is uniform within its bounds, independent of
the others and of the reading before, rounded to 0.1. Half of the recorded readings are faulty.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.bundle import SignalSpec

FAN_SIGNALS: Final = (
    SignalSpec(name="rotation", unit="r/min", minimum=0, maximum=1500),
    SignalSpec(name="temperature", unit="degrees C", minimum=-40, maximum=150),
    SignalSpec(name="vibration", unit="a.u.", minimum=0, maximum=1000),
    SignalSpec(name="sound", unit="dB", minimum=0, maximum=150),
)
"""The inputs in the order of the tensor's columns, with the ranges outside of which a sensor must be broken.

They are much wider than anything that was recorded, for a worn fan must be scored and not refused, and as narrow as
physics allows: a stopped fan turns at 0 and no fan of this kind twice as fast as its nominal 700 r/min; -40 to 150
degrees is what an industrial temperature sensor reads; nothing in a hall is louder than 150 dB; the recorded vibration
(its unit was not published: "a.u.", arbitrary unit) ends at 250, four times that is still a fan.
"""

HEALTHY_DEVICES: Final = (1, 2, 3, 4)
FAULTY_DEVICES: Final = (5, 6)


@dataclass(frozen=True)
class UniformBox:
    """Independent uniform signals.

    Attributes:
        low: [k] lower bounds, each in its signal's unit.
        high: [k] upper bounds.
    """

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]

    def holds(self, signals: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which rows of signals [n, k] lie inside, bounds included: [n]."""
        inside: npt.NDArray[np.bool_] = np.all((signals >= self.low) & (signals <= self.high), axis=1)
        return inside

    @property
    def density(self) -> float:
        """The probability density inside: one over the volume."""
        return float(1 / np.prod(self.high - self.low))


HEALTHY: Final = UniformBox(np.array([500.0, 35.0, 100.0, 45.0]), np.array([700.0, 45.0, 200.0, 52.0]))
FAULTY: Final = UniformBox(np.array([400.0, 35.0, 100.0, 45.0]), np.array([650.0, 55.0, 250.0, 60.0]))


def draw(
    rows: int, seed: int, faulty_share: float = 0.5
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Draw readings of the recorded distributions.

    Args:
        rows: How many, n.
        seed: Of the generator; the same seed gives the same rows.
        faulty_share: Probability that a reading comes from a faulty fan; recorded was 0.5.

    Returns:
        Device numbers [n], signals [n, 4] rounded to 0.1 as recorded, labels [n] (1 is faulty).
    """
    rng = np.random.default_rng(seed)
    labels = (rng.random(rows) < faulty_share).astype(np.int64)
    healthy_device = rng.choice(HEALTHY_DEVICES, rows)
    faulty_device = rng.choice(FAULTY_DEVICES, rows)
    position = rng.random((rows, len(FAN_SIGNALS)))
    is_faulty = labels[:, np.newaxis] == 1
    low = np.where(is_faulty, FAULTY.low, HEALTHY.low)
    high = np.where(is_faulty, FAULTY.high, HEALTHY.high)
    signals = np.round(low + position * (high - low), 1)
    return np.where(labels == 1, faulty_device, healthy_device), signals, labels
