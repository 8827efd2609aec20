"""One device's newest readings and verdicts: does it differ from what was trained, and in how many signals?"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from drift.fleet_window import LEAST_ROWS, Fleet
from drift.marginal import Counts
from drift.outputs import Outputs
from drift.window import Window
from drift.yardstick import Distance, Yardstick


class Device:
    """One device.

    Args:
        number: Tells it from the others in the fleet's window.
        size: Readings of its own window.
        yardsticks: Of each signal.
    """

    def __init__(self, number: int, size: int, yardsticks: Sequence[Yardstick]) -> None:
        self.number = number
        self.window = Window(size, len(yardsticks))
        self.outputs = Outputs()
        self.drifted: tuple[tuple[int, Distance], ...] = ()
        """Signals by column in which it differs, while it does in any."""
        self.heard = 0.0
        self._yardsticks = yardsticks

    def begin_anew(self) -> None:
        """Forget the readings, and what was found in them; what the model said is kept."""
        self.window.clear()
        self.drifted = ()

    def look(self, fleet: Sequence[Fleet | None]) -> None:
        """Compare its window with the training rows and with the other devices.

        That it differs is told by the readings that the model calls healthy, as the training rows were chosen. In how
        many signals is told by all its readings: of a broken machine the model calls only those healthy that look so,
        and they may differ in a single signal.

        Args:
            fleet: The others in each signal. What they have in common with it is not its own, however far it is from
                the training rows: a season that comes slowly passes the limit of one device or another first.
        """
        chosen, _ = self.window.healthy()
        if len(chosen) < LEAST_ROWS:
            self.drifted = ()
            return
        before = {column for column, _ in self.drifted}
        found: dict[int, Distance] = {}
        for column in range(len(self._yardsticks)):
            distance = self._own(column, chosen, fleet[column], strictly=column not in before)
            if distance is not None:
                found[column] = distance
        if found:
            everything = self.window.all()
            for column in range(len(self._yardsticks)):
                distance = self._own(column, everything, fleet[column], strictly=False)
                if distance is not None:
                    found.setdefault(column, distance)
        self.drifted = tuple(sorted(found.items()))

    def _own(
        self, column: int, cells: npt.NDArray[np.uint16], fleet: Fleet | None, *, strictly: bool
    ) -> Distance | None:
        """How far it is from the training rows in a signal, if it is, and the other devices are not there too."""
        yardstick = self._yardsticks[column]
        counts: Counts = np.bincount(cells[:, column], minlength=yardstick.marginal.cells)
        distance = yardstick.measure(counts)
        if not (distance.has_drifted if strictly else distance.is_conspicuous):
            return None
        if fleet is not None and not yardstick.differ(counts, fleet.counts, strictly=strictly):
            return None
        return distance
