"""Wear as a finding: when to look at the trend, when to warn, when to take it back."""

from typing import Any

from monitor.diagnosis.history import History
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.standing import Standing
from monitor.findings import FindingKind

_CLEARING_BUCKETS = 3
_LONGEST_PAUSE = 16


class Wear:
    """Turns the history of one machine into WEAR, present or not.

    The trend is only fitted while the newest values have gone some way to a limit, which a healthy machine's do not,
    and a look that finds no trend is repeated less and less often: the cost of a reading stays flat.
    """

    __slots__ = ("_below", "_knowledge", "_next_pause", "_pause", "_standing")

    def __init__(self, knowledge: Knowledge, standing: Standing) -> None:
        self._knowledge = knowledge
        self._standing = standing
        self._below = 0
        self._pause = 0
        self._next_pause = 1

    def look_at(self, history: History, at: float, now: float) -> None:
        """A bucket of the history was closed, at the second ``at`` by the sensor's clock."""
        if not self._knowledge.wear.watches:
            return
        way = self._knowledge.wear.way(history)
        if FindingKind.WEAR in self._standing.kinds:
            self._below = self._below + 1 if way < self._knowledge.plant.trend.clear_at else 0
            if self._below >= _CLEARING_BUCKETS:
                self._below = 0
                why = "Its signals are far from their limits again."
                self._standing.end(FindingKind.WEAR, min(at, now), why)
        elif way < self._knowledge.plant.trend.warn_at:
            self._pause, self._next_pause = 0, 1
        elif self._pause > 1:
            self._pause -= 1
        else:
            self._estimate(history, at, now)

    def _estimate(self, history: History, at: float, now: float) -> None:
        estimate = self._knowledge.wear.estimate(history, at)
        if estimate is None or not self._knowledge.wear.warns(estimate, at):
            self._pause, self._next_pause = self._next_pause, min(_LONGEST_PAUSE, self._next_pause * 2)
            return
        self._pause, self._next_pause = 0, 1
        why = self._knowledge.reasons.of_wear(estimate, at)
        self._standing.begin(FindingKind.WEAR, min(at, now), *why)

    def snapshot(self) -> list[Any]:
        """The state, as JSON can hold it."""
        return [self._below, self._pause, self._next_pause]

    def restore(self, state: list[Any]) -> None:
        """Take up a snapshot's state."""
        self._below, self._pause, self._next_pause = state
