"""The machine's health out of gathered evidence: for machines whose model has never seen a fault."""

from collections.abc import Sequence
from typing import Any

from monitor.diagnosis.evidence import Health
from monitor.diagnosis.gathering import Gathering
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import Maintenance
from monitor.diagnosis.standing import Standing
from monitor.findings import FindingKind


class GatheredHealth:
    """Turns the verdicts of one machine, and the signals in them, into MACHINE_FAULT, present or not.

    Readings have to come in the order in which they were measured (MeasuredOrder sees to it). The first ones are
    learned from, and again the first ones behind a planned maintenance that says ``learn_anew``; until then the
    health is unknown. Readings that do not count (a broken sensor, a standstill) are left out, and what was learned
    stays.
    """

    __slots__ = ("_anew_after", "_gathering", "_knowledge", "_learned_from", "_standing", "health")

    def __init__(self, knowledge: Knowledge, standing: Standing, maintenance: Sequence[Maintenance]) -> None:
        self._knowledge = knowledge
        self._standing = standing
        self._anew_after = [
            window.end.timestamp() for window in maintenance if window.learn_anew and window.end is not None
        ]
        self._gathering = Gathering(knowledge.names, knowledge.plant.gathering)
        self._learned_from: float | None = None
        """When the first reading of what was learned from was measured."""
        self.health = Health.UNKNOWN
        """What the evidence says."""

    def count(
        self, probability: float, at: float, now: float, values: tuple[float, ...] | None, *, in_order: bool
    ) -> None:
        """Weigh one verdict on a reading of the second ``at``; one that is late or lacks a signal tells nothing."""
        if values is None or not in_order:
            return
        self._learn_anew_if_due(at, now)
        gathered = self._gathering.step(values, probability)
        if gathered.learning:
            return
        health = Health.FAULT if gathered.fault else Health.HEALTHY
        if health is not self.health:
            self.health = health
            self._tell(min(at, now))

    def restart(self) -> None:
        """Readings that do not count have come between; the levels stay what they were."""

    def forget_times(self) -> None:
        """The sensor's clock was set back: nothing here counts in time, but for maintenance that is over."""

    def _learn_anew_if_due(self, at: float, now: float) -> None:
        since = self._learned_from
        if since is None:
            self._learned_from = at
        elif self._anew_after and any(since < end <= at for end in self._anew_after):
            self._gathering = Gathering(self._knowledge.names, self._knowledge.plant.gathering)
            self._learned_from = at
            self.health = Health.UNKNOWN
            why = "It was maintained; what is usual for it is learned anew."
            self._standing.end(FindingKind.MACHINE_FAULT, min(at, now), why)

    def _tell(self, at: float) -> None:
        if self.health is not Health.FAULT:
            self._standing.end(FindingKind.MACHINE_FAULT, at, "Its signals are back at their usual levels.")
            return
        strayed, smoothed = self._gathering.strayed(), self._gathering.smoothed()
        why = self._knowledge.reasons.of_strayed(strayed, smoothed)
        # Where a signal has strayed, that is the reason; the model is asked only about what it alone has seen.
        reading = () if any(channel.signal is not None for channel in strayed) else smoothed
        self._standing.begin(FindingKind.MACHINE_FAULT, at, *why, reading=reading)

    def snapshot(self) -> dict[str, Any]:
        """The state, as JSON can hold it."""
        return {
            "gathering": self._gathering.state(),
            "health": self.health.value,
            "learned_from": self._learned_from,
        }

    def restore(self, state: dict[str, Any], *, same_signals: bool) -> None:
        """Take up a snapshot's state; of other signals, or of the sequential test, it is learned anew."""
        if not same_signals or "gathering" not in state:
            return
        self._gathering = Gathering.of_state(state["gathering"], self._knowledge.plant.gathering)
        self.health = Health(state["health"])
        learned_from = state["learned_from"]
        self._learned_from = None if learned_from is None else float(learned_from)
