"""How often somebody may try to sign in: pure, with an injected clock."""

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass

from monitor.clock import Clock

_MOST_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many failures within so many seconds."""

    failures: int
    within_s: float


PERSON_AT_ADDRESS = Limit(5, 300)
"""Enough for somebody in gloves; a guesser gets 1,440 tries a day."""
ADDRESS = Limit(30, 300)
"""Above it, because behind a proxy or Docker's everybody may have one address."""
PERSON = Limit(50, 3600)
"""From wherever they come. It can lock a person out for an hour, not those who are signed in."""

_Key = tuple[str, ...]


class AttemptLimiter:
    """Counts attempts and says who has to wait.

    An attempt counts from the moment that it is made, so that many at once cannot slip through together; one that
    succeeds is taken back, with the failures before it of that person at that address.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[_Key, deque[float]] = OrderedDict()

    def begin(self, name: str, address: str) -> float:
        """Somebody tries.

        Returns:
            0 when they may; otherwise in how many seconds they may again, and this attempt does not count.
        """
        now = self._clock.elapsed()
        with self._lock:
            wait = max(self._wait(key, limit, now) for key, limit in _keys(name, address))
            if wait > 0:
                return wait
            for key, _ in _keys(name, address):
                self._failures.setdefault(key, deque()).append(now)
                self._failures.move_to_end(key)
            while len(self._failures) > _MOST_REMEMBERED:
                self._failures.popitem(last=False)
        return 0.0

    def succeeded(self, name: str, address: str) -> None:
        """The attempt was the right password."""
        mine, *others = [key for key, _ in _keys(name, address)]
        with self._lock:
            self._failures.pop(mine, None)
            for key in others:
                if self._failures.get(key):
                    self._failures[key].pop()

    def _wait(self, key: _Key, limit: Limit, now: float) -> float:
        times = self._failures.get(key)
        if times is None:
            return 0.0
        while times and now - times[0] >= limit.within_s:
            times.popleft()
        if not times:
            del self._failures[key]
            return 0.0
        if len(times) < limit.failures:
            return 0.0
        return times[len(times) - limit.failures] + limit.within_s - now


def _keys(name: str, address: str) -> tuple[tuple[_Key, Limit], ...]:
    name = name[:64].casefold()
    return (
        (("person at address", name, address), PERSON_AT_ADDRESS),
        (("address", address), ADDRESS),
        (("person", name), PERSON),
    )
