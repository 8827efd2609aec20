"""The demo's bookkeeping: every reading by (deviceID, bootID, seq), its verdict or its refusal, and how long it took.

Pure: it is told what arrived and when, and knows neither clock nor broker.
"""

import math
from collections import deque
from dataclasses import asdict, dataclass

from demo.truth import Truth

LATENCIES_KEPT = 100_000
"""The percentiles are those of so many of the newest verdicts, so that a demo may run for days."""

Key = tuple[str, str, int]
"""deviceID, bootID, seq."""


class NumberSet:
    """A set of numbers that mostly count up from 0 without a gap, kept in little memory."""

    def __init__(self) -> None:
        self._below = 0  # all numbers below are members
        self._above: set[int] = set()

    def add(self, number: int) -> bool:
        """Add a number; False when it was there already."""
        if number in self:
            return False
        self._above.add(number)
        while self._below in self._above:
            self._above.remove(self._below)
            self._below += 1
        return True

    def __contains__(self, number: int) -> bool:
        """Whether the number is a member."""
        return number < self._below or number in self._above

    def __len__(self) -> int:
        """How many numbers are members."""
        return self._below + len(self._above)


class KeySet:
    """A set of keys: a NumberSet for each run of each device."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], NumberSet] = {}

    def add(self, key: Key) -> bool:
        """Add a key; False when it was there already."""
        return self._runs.setdefault(key[:2], NumberSet()).add(key[2])

    def __contains__(self, key: Key) -> bool:
        """Whether the key is a member."""
        numbers = self._runs.get(key[:2])
        return numbers is not None and key[2] in numbers

    def __len__(self) -> int:
        """How many keys are members."""
        return sum(len(numbers) for numbers in self._runs.values())


@dataclass(frozen=True, slots=True)
class Figures:
    """What the demo measured. Times are None as long as there was no verdict."""

    published: int
    """Readings that the broker has passed on."""
    scored: int
    """Of those, the ones that got a verdict."""
    rejected: int
    """... and the ones that were refused, with a reason."""
    missing: int
    """... and the ones that got neither (yet)."""
    accuracy: float | None
    """Share of verdicts that agree with what the simulator did, of those where it knows."""
    p50_ms: float | None
    """Median time from the sensor's time stamp to the arrival of the verdict, milliseconds."""
    p99_ms: float | None
    """99th percentile of the same."""
    first_verdict_s: float | None
    """From the start of the services to the first verdict, seconds."""

    def as_dict(self) -> dict[str, int | float | None]:
        """The figures by name, in their order."""
        return asdict(self)


class Ledger:
    """Counts what arrives; duplicates (delivery is at least once) count once.

    Args:
        truth: What verdicts ought to be.
        started_s: When the services were started, Unix time.
    """

    def __init__(self, truth: Truth, started_s: float) -> None:
        self._truth = truth
        self._started_s = started_s
        self._published = KeySet()
        self._answered = KeySet()
        self._scored = 0
        self._rejected = 0
        self._unjudged: list[tuple[Key, int]] = []
        self._right = 0
        self._judged = 0
        self._latencies_s: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._first_verdict_s: float | None = None
        self._closed = False

    def close(self) -> None:
        """From here on only answers count, to what was published before."""
        self._closed = True

    def reading(self, key: Key) -> None:
        """A reading passed the broker."""
        if not self._closed:
            self._published.add(key)

    def verdict(self, key: Key, *, fault: int, measured_s: float, arrived_s: float) -> None:
        """A verdict arrived at Unix time arrived_s, on a reading of Unix time measured_s."""
        if not self._is_first_answer(key):
            return
        self._scored += 1
        self._latencies_s.append(arrived_s - measured_s)
        if self._first_verdict_s is None:
            self._first_verdict_s = arrived_s - self._started_s
        self._unjudged.append((key, fault))

    def rejection(self, key: Key) -> None:
        """A refusal arrived."""
        if self._is_first_answer(key):
            self._rejected += 1

    @property
    def missing(self) -> int:
        """Readings without an answer so far."""
        return len(self._published) - len(self._answered)

    def figures(self) -> Figures:
        """Everything so far."""
        self._judge()
        latencies = sorted(self._latencies_s)
        return Figures(
            published=len(self._published),
            scored=self._scored,
            rejected=self._rejected,
            missing=self.missing,
            accuracy=round(self._right / self._judged, 4) if self._judged else None,
            p50_ms=_percentile_ms(latencies, 0.50),
            p99_ms=_percentile_ms(latencies, 0.99),
            first_verdict_s=None if self._first_verdict_s is None else round(self._first_verdict_s, 3),
        )

    def _is_first_answer(self, key: Key) -> bool:
        """Note an answer, and that its reading was published: an answer may overtake it on its way to us."""
        if self._closed and key not in self._published:
            return False
        self._published.add(key)
        return self._answered.add(key)

    def _judge(self) -> None:
        self._truth.read_on()
        for (device_id, boot_id, seq), fault in self._unjudged:
            right = self._truth.fault(device_id, boot_id, seq)
            if right is not None:
                self._judged += 1
                self._right += fault == right
        self._unjudged.clear()


def _percentile_ms(ascending_s: list[float], share: float) -> float | None:
    """The nearest-rank percentile, in milliseconds."""
    if not ascending_s:
        return None
    rank = max(1, math.ceil(share * len(ascending_s)))
    return round(ascending_s[rank - 1] * 1000, 2)
