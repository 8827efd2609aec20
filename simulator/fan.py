"""One simulated fan: pure, seeded, without a clock or a network of its own.

The distributions are those of the recorded data set (20,000 readings of six fans published with
https://github.com/janakiramm/aiot, data/fan.csv): independent uniform draws, rounded to one decimal.

| signal | unit | healthy | faulty |
|---|---|---|---|
| rotation | r/min | 500 to 700 | 400 to 650 |
| temperature | degrees C | 35 to 45 | 35 to 55 |
| vibration | as in the data set | 100 to 200 | 100 to 250 |
| sound | dB | 45 to 52 | 45 to 60 |
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from contract.command import Condition, FanCommand

Vector = npt.NDArray[np.float64]

SIGNALS = ("rotation", "temperature", "vibration", "sound")
HEALTHY_LOW = np.array([500.0, 35.0, 100.0, 45.0])
HEALTHY_HIGH = np.array([700.0, 45.0, 200.0, 52.0])
FAULTY_LOW = np.array([400.0, 35.0, 100.0, 45.0])
FAULTY_HIGH = np.array([650.0, 55.0, 250.0, 60.0])

WEAR_START = (HEALTHY_LOW + HEALTHY_HIGH) / 2
"""A wearing fan begins in the middle of health: 600 r/min, 40 degrees C, 150, 48.5 dB."""
WEAR_END = np.array([400.0, 55.0, 250.0, 60.0])
"""... and ends in the worst corner of the faulty box."""
WEAR_NOISE = np.abs(WEAR_END - WEAR_START) * 0.03
"""Standard deviation of the noise on it: 3 % of the way from start to end."""
SEIZED = np.array([0.0, 55.0, 0.0, 60.0])
"""Worn out: the rotor stands still, so nothing shakes, and the motor, still powered, is hot and hums."""
DEFAULT_WEAR_S = 600.0

SPIKE_CHANCE = 0.05
SPIKE_UP_ONLY = np.array([False, True, True, True])
"""A rotation sensor misses pulses or counts too many; the other three only overshoot."""

Label = Literal[0, 1]


class Fan:
    """A fan and its sensors.

    Two fans of the same seed and deviceID that get the same commands and are read at the same times measure the
    same values; fans of different deviceIDs are independent of each other.
    """

    def __init__(
        self,
        device_id: str,
        *,
        seed: int,
        condition: Condition = Condition.HEALTHY,
        duration_s: float | None = None,
        now_s: float = 0.0,
    ) -> None:
        self.device_id = device_id
        entropy = [seed, *device_id.encode()]
        self._random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
        self._last = self._uniform(HEALTHY_LOW, HEALTHY_HIGH)
        self._begin(condition, duration_s, now_s)

    def obey(self, command: FanCommand, now_s: float) -> None:
        """Enter a condition at the time now_s (monotonic seconds)."""
        self._begin(command.condition, command.duration_s, now_s)

    def measure(self, now_s: float) -> dict[str, float] | None:
        """The four signals at the time now_s (monotonic seconds), or None while the fan is silent."""
        if self.condition is Condition.SILENT:
            return None
        self._last = np.round(self._values(now_s), 1)
        return dict(zip(SIGNALS, self._last.tolist(), strict=True))

    def label(self, now_s: float) -> Label | None:
        """What a verdict on a reading of the time now_s ought to be, or None where no one verdict is right.

        A fan on its way from health to its stop is neither, and with a stuck or spiking sensor the fan runs
        well while its reading does not.
        """
        match self.condition:
            case Condition.HEALTHY:
                return 0
            case Condition.FAULTY:
                return 1
            case Condition.WEARING if self._wear(now_s) >= 1:
                return 1
            case _:
                return None

    def _begin(self, condition: Condition, duration_s: float | None, now_s: float) -> None:
        self.condition = condition
        self._since_s = now_s
        self._duration_s = DEFAULT_WEAR_S if duration_s is None else duration_s
        self._stuck = int(self._random.integers(len(SIGNALS))) if condition is Condition.STUCK else None

    def _wear(self, now_s: float) -> float:
        """How far the wear has gone, 0 to 1; at 1 the fan has stopped."""
        return min(max((now_s - self._since_s) / self._duration_s, 0.0), 1.0)

    def _values(self, now_s: float) -> Vector:
        if self.condition is Condition.FAULTY:
            return self._uniform(FAULTY_LOW, FAULTY_HIGH)
        if self.condition is Condition.WEARING:
            wear = self._wear(now_s)
            if wear >= 1:
                return SEIZED
            worn: Vector = self._random.normal(WEAR_START + (WEAR_END - WEAR_START) * wear, WEAR_NOISE)
            return worn
        values = self._uniform(HEALTHY_LOW, HEALTHY_HIGH)
        if self._stuck is not None:
            values[self._stuck] = self._last[self._stuck]
        elif self.condition is Condition.SPIKES and self._random.random() < SPIKE_CHANCE:
            self._spike(values)
        return values

    def _uniform(self, low: Vector, high: Vector) -> Vector:
        values: Vector = self._random.uniform(low, high)
        return values

    def _spike(self, values: Vector) -> None:
        """Throw one signal one to two widths of its healthy range away from that range's middle."""
        which = int(self._random.integers(len(SIGNALS)))
        sign = 1.0 if SPIKE_UP_ONLY[which] or self._random.random() < 0.5 else -1.0
        width = HEALTHY_HIGH[which] - HEALTHY_LOW[which]
        values[which] = WEAR_START[which] + sign * width * self._random.uniform(1.0, 2.0)
