"""What the model says of one device over time: ADWIN on the probability of a fault.

A. Bifet and R. Gavalda, Learning from time-changing data with adaptive windowing, SIAM 2007, as river has it. A change
is no drift by itself: a fan that breaks is one, and so is its repair. So it stands only as long as the probability
stays away from what it was, and drift is what stands in most devices at once.
"""

from river.drift import ADWIN

_CHANCE = 1e-5
_CLOCK = 16
"""Readings between two looks of ADWIN's own."""
_ENOUGH = 64
"""Readings before a device counts among those of which something can be said."""


class Outputs:
    """The probabilities of one device."""

    def __init__(self) -> None:
        self._adwin = ADWIN(delta=_CHANCE, clock=_CLOCK)  # type: ignore[no-untyped-call]
        self._taken = 0
        self._before: float | None = None
        self._jump = 0.0

    def take(self, probability: float) -> None:
        """One more verdict."""
        before = self._adwin.estimation
        self._adwin.update(probability)  # type: ignore[no-untyped-call]
        self._taken += 1
        now = self._adwin.estimation
        if self._before is not None:
            if abs(now - self._before) < abs(self._jump) / 2:
                self._before = None
            elif self._adwin.drift_detected and abs(now - self._before) > abs(self._jump):
                self._jump = now - self._before  # the window lets go of the time before bit by bit
        elif self._adwin.drift_detected:
            self._before, self._jump = before, now - before

    @property
    def is_known(self) -> bool:
        """Whether there were enough verdicts to tell a change."""
        return self._taken >= _ENOUGH

    @property
    def has_changed(self) -> bool:
        """Whether the probability has changed and stayed away from what it was."""
        return self._before is not None

    @property
    def mean(self) -> float:
        """Mean probability since the last change."""
        return float(self._adwin.estimation)
