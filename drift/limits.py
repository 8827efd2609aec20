"""From where on a distance is no chance any more.

The promise is for the family of all tests: at most ``false_flags`` false flags are expected of each 100,000 readings,
whatever the number of signals (Bonferroni: each test gets its share of that; tests that overlap, as windows that move
on by a few readings do, only make the true figure smaller). Half of it is for the fleet, half for single devices.
"""

from dataclasses import dataclass
from functools import lru_cache

from scipy.stats import chi2, kstwo

READINGS = 100_000
_MEASURES = 2
_SCOPES = 2
_PSI_TAIL = 8.0
"""What n x PSI has too much in its tail: it is called chi-squared distributed with bins - 1 degrees of freedom
(B. Yurdakul and J. Naranjo, Statistical properties of the population stability index, Journal of Risk Model Validation
14, 2020), and so it is in the middle. But a bin that is empty by chance weighs more than chi-squared knows: at one in 4
million, windows of 130 to 200 readings in ten bins pass the limit up to 5 times too often, others less (drawn 10
million times for each of eight sizes from 60 to 400; tests/drift holds a part of it)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits at one probability of a false flag.

    Attributes:
        chance: Of one test, on readings that have not drifted.
    """

    chance: float

    def psi(self, bins: int, rows: int, others: int) -> float:
        """The PSI that so many rows, compared with so many others, reach by chance alone."""
        return _chi2_limit(self.chance / _PSI_TAIL, bins - 1) * (1 / rows + 1 / others)

    def ks(self, rows: int, others: int) -> float:
        """The Kolmogorov-Smirnov distance likewise; two samples are as one of the harmonic size (N. Smirnov, 1939)."""
        return _ks_limit(self.chance, max(1, int(1 / (1 / rows + 1 / others))))


def chance_of_a_test(false_flags: float, signals: int, readings_between_looks: int) -> float:
    """The share of one test in the false flags that are borne in 100,000 readings."""
    return false_flags / (_SCOPES * _MEASURES * signals * READINGS / readings_between_looks)


@lru_cache(maxsize=4096)
def _chi2_limit(chance: float, degrees: int) -> float:
    return float(chi2.isf(chance, max(1, degrees)))


@lru_cache(maxsize=4096)
def _ks_limit(chance: float, rows: int) -> float:
    return float(kstwo.isf(chance, rows))
