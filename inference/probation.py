"""Probation: a model that has just become the champion is watched, and given up when it fails or is slow.

Pure: it is told of every request that the model scored, and asked whether that is still good enough.
"""

import math
from collections import deque
from dataclasses import dataclass

_RECENT = 1000


@dataclass(frozen=True, slots=True)
class ProbationLimits:
    """What a new champion must keep to."""

    lasts_s: float = 600.0
    """So long it is watched; afterwards its faults are everybody's."""
    least_requests: int = 50
    """Fewer tell nothing."""
    most_failed: float = 0.01
    """Share of requests that it may fail while the model before it does not."""
    p99_s: float = 0.25
    """Of the time to score one request, seconds."""


class Probation:
    """The first minutes of one champion; for one thread at a time.

    Args:
        limits: What it must keep to.
        began: When it became the champion, by a clock that is never set back, seconds.
    """

    def __init__(self, limits: ProbationLimits, began: float) -> None:
        self._limits = limits
        self._ends = began + limits.lasts_s
        self._seconds: deque[float] = deque(maxlen=_RECENT)
        self._requests = 0
        self._failed = 0

    def is_over(self, now: float) -> bool:
        """Whether it is watched no more."""
        return now >= self._ends

    def note(self, seconds: float, *, failed: bool) -> str | None:
        """It scored a request, or failed to.

        Args:
            seconds: How long it took.
            failed: It gave no probabilities, for rows that the model before it can score.

        Returns:
            Why it is to be given up, as a sentence; None while it keeps to its limits.
        """
        self._requests += 1
        self._failed += failed
        self._seconds.append(seconds)
        limits = self._limits
        if self._requests < limits.least_requests:
            return None
        if self._failed > limits.most_failed * self._requests:
            return (
                f"{self._failed} of its first {self._requests} requests failed; "
                f"expected at most {limits.most_failed:.1%}"
            )
        if seconds > limits.p99_s and (p99 := self._p99()) > limits.p99_s:
            return f"its p99 is {1000 * p99:.0f} ms; expected at most {1000 * limits.p99_s:.0f} ms"
        return None

    def _p99(self) -> float:
        """The nearest rank, of the newest requests."""
        return sorted(self._seconds)[math.ceil(0.99 * len(self._seconds)) - 1]
