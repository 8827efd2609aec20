"""Health: what every way of telling a machine's condition by its verdicts can do, and which one a plant chose."""

from collections.abc import Sequence
from typing import Any, Protocol

from monitor.diagnosis.evidence import Health
from monitor.diagnosis.gathered_health import GatheredHealth
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import EvidenceKind, Maintenance
from monitor.diagnosis.sequential_health import SequentialHealth
from monitor.diagnosis.standing import Standing


class MachineHealth(Protocol):
    """Turns the verdicts of one machine that count into MACHINE_FAULT, present or not."""

    @property
    def health(self) -> Health:
        """What the evidence says."""

    def count(
        self, probability: float, at: float, now: float, values: tuple[float, ...] | None, *, in_order: bool
    ) -> None:
        """Weigh one verdict on a reading of the second ``at``, told at ``now``."""

    def restart(self) -> None:
        """What comes next is no neighbour of what came last; the state stays."""

    def forget_times(self) -> None:
        """The sensor's clock was set back: earlier times no longer say what came first."""

    def snapshot(self) -> dict[str, Any]:
        """The state, as JSON can hold it."""

    def restore(self, state: dict[str, Any], *, same_signals: bool) -> None:
        """Take up a snapshot's state; one of the other way of telling begins anew."""


def machine_health(
    knowledge: Knowledge, standing: Standing, maintenance: Sequence[Maintenance]
) -> MachineHealth:
    """The health of one machine, told in the way that its plant's file chooses."""
    if knowledge.plant.health.evidence is EvidenceKind.GATHERING:
        return GatheredHealth(knowledge, standing, maintenance)
    return SequentialHealth(knowledge, standing)
