"""Which readings may be acknowledged: in order of arrival, each after its verdict is confirmed."""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Pending:
    mid: int
    confirmed: bool = False


@dataclass(slots=True)
class AcknowledgementWindow:
    """The readings of one connection that wait for their verdict to be confirmed.

    MQTT 5 section 4.6 asks a receiver to acknowledge in the order in which messages came, so a confirmed
    reading waits for those before it.
    """

    _in_order: deque[_Pending] = field(default_factory=deque)
    _by_verdict: dict[int, _Pending] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._in_order)

    def __contains__(self, verdict_mid: int) -> bool:
        return verdict_mid in self._by_verdict

    def add(self, reading_mid: int, verdict_mid: int) -> None:
        """A reading, in order of arrival, and the packet identifier of what was published for it."""
        pending = _Pending(reading_mid)
        self._in_order.append(pending)
        self._by_verdict[verdict_mid] = pending

    def confirm(self, verdict_mid: int) -> list[int]:
        """The broker has taken a verdict: the readings that may now be acknowledged, in order.

        A verdict of an earlier connection is nobody's here and changes nothing.
        """
        pending = self._by_verdict.pop(verdict_mid, None)
        if pending is None:
            return []
        pending.confirmed = True
        ready = []
        while self._in_order and self._in_order[0].confirmed:
            ready.append(self._in_order.popleft().mid)
        return ready

    def forget(self) -> None:
        """The connection is gone: the broker sends every unacknowledged reading again."""
        self._in_order.clear()
        self._by_verdict.clear()
