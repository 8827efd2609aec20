"""Quality of a machine's signals, reading by reading: values that stand still, and values that jump out and back."""

from array import array
from collections import deque
from collections.abc import Sequence
from operator import eq
from typing import Any

from monitor.diagnosis.plant import QualitySettings, SignalPlan

_NEVER = 1 << 62


class QualityLimits:
    """What is looked for in the values of a plant's machines; made once, and read by each of them.

    Args:
        signals: The plant's signals, k of them.
        settings: Of all signals; a signal's own ``flat_readings`` comes first.
    """

    __slots__ = ("far", "flat", "flat_clears_after", "spike_window", "spikes", "usual")

    def __init__(self, signals: Sequence[SignalPlan], settings: QualitySettings) -> None:
        own = [plan.flat_readings for plan in signals]
        wanted = [settings.flat_readings if limit is None else limit for limit in own]
        self.flat = tuple(limit or _NEVER for limit in wanted)
        """So many equal readings of each signal are a flat line."""
        self.flat_clears_after = settings.flat_clears_after
        self.usual = tuple(plan.usual for plan in signals)
        margin = [settings.spike_widths * plan.width for plan in signals]
        self.far = tuple((low - by, high + by) for (low, high), by in zip(self.usual, margin, strict=True))
        self.spikes = settings.spikes
        self.spike_window = settings.spike_window_readings


class FlatLines:
    """Finds signals that give the very same value again and again.

    A sensor's noise moves its last digit. Eight equal readings of a fan's coarsest signal, the sound in steps of 0.1
    dB over 7 dB, come by chance once in 71^7 readings.

    Args:
        limits: Of the plant, for k signals.
    """

    __slots__ = ("_last", "_limits", "_moved", "_same", "_stands", "flat")

    def __init__(self, limits: QualityLimits) -> None:
        self._limits = limits
        self._last: tuple[float, ...] = ()
        self._same = array("q", [1] * len(limits.flat))
        self._moved = array("q", [0] * len(limits.flat))
        self._stands = False  # whether any signal is flat, or has said the same twice
        self.flat: set[int] = set()
        """Which signals stand still now."""

    def take(self, values: tuple[float, ...]) -> bool:
        """Take the next reading's values [k].

        Returns:
            Whether ``flat`` has changed.
        """
        last, self._last = self._last, values
        if not self._stands and not any(map(eq, last, values)):
            return False  # nearly every reading: nothing else of a device is looked at, which is memory saved
        same, changed = self._same, False
        for index, (old, new) in enumerate(zip(last, values, strict=False)):
            if new == old:
                same[index] += 1
                if self.flat:
                    self._moved[index] = 0
                if same[index] == self._limits.flat[index] and index not in self.flat:
                    self.flat.add(index)
                    self._moved[index] = 0
                    changed = True
            else:
                same[index] = 1
                if index in self.flat:
                    self._moved[index] += 1
                    if self._moved[index] >= self._limits.flat_clears_after:
                        self.flat.discard(index)
                        changed = True
        self._stands = bool(self.flat) or max(same) > 1
        return changed

    def pause(self) -> None:
        """A machine that stands still may have still values: begin anew when it runs, and keep what is found."""
        self._last = ()
        for index in range(len(self._same)):
            self._same[index] = 1
        self._stands = bool(self.flat)

    def snapshot(self) -> list[Any]:
        """The state, as JSON can hold it."""
        return [list(self._last), self._same.tolist(), self._moved.tolist(), sorted(self.flat)]

    def restore(self, state: list[Any]) -> None:
        """Take up a snapshot's state."""
        last, same, moved, flat = state
        self._last, self.flat = tuple(last), set(flat)
        self._same, self._moved = array("q", same), array("q", moved)
        self._stands = bool(self.flat) or max(same, default=1) > 1


