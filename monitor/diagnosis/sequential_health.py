"""The machine's health by a sequential test: which verdicts are evidence, and which reading is explained."""

from typing import Any

from monitor.diagnosis.evidence import Evidence, Health
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.reasons import excess
from monitor.diagnosis.standing import Standing
from monitor.findings import FindingKind

_LONG_AGO = float("-inf")
_NO_VALUES = "The verdicts say that the machine is faulty.", "the machine", ()


class SequentialHealth:
    """Turns the verdicts of one machine that count into MACHINE_FAULT, present or not."""

    __slots__ = ("_apart", "_decided", "_evidence", "_knowledge", "_standing", "_weighed", "_worst")

    def __init__(self, knowledge: Knowledge, standing: Standing) -> None:
        self._knowledge = knowledge
        self._standing = standing
        self._evidence = Evidence(knowledge.plant.evidence)
        self._apart = knowledge.plant.evidence.independent_after_s
        self._decided = _LONG_AGO
        self._weighed = _LONG_AGO
        self._worst: tuple[float, tuple[float, ...]] | None = None
        """The most unusual reading of the test under way, and by how much: it is the one that is explained."""

    @property
    def health(self) -> Health:
        """What the evidence says."""
        return self._evidence.health

    def count(
        self, probability: float, at: float, now: float, values: tuple[float, ...] | None, *, in_order: bool
    ) -> None:
        """Weigh one verdict on a reading of the second ``at``.

        A late one counts like any other, unless it was measured before the last decision: it tells of what was before.
        """
        if at < self._decided:
            return
        log_ratio = self._knowledge.log_ratio.of(probability)
        weight = 1.0
        if self._apart:
            if not in_order:
                return
            weight = min(1.0, (at - self._weighed) / self._apart)
            self._weighed = at
        if log_ratio > 0 and values is not None:
            by = sum(map(excess, values, self._knowledge.signals))
            if self._worst is None or by >= self._worst[0]:
                self._worst = by, values
        if self._evidence.take(log_ratio, weight):
            self._decided = at
            self._tell(min(at, now), values)
        elif self._worst is not None and not self._evidence.in_doubt:
            self._worst = None

    def restart(self) -> None:
        """Forget the test under way, and keep the state."""
        self._evidence.restart()
        self._worst = None

    def forget_times(self) -> None:
        """The sensor's clock was set back: earlier times no longer say what came first."""
        self._decided = self._weighed = _LONG_AGO

    def _tell(self, at: float, values: tuple[float, ...] | None) -> None:
        worst, self._worst = self._worst, None
        if self._evidence.health is not Health.FAULT:
            self._standing.end(FindingKind.MACHINE_FAULT, at, "Its verdicts are healthy again.")
            return
        reading = values if worst is None else worst[1]
        why = _NO_VALUES if reading is None else self._knowledge.reasons.of_fault(reading)
        self._standing.begin(FindingKind.MACHINE_FAULT, at, *why, reading=reading or ())

    def snapshot(self) -> dict[str, Any]:
        """The state, as JSON can hold it."""
        return {
            "evidence": self._evidence.snapshot(),
            "decided": None if self._decided == _LONG_AGO else self._decided,
            "weighed": None if self._weighed == _LONG_AGO else self._weighed,
            "worst": None if self._worst is None else [self._worst[0], list(self._worst[1])],
        }

    def restore(self, state: dict[str, Any], *, same_signals: bool) -> None:
        """Take up a snapshot's state; of gathered evidence, the first test begins anew."""
        if "evidence" not in state:
            return
        self._evidence.restore(state["evidence"])
        decided, weighed, worst = state["decided"], state["weighed"], state["worst"]
        self._decided = _LONG_AGO if decided is None else float(decided)
        self._weighed = _LONG_AGO if weighed is None else float(weighed)
        self._worst = (float(worst[0]), tuple(worst[1])) if same_signals and worst is not None else None
