"""The healthy stretch of a recording: which readings are learned from, and what they show of what is usual."""

from collections.abc import Sequence
from math import ceil

import numpy as np
import numpy.typing as npt

from evaluation.config import HealthyTable
from evaluation.recorded import Recorded
from monitor.diagnosis.plant import GatheringSettings
from training.baseline import NotEnoughHealth

FEWEST_READINGS = 60
_MOST_LEARNED = 4000
"""Of a longer stretch readings are averaged: more values say no more about what is usual, and a monitor keeps them all
until they are learned from."""

Bools = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]


def healthy_rows(healthy: HealthyTable | None, recorded: Recorded) -> Bools:
    """Which readings [n] are to be learned from."""
    if healthy is None:
        return np.zeros(len(recorded), np.bool_)
    if healthy.start is not None and healthy.end is not None:
        times = recorded.times
        return np.asarray((times >= healthy.start.timestamp()) & (times < healthy.end.timestamp()))
    learned = np.zeros(len(recorded), np.bool_)
    for index in range(len(recorded.devices)):
        mine = np.flatnonzero(recorded.device == index)
        count = healthy.first_rows or int(len(mine) * (healthy.first_percent or 0) / 100)
        learned[mine[:count]] = True
    return learned


def known_since(learned: Bools, recorded: Recorded) -> Bools:
    """Which readings [n] come at or behind their device's first healthy one: before, a monitor knew nothing of it."""
    known = np.zeros(len(recorded), np.bool_)
    for index in range(len(recorded.devices)):
        mine = np.flatnonzero(recorded.device == index)
        begin = int(learned[mine].argmax()) if learned[mine].any() else len(mine)
        known[mine[begin:]] = True
    return known


def gathering_settings(given: GatheringSettings, healthy: Bools, recorded: Recorded) -> GatheringSettings:
    """The settings with what the stretch decides, where it was not given: how many readings, and how many averaged.

    Args:
        given: As configured.
        healthy: [n] which readings are learned from and usable.
        recorded: The readings.

    Raises:
        NotEnoughHealth: A device has fewer than 60 (averaged) healthy readings.
    """
    counts = [int(healthy[recorded.device == index].sum()) for index in range(len(recorded.devices))]
    fewest = min(counts)
    averaged = given.averaged_readings
    if "averaged_readings" not in given.model_fields_set:
        averaged = ceil(fewest / _MOST_LEARNED) or 1
    if fewest // averaged < FEWEST_READINGS:
        name = recorded.devices[counts.index(fewest)]
        raise NotEnoughHealth(
            f"device {name}: {fewest // averaged} complete healthy rows; expected at least {FEWEST_READINGS} "
            "to learn from"
        )
    decided = {"averaged_readings": averaged, "healthy_readings": fewest // averaged}
    return given.model_copy(
        update={name: value for name, value in decided.items() if name not in given.model_fields_set}
    )


def usual_range(values: Values) -> tuple[float, float]:
    """All but one in two hundred at either end, widened by a tenth; a signal that never moved by a thousandth."""
    low, high = (float(bound) for bound in np.quantile(values, (0.005, 0.995)))
    margin = 0.1 * (high - low) or 1e-3 * max(1.0, abs(high))
    return low - margin, high + margin


def natural_flatness(rows: Values) -> Sequence[int]:
    """The longest run of equal values of each signal of rows [n, k]: [k]."""
    longest = []
    for column in rows.T:
        ends = np.flatnonzero(np.concatenate(([True], np.diff(column) != 0, [True])))
        longest.append(int(np.diff(ends).max()) if len(column) else 0)
    return longest
