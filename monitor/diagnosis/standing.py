"""Standing: what is the case with one device now, and what has changed since somebody asked."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from monitor.findings import Contribution, Finding, FindingKind

NOTHING: Sequence[Finding] = ()

_VALUE_FAULTS = frozenset({FindingKind.FLAT_LINE, FindingKind.OUT_OF_RANGE, FindingKind.SPIKES})


class Standing:
    """The findings of one device that are present, and the changes not yet told."""

    __slots__ = ("_changes", "_device_id", "kinds")

    def __init__(self, device_id: str) -> None:
        self._device_id = device_id
        self._changes: list[Finding] = []
        self.kinds: set[FindingKind] = set()

    @property
    def values_are_doubtful(self) -> bool:
        """Whether a sensor fault stands that touches the values, and not only their time."""
        return bool(self.kinds) and not self.kinds.isdisjoint(_VALUE_FAULTS)

    def begin(
        self,
        kind: FindingKind,
        at: float,
        why: str,
        inspect: str,
        parts: Iterable[Contribution] = (),
        reading: tuple[float, ...] = (),
    ) -> None:
        """Something is the case from that second on, unless it is already."""
        if kind not in self.kinds:
            self.kinds.add(kind)
            moment = datetime.fromtimestamp(at, UTC)
            self._changes.append(
                Finding(self._device_id, kind, True, moment, why, inspect, tuple(parts), reading)
            )

    def end(self, kind: FindingKind, at: float, why: str) -> None:
        """Something is no longer the case, if it was."""
        if kind in self.kinds:
            self.kinds.discard(kind)
            moment = datetime.fromtimestamp(at, UTC)
            self._changes.append(Finding(self._device_id, kind, False, moment, why, ""))

    def changes(self) -> Sequence[Finding]:
        """What has changed since this was last asked."""
        if not self._changes:
            return NOTHING
        changes, self._changes = self._changes, []
        return changes
