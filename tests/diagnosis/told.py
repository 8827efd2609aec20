"""A diagnosis that is told simulated fans' readings, scored by the committed model as they are served."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from contract.command import Condition, FanCommand
from monitor.diagnosis.core import Diagnosis
from monitor.diagnosis.device import Status
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import Plant
from monitor.findings import Finding, FindingKind
from simulator.fan import Fan
from tests.monitor.still_clock import StillClock
from training.bundle import LITERT_FILE, litert_probabilities

REPOSITORY = Path(__file__).parents[2]
MODEL = (REPOSITORY / "models/fan" / LITERT_FILE).read_bytes()
INTERVAL_S = 2.0

Values = tuple[float, float, float, float]
RUNNING: Values = (600.0, 40.0, 150.0, 48.0)


def score(rows: Sequence[Sequence[float]]) -> list[float]:
    return litert_probabilities(MODEL, np.array(rows)).tolist()  # type: ignore[no-any-return]


@dataclass
class Told:
    """One diagnosis, its clock, and everything that it found."""

    plant: Plant = field(default_factory=Plant.read)
    clock: StillClock = field(default_factory=StillClock)
    found: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.diagnosis = Diagnosis(self.clock, Knowledge(self.plant, score))
        self._seq = 0
        self._fans: dict[str, Fan] = {}

    def tell(self, values: Values, *, fan: str = "1", probability: float | None = None) -> list[Finding]:
        """The next reading, measured now."""
        self.clock.advance(INTERVAL_S)
        self._seq += 1
        chance = score([values])[0] if probability is None else probability
        taken = self.diagnosis.take(fan, self.clock.now(), chance, values, "boot", self._seq)
        return self._note([*self.diagnosis.tick(), *taken])

    def tell_all(self, rows: Iterable[Values], *, fan: str = "1") -> list[Finding]:
        return [finding for values in rows for finding in self.tell(values, fan=fan)]

    def run(self, condition: Condition, readings: int, *, fan: str = "1", seed: int = 1) -> list[Finding]:
        """A simulated fan in a condition; silent ones only let time pass."""
        simulated = self._fans.setdefault(fan, Fan(fan, seed=seed))
        simulated.obey(FanCommand(condition=condition), self.clock.elapsed())
        found = []
        for _ in range(readings):
            signals = simulated.measure(self.clock.elapsed())
            if signals is None:
                found += self.wait(INTERVAL_S)
            else:
                found += self.tell(tuple(signals.values()), fan=fan)  # type: ignore[arg-type]
        return found

    def wait(self, seconds: float) -> list[Finding]:
        self.clock.advance(seconds)
        return self._note(list(self.diagnosis.tick()))

    def status(self, fan: str = "1") -> Status:
        device = self.diagnosis.device(fan)
        assert device is not None
        return device.status(self.clock.now())

    def _note(self, found: list[Finding]) -> list[Finding]:
        self.found += found
        return found


def changes(found: Iterable[Finding]) -> list[tuple[FindingKind, bool]]:
    return [(finding.kind, finding.present) for finding in found]
