"""The order in which a machine measured, out of the order in which its verdicts arrive."""

from bisect import insort
from collections.abc import Sequence
from typing import Any, NamedTuple

_WAIT_S = 2.0
_MOST = 256
_RUNS = 3


class Told(NamedTuple):
    """One verdict; ordered by its number."""

    seq: int
    arrived: float
    """Seconds since 1970 UTC, by our clock."""
    at: float
    """By the sensor's."""
    probability: float
    values: tuple[float, ...] | None


class MeasuredOrder:
    """Hands verdicts on in the order of their readings' numbers.

    Several predictors that share a subscription scatter a machine's readings, and its neighbours overtake each other by
    some milliseconds. A reading whose predecessor is missing waits for it: until it comes, or until a message arrives
    more than two seconds later (it was refused, or is lost), or until 256 wait. What comes after its turn is dropped.
    Without numbers there is nothing to wait for: what is older than the newest is dropped.
    """

    __slots__ = ("_boot", "_former", "_newest", "_next", "_waiting")

    def __init__(self) -> None:
        self._boot: str | None = None
        self._former: list[str] = []
        """bootIDs of the last runs before this one: what still comes of them comes too late."""
        self._next = 0
        self._newest = float("-inf")
        self._waiting: list[Told] = []

    def take(
        self,
        boot: str | None,
        seq: int | None,
        at: float,
        now: float,
        probability: float,
        values: tuple[float, ...] | None,
    ) -> Sequence[Told]:
        """A verdict arrived, for the first time. Returns those whose turn it is, in order."""
        told = Told(-1 if seq is None else seq, now, at, probability, values)
        if seq is None:
            if at < self._newest:
                return ()
            self._newest = at
            return (*self.release(), told) if self._waiting else (told,)
        self._newest = max(self._newest, at)
        boot = boot or ""
        if boot != self._boot:
            return self._begin(boot, told)
        if seq == self._next and not self._waiting:  # as nearly always
            self._next = seq + 1
            return (told,)
        if seq < self._next:
            return ()
        insort(self._waiting, told)
        return self._due(now)

    def release(self) -> Sequence[Told]:
        """Nothing more is awaited: everything that waits, in order."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._next = waiting[-1].seq + 1
        return waiting

    def forget_times(self) -> None:
        """The sensor's clock was set back."""
        self._newest = float("-inf")

    def _begin(self, boot: str, told: Told) -> Sequence[Told]:
        """The first verdict of another run of the device."""
        if boot in self._former:
            return ()
        before = self.release()
        if self._boot is not None:
            self._former = [*self._former, self._boot][-_RUNS:]
        self._boot, self._next = boot, told.seq + 1
        return (*before, told)

    def _due(self, now: float) -> Sequence[Told]:
        waiting = self._waiting
        count = 0
        while count < len(waiting):
            if waiting[count].seq != self._next:
                oldest = min(each.arrived for each in waiting[count:])
                if now - oldest <= _WAIT_S and len(waiting) - count <= _MOST:
                    break
            self._next = waiting[count].seq + 1
            count += 1
        due = waiting[:count]
        del waiting[:count]
        return due

    def snapshot(self) -> dict[str, Any]:
        """The state, as JSON can hold it."""
        return {
            "boot": self._boot,
            "former": list(self._former),
            "next": self._next,
            "newest": None if self._newest == float("-inf") else self._newest,
            "waiting": [list(each) for each in self._waiting],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot's state."""
        self._boot, self._former, self._next = state["boot"], list(state["former"]), int(state["next"])
        self._newest = float("-inf") if state["newest"] is None else float(state["newest"])
        self._waiting = [
            Told(seq, arrived, at, probability, None if values is None else tuple(values))
            for seq, arrived, at, probability, values in state["waiting"]
        ]