class Spikes:
    """Finds sensors that spike: one signal jumps far out of its usual range, alone, and back.

    A faulty machine does not do so: of the recorded faulty fans' readings one in eleven is usual, so that one far out
    with a usual one before and behind is rare, and with most of the last hundred usual too does not happen.

    Args:
        limits: Of the plant, for k signals.
    """

    __slots__ = (
        "_held",
        "_limits",
        "_moments",
        "_number",
        "_quiet_before",
        "_unusual",
        "spiking",
    )

    def __init__(self, limits: QualityLimits) -> None:
        self._limits = limits
        self._number = 0
        self._moments: deque[tuple[int, int, float]] = deque()
        """Number of the reading, signal and value of each spike in the window."""
        self._unusual: deque[int] = deque()
        """Numbers of the readings in the window that were unusual and no spikes."""
        self._held: tuple[int, float] | None = None
        """Signal and value of a reading that may be one."""
        self._quiet_before = False
        self.spiking: dict[int, float] = {}
        """Which signals spike now, and to which value the last spike went; empty when none do."""

    @property
    def holds(self) -> bool:
        """Whether the newest reading may be a spike: the next one tells."""
        return self._held is not None

    def take(self, values: tuple[float, ...]) -> tuple[bool, bool]:
        """Take the next reading's values [k].

        Returns:
            Whether the reading before, which was held, turns out to have been a spike; and whether ``spiking``
            changed.
        """
        out = self._out_of_usual(values)
        self._number += 1
        was_spike = False
        if self._held is not None:
            was_spike = not out
            if was_spike:
                self._moments.append((self._number - 1, *self._held))
            else:
                self._unusual.append(self._number - 1)
            self._held = None
        if not out:
            self._quiet_before = True
            return was_spike, self._settle() if self._moments or self.spiking else False
        if self._quiet_before and len(out) == 1:
            low, high = self._limits.far[out[0]]
            if not low <= values[out[0]] <= high:
                self._held = out[0], values[out[0]]
        if self._held is None:
            self._unusual.append(self._number)
        self._quiet_before = False
        return was_spike, self._settle()

    def pause(self) -> None:
        """What comes next is no neighbour of what came last."""
        self._held, self._quiet_before = None, False

    def _out_of_usual(self, values: tuple[float, ...]) -> Sequence[int]:
        usual = self._limits.usual
        for value, (low, high) in zip(values, usual, strict=False):
            if not low <= value <= high:
                break
        else:
            return ()
        return [
            index
            for index, (value, (low, high)) in enumerate(zip(values, usual, strict=False))
            if not low <= value <= high
        ]

    def _settle(self) -> bool:
        window = self._limits.spike_window
        begin = self._number - window
        while self._moments and self._moments[0][0] <= begin:
            self._moments.popleft()
        while self._unusual and self._unusual[0] <= begin:
            self._unusual.popleft()
        # What stands is kept until the window is clean; a machine that has become unusual otherwise ends it too.
        mostly_usual = len(self._unusual) * 4 <= min(self._number, window)
        enough = 1 if self.spiking else self._limits.spikes
        spiking = (
            {index: value for _, index, value in self._moments}
            if mostly_usual and len(self._moments) >= enough
            else {}
        )
        changed = bool(spiking) != bool(self.spiking)
        self.spiking = spiking
        return changed

    def snapshot(self) -> dict[str, Any]:
        """The state, as JSON can hold it."""
        return {
            "number": self._number,
            "moments": [list(moment) for moment in self._moments],
            "unusual": list(self._unusual),
            "held": None if self._held is None else list(self._held),
            "quiet_before": self._quiet_before,
            "spiking": list(self.spiking.items()),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot's state."""
        self._number = int(state["number"])
        self._moments = deque((int(n), int(i), float(value)) for n, i, value in state["moments"])
        self._unusual = deque(state["unusual"])
        held = state["held"]
        self._held = None if held is None else (int(held[0]), float(held[1]))
        self._quiet_before = bool(state["quiet_before"])
        self.spiking = {int(index): float(value) for index, value in state["spiking"]}
