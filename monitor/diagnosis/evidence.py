"""Evidence: one machine's health from successive verdicts, by a sequential probability ratio test.

A. Wald, Sequential Tests of Statistical Hypotheses, Annals of Mathematical Statistics 16 (1945): add up the log
likelihood ratios of the readings; decide "fault" at log((1 - beta) / alpha) and "healthy" at log(beta / (1 - alpha)).
A calibrated probability p gives the ratio: log p/(1 - p), less the same of the prior it was calibrated on.

The first test is Wald's, cut off by its sign after a number of readings. After a decision tests go on for a change:
each ends where its sum falls back to 0, and starts anew (E. S. Page, Continuous Inspection Schemes, Biometrika 41,
1954).
Between two false changes lie at least 1/alpha readings on average (G. Lorden, Procedures for Reacting to a Change in
Distribution, Annals of Mathematical Statistics 42, 1971).
"""

from enum import StrEnum
from math import exp, log
from typing import Any

from monitor.diagnosis.plant import EvidenceSettings


class Health(StrEnum):
    """What the evidence says of a machine."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    FAULT = "fault"


class LogRatio:
    """From a calibrated probability to the log likelihood ratio of one reading, bounded."""

    def __init__(self, settings: EvidenceSettings) -> None:
        self._prior = log(settings.prior_fault / (1 - settings.prior_fault))
        self._most = settings.one_reading_at_most
        # Outside of these probabilities the bound holds, and a logarithm of 0 is never asked for.
        self._lowest = 1 / (1 + exp(self._most - self._prior))
        self._highest = 1 / (1 + exp(-self._most - self._prior))

    def of(self, probability: float) -> float:
        """The ratio, between plus and minus ``one_reading_at_most``."""
        if probability <= self._lowest:
            return -self._most
        if probability >= self._highest:
            return self._most
        return log(probability / (1 - probability)) - self._prior


class Evidence:
    """The running test of one machine. The order of the readings within a test hardly matters, their number does."""

    __slots__ = ("_accept", "_count", "_first", "_longest", "_reject", "_sum", "health")

    def __init__(self, settings: EvidenceSettings) -> None:
        alpha, beta = settings.false_fault_rate, settings.false_healthy_rate
        self._reject = log((1 - beta) / alpha)
        self._accept = log((1 - alpha) / beta)
        self._first = settings.first_decision_readings
        self._longest = settings.longest_run_readings
        self.health = Health.UNKNOWN
        self._sum = 0.0
        self._count = 0.0

    @property
    def in_doubt(self) -> bool:
        """Whether a test is under way that may change the state."""
        return self._count > 0

    def take(self, log_ratio: float, weight: float = 1.0) -> bool:
        """Weigh one reading; a positive ratio speaks for a fault.

        Args:
            log_ratio: Of the reading.
            weight: 1 for a reading that is independent of those before, less for one that says the same again.

        Returns:
            Whether the health has changed.
        """
        health = self.health
        total = self._sum + log_ratio * weight
        self._count += weight
        if health is Health.UNKNOWN:
            self._first_test(total)
        else:
            # How far the sum speaks for the other state, and how far it must.
            against, bound = (total, self._reject) if health is Health.HEALTHY else (-total, self._accept)
            if against >= bound:
                self._decide(Health.FAULT if health is Health.HEALTHY else Health.HEALTHY)
            elif against <= 0 or self._count >= self._longest:
                self.restart()
            else:
                self._sum = total
        return self.health is not health

    def _first_test(self, total: float) -> None:
        cut_off = self._count >= self._first
        if total >= self._reject or (cut_off and total > 0):
            self._decide(Health.FAULT)
        elif total <= -self._accept or cut_off:
            self._decide(Health.HEALTHY)
        else:
            self._sum = total

    def restart(self) -> None:
        """Forget the test under way, and keep the state."""
        self._sum, self._count = 0.0, 0.0

    def _decide(self, health: Health) -> None:
        self.health = health
        self.restart()

    def snapshot(self) -> list[Any]:
        """The state, as JSON can hold it."""
        return [self.health.value, self._sum, self._count]

    def restore(self, state: list[Any]) -> None:
        """Take up a snapshot's state."""
        self.health, self._sum, self._count = Health(state[0]), float(state[1]), float(state[2])
