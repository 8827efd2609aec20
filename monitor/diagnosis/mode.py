"""Mode of operation: stopped, starting or running, told from one signal, with debounce."""

from enum import StrEnum
from typing import Any

from monitor.diagnosis.plant import ModePlan


class Mode(StrEnum):
    """What the machine is doing."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"


class ModeWatch:
    """The mode of one machine; it changes after several readings in a row that say the same."""

    __slots__ = ("_count", "_debounce", "_pending", "_running", "_since", "_start_s", "_stopped", "mode")

    def __init__(self, plan: ModePlan) -> None:
        self._stopped = plan.stopped_below
        self._running = plan.running_above
        self._debounce = plan.debounce_readings
        self._start_s = plan.start_within_s
        self.mode: Mode | None = None
        self._pending: Mode | None = None
        self._count = 0
        self._since = 0.0

    def take(self, value: float, at: float) -> bool:
        """Take the next reading's value, measured at that second.

        Returns:
            Whether the reading belongs to the mode: not when it may be the first of another, or is on its way between
            the two and may still be, for ``start_within_s``.
        """
        if value >= self._running:
            seen = Mode.RUNNING
        elif value < self._stopped:
            seen = Mode.STOPPED
        else:
            seen = Mode.STARTING
        if self.mode is None:
            self.mode, self._since = seen, at
        if seen is self.mode:
            self._pending, self._count = None, 0
            return seen is not Mode.STARTING or at - self._since > self._start_s
        if seen is not self._pending:
            self._pending, self._count = seen, 0
        self._count += 1
        if self._count < self._debounce:
            return False
        self.mode, self._since, self._pending, self._count = seen, at, None, 0
        return seen is not Mode.STARTING

    def snapshot(self) -> list[Any]:
        """The state, as JSON can hold it."""
        return [self.mode, self._pending, self._count, self._since]

    def restore(self, state: list[Any]) -> None:
        """Take up a snapshot's state."""
        mode, pending, count, since = state
        self.mode = None if mode is None else Mode(mode)
        self._pending = None if pending is None else Mode(pending)
        self._count, self._since = int(count), float(since)
