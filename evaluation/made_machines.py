"""Made machines without labels, for the study of the back-test: what is usual for them, and how they fail.

Three kinds that differ in pace, in number of signals, and in what they do while they are well. Each fault comes twice
in a recording, and the same seed without one is the healthy machine.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluation.judgement import Fault
from training.fan import FAULTY, HEALTHY

Rows = npt.NDArray[np.float64]

_DAY_S = 86_400.0
_FIRST, _SECOND = 0.4, 0.8
"""Where in a recording its faults end."""


@dataclass(frozen=True)
class MadeFault:
    """How a machine fails.

    Attributes:
        name: For a table.
        hours: How long it goes on until the machine has failed or is mended.
        strike: Changes the rows [n, k] of those hours, in place.
    """

    name: str
    hours: float
    strike: Callable[[Rows, np.random.Generator], None]


@dataclass(frozen=True)
class MadeMachine:
    """A machine whose recordings are made.

    Attributes:
        name: For a table.
        signals: Their names.
        interval_s: Seconds between two readings.
        days: Length of a recording.
        healthy: Rows [n, k] of the machine while it is well.
        faults: How it fails.
    """

    name: str
    signals: tuple[str, ...]
    interval_s: float
    days: float
    healthy: Callable[[int, float, np.random.Generator], Rows]
    faults: tuple[MadeFault, ...]

    def record(self, fault: MadeFault | None, seed: int) -> tuple[Rows, Rows, list[Fault]]:
        """Times [n] in seconds, rows [n, k], and what is true of them."""
        chance = np.random.default_rng(seed)
        count = round(self.days * _DAY_S / self.interval_s)
        times: Rows = np.asarray(np.arange(count) * self.interval_s, np.float64)
        rows = self.healthy(count, self.interval_s, chance)
        if fault is None:
            return times, rows, []
        faults = []
        for part in (_FIRST, _SECOND):
            end = round(part * count)
            begin = end - round(fault.hours * 3600 / self.interval_s)
            fault.strike(rows[begin:end], chance)
            faults.append(Fault(None, float(times[begin]), float(times[end]), float(times[end])))
        return times, rows, faults


def _wander(count: int, readings: float, scatter: float, chance: np.random.Generator) -> Rows:
    """A first-order process [n] of that scatter, which forgets where it was after so many readings."""
    keep = np.exp(-1 / readings)
    steps = (scatter * np.sqrt(1 - keep**2) * chance.normal(size=count)).tolist()
    values, value = [], scatter * float(chance.normal())
    for step in steps:
        value = keep * value + step
        values.append(value)
    return np.array(values)


def _furnace(swing: float) -> Callable[[int, float, np.random.Generator], Rows]:
    def healthy(count: int, interval_s: float, chance: np.random.Generator) -> Rows:
        a_day = _DAY_S / interval_s
        wander = _wander(count, a_day / 2, 3.0, chance)
        daily = swing * np.sin(2 * np.pi * np.arange(count) / a_day)
        return np.column_stack([88 + wander + daily + chance.normal(0, 1, count)])

    return healthy


def _press(count: int, interval_s: float, chance: np.random.Generator) -> Rows:
    """A load that works in cycles of three quarters of an hour, and what follows it; a pressure that only scatters."""
    minutes = np.arange(count) * interval_s / 60
    load = 10 + 3 * np.sin(2 * np.pi * minutes / 45) + _wander(count, 240, 1.0, chance)
    return np.column_stack(
        [
            load + chance.normal(0, 0.3, count),
            20 + 2 * load + _wander(count, 720, 1.0, chance) + chance.normal(0, 0.3, count),
            160 + chance.normal(0, 2, count),
        ]
    )


def _fan(count: int, _interval_s: float, chance: np.random.Generator) -> Rows:
    return np.round(chance.uniform(HEALTHY.low, HEALTHY.high, (count, len(HEALTHY.low))), 1)


def _shift(signal: int, by: float) -> Callable[[Rows, np.random.Generator], None]:
    def strike(rows: Rows, _: np.random.Generator) -> None:
        rows[:, signal] += by

    return strike


def _drift(signal: int, by: float) -> Callable[[Rows, np.random.Generator], None]:
    def strike(rows: Rows, _: np.random.Generator) -> None:
        rows[:, signal] += np.linspace(0, by, len(rows))

    return strike


def _shake(signal: int, scatter: float) -> Callable[[Rows, np.random.Generator], None]:
    def strike(rows: Rows, chance: np.random.Generator) -> None:
        rows[:, signal] += chance.normal(0, scatter, len(rows))

    return strike


def _come_loose(rows: Rows, chance: np.random.Generator) -> None:
    """The second signal no longer follows the first; each by itself stays as usual as it was."""
    rows[:, 1] = rows[chance.permutation(len(rows)), 1]


def _break(rows: Rows, chance: np.random.Generator) -> None:
    rows[:] = np.round(chance.uniform(FAULTY.low, FAULTY.high, rows.shape), 1)


_FURNACE_FAULTS = (
    MadeFault("drift of 36 hours", 36, _drift(0, -30)),
    MadeFault("drift of 5 days", 120, _drift(0, -30)),
    MadeFault("step for a day", 24, _shift(0, -15)),
    MadeFault("climb of 6 hours", 6, _drift(0, 20)),
)

MACHINES = (
    MadeMachine(
        "furnace: one temperature, 5 minutes", ("temperature",), 300, 60, _furnace(2.5), _FURNACE_FAULTS
    ),
    MadeMachine(
        "furnace that swings by 16 degrees a day", ("temperature",), 300, 60, _furnace(8.0), _FURNACE_FAULTS
    ),
    MadeMachine(
        "press: load, temperature and pressure, 1 minute",
        ("load", "temperature", "pressure"),
        60,
        14,
        _press,
        (
            MadeFault("pressure low by 6 for 6 hours", 6, _shift(2, -6)),
            MadeFault("temperature drifts by 15 in a day", 24, _drift(1, 15)),
            MadeFault("pressure shakes for 6 hours", 6, _shake(2, 6)),
            MadeFault("temperature no longer follows the load", 12, _come_loose),
        ),
    ),
    MadeMachine(
        "fan: four signals, 2 seconds",
        ("rotation", "temperature", "vibration", "sound"),
        2,
        2,
        _fan,
        (
            MadeFault("broken for an hour", 1, _break),
            MadeFault("vibration rises by 40 in 2 hours", 2, _drift(2, 40)),
        ),
    ),
)
