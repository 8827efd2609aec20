"""The newest readings, as cells: a ring of fixed size."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


class Window:
    """Keeps the newest ``size`` readings; the oldest goes when one comes.

    Args:
        size: Readings.
        signals: Of each.
    """

    def __init__(self, size: int, signals: int) -> None:
        self._cells = np.zeros((size, signals), np.uint16)
        self._healthy = np.zeros(size, np.bool_)
        self._devices = np.zeros(size, np.int64)
        self._size = size
        self._taken = 0

    def add(self, cells: Sequence[int], *, healthy: bool, device: int = 0) -> None:
        """Take one reading in.

        Args:
            cells: The cell of each signal.
            healthy: Whether the model calls it so.
            device: A number of the device.
        """
        at = self._taken % self._size
        self._cells[at] = cells
        self._healthy[at] = healthy
        self._devices[at] = device
        self._taken += 1

    def clear(self) -> None:
        """Begin anew."""
        self._taken = 0

    @property
    def taken(self) -> int:
        """Readings taken in since it began."""
        return self._taken

    @property
    def filled(self) -> int:
        """Readings that are in it."""
        return min(self._taken, self._size)

    def healthy(self) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.int64]]:
        """Cells [n, k] and devices [n] of the readings that the model calls healthy, in no order."""
        chosen = self._healthy[: self.filled]
        return self._cells[: self.filled][chosen], self._devices[: self.filled][chosen]

    def all(self) -> npt.NDArray[np.uint16]:
        """Cells [n, k] of every reading, in no order."""
        return self._cells[: self.filled]
