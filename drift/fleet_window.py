"""The fleet's newest readings: have most devices drifted together?

One device that wears out or has a broken sensor moves the whole fleet's distribution, the more the fewer there are. So
up to a third of the devices are left out before anything is measured: those that give the most evidence of drift and
differ from the others. In a season no device differs from the others, and all are measured. And what is found has to be
borne out by what is left without the device that gives the most evidence: a season is never made by one. Both are
tests of a partial conjunction (Y. Benjamini and R. Heller, Screening for partial conjunction hypotheses, Biometrics 64,
2008), on pooled readings instead of pooled p-values. Without drift leaving out can only make false flags rarer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drift.marginal import Counts
from drift.window import Window
from drift.yardstick import Distance, Yardstick

LEAST_ROWS = 60
"""Six in each bin of the PSI; from there on its limit was tried."""
_LEFT_OUT_OF = 3
"""One of so many devices may be left out, rounded up."""
_LARGE_SHARE = 0.03
"""Of the readings; a device with fewer cannot move the fleet by itself."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The fleet in one signal, without the devices that differ from the others.

    Attributes:
        counts: Its readings in each cell [cells].
        distance: From the training rows.
        has_drifted: It is far from them, and not because of one device.
    """

    counts: Counts
    distance: Distance
    has_drifted: bool


def measure_fleet(window: Window, yardsticks: Sequence[Yardstick]) -> tuple[Fleet | None, ...]:
    """The fleet in each signal; None where too few readings are left, or all are of one device.

    Args:
        window: The fleet's newest readings.
        yardsticks: Of each signal, in the order of the window's columns.
    """
    cells, devices = window.healthy()
    rows = len(devices)
    numbers, which, shares = np.unique(devices, return_inverse=True, return_counts=True)
    if len(numbers) < 2:
        return (None,) * len(yardsticks)
    large = np.flatnonzero(shares >= _LARGE_SHARE * rows)
    # Groups: each large device, and all others together, which nobody leaves out.
    group_of = np.full(len(numbers), len(large))
    group_of[large] = np.arange(len(large))
    groups = group_of[which]
    return tuple(
        _measure(yardstick, cells[:, column], groups, len(large))
        for column, yardstick in enumerate(yardsticks)
    )


def _measure(
    yardstick: Yardstick, cells: npt.NDArray[np.uint16], groups: npt.NDArray[np.int64], large: int
) -> Fleet | None:
    marginal = yardstick.marginal
    width = marginal.cells
    counts: Counts = np.bincount(groups * width + cells, minlength=(large + 1) * width).reshape(-1, width)
    # By rows x PSI, the evidence that each gives by itself. What is left without each would be no measure: two that
    # deviate to different sides cover each other.
    evidence = marginal.psi(marginal.in_bins(counts[:large])) * counts[:large].sum(axis=1)
    order = np.argsort(-evidence, kind="stable").tolist()
    kept: Counts = counts.sum(axis=0)
    left_out = set()
    for device in order[: -(-large // _LEFT_OUT_OF)]:
        others = kept - counts[device]
        if others.sum() > 0 and yardstick.differ(counts[device], others, strictly=False):
            kept = others
            left_out.add(device)
    if kept.sum() < LEAST_ROWS:
        return None
    distance = yardstick.measure(kept)
    most = next((counts[device] for device in order if device not in left_out), np.zeros_like(kept))
    rest = kept - most
    has_drifted = distance.has_drifted and bool(rest.sum() >= LEAST_ROWS) and yardstick.supports(rest)
    return Fleet(kept, distance, has_drifted)
