"""How right and how quick the monitor's state of a fan is, on streams of the known distributions.

Readings are drawn as training.fan draws them, scored by the committed bundle as they are served, and told to the
monitor's own core, sensor checks and all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from contract.bundle import Manifest
from monitor.diagnosis.device import DeviceDiagnosis
from monitor.diagnosis.evidence import Health
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import Plant
from training.bundle import LITERT_FILE, litert_probabilities, read_manifest
from training.dataset import read_csv
from training.fan import FAULTY, HEALTHY

SETTLING_READINGS = 10
"""From the tenth reading on a state must be right."""

_INTERVAL_S = 2.0
_BEFORE_CHANGE = 30
_AFTER_CHANGE = 60

Rows = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HealthFigures:
    """What the states were like.

    Attributes:
        states: States that were judged: of the tenth reading and later ones of streams without a change.
        wrong: Those of them that were not the stream's condition.
        longest_stream: Readings of the longest stream without a change.
        flaps: Changes of state after the tenth reading of streams without a change.
        to_fault: Readings from each healthy stream's break until its state was a fault.
        to_healthy: Readings from each faulty stream's repair until its state was healthy.
    """

    states: int
    wrong: int
    longest_stream: int
    flaps: int
    to_fault: npt.NDArray[np.int64]
    to_healthy: npt.NDArray[np.int64]

    def figures(self) -> dict[str, float]:
        """As numbers for a file."""
        return {
            "states_judged": self.states,
            "wrong_states": self.wrong,
            "longest_stream_readings": self.longest_stream,
            "flaps": self.flaps,
            "readings_to_fault_median": float(np.median(self.to_fault)),
            "readings_to_fault_95": float(np.quantile(self.to_fault, 0.95)),
            "readings_to_healthy_median": float(np.median(self.to_healthy)),
            "readings_to_healthy_95": float(np.quantile(self.to_healthy, 0.95)),
        }


def study_health(
    bundle: Path, *, streams: int, readings: int, long_readings: int, seed: int
) -> HealthFigures:
    """Draw streams and judge the states.

    Args:
        bundle: Folder of the fan's model.
        streams: Streams of each condition, and of each change.
        readings: Length of a stream without a change.
        long_readings: Length of one more of each condition, which shows flaps.
        seed: Of all draws.
    """
    chance = np.random.default_rng(seed)
    judge = _Judge(bundle)
    states = wrong = flaps = 0
    for truth in (Health.HEALTHY, Health.FAULT):
        for length in [*[readings] * streams, long_readings]:
            found = judge.states(_draw(chance, truth, length))[SETTLING_READINGS - 1 :]
            states += len(found)
            wrong += sum(health is not truth for health in found)
            flaps += sum(before is not after for before, after in pairwise(found))
    delays = {
        after: np.array([judge.delay(chance, before, after) for _ in range(streams)])
        for before, after in ((Health.HEALTHY, Health.FAULT), (Health.FAULT, Health.HEALTHY))
    }
    return HealthFigures(
        states, wrong, max(readings, long_readings), flaps, delays[Health.FAULT], delays[Health.HEALTHY]
    )


def study_recording(bundle: Path, recording: Path) -> tuple[int, int, int]:
    """The same on recorded readings of fans that do not change: states judged, wrong ones, flaps.

    Args:
        bundle: Folder of the fan's model.
        recording: CSV with the signals and the label ``faulty``; the healthy rows and the faulty ones are each told as
            one stream, in the order of the file.

    Raises:
        training.dataset.InvalidData: The file is not such a recording.
    """
    judge = _Judge(bundle)
    data = read_csv(recording, judge.manifest.signals)
    states = wrong = flaps = 0
    for truth, label in ((Health.HEALTHY, 0), (Health.FAULT, 1)):
        found = judge.states(data.signals[data.labels == label])[SETTLING_READINGS - 1 :]
        states += len(found)
        wrong += sum(health is not truth for health in found)
        flaps += sum(before is not after for before, after in pairwise(found))
    return states, wrong, flaps


class _Judge:
    def __init__(self, bundle: Path) -> None:
        self.manifest: Manifest = read_manifest(bundle)
        self._model = (bundle / LITERT_FILE).read_bytes()
        self._knowledge = Knowledge(Plant.read())

    def states(self, rows: Rows) -> list[Health]:
        """The state after each reading [n, k]."""
        return list(self._walk(rows))

    def delay(self, chance: np.random.Generator, before: Health, after: Health) -> int:
        """Readings from a change until the state has followed; the whole length when it never did."""
        rows = np.vstack([_draw(chance, before, _BEFORE_CHANGE), _draw(chance, after, _AFTER_CHANGE)])
        for number, health in enumerate(self._walk(rows), 1 - _BEFORE_CHANGE):
            if number > 0 and health is after:
                return number
        return _AFTER_CHANGE

    def _walk(self, rows: Rows) -> Iterator[Health]:
        device = DeviceDiagnosis("1", self._knowledge)
        probabilities = litert_probabilities(self._model, rows).tolist()
        for seq, (probability, values) in enumerate(zip(probabilities, rows.tolist(), strict=True)):
            at = seq * _INTERVAL_S
            device.on_verdict(at, at, probability, tuple(values), "drawn", seq)
            yield device.health


def _draw(chance: np.random.Generator, condition: Health, count: int) -> Rows:
    box = FAULTY if condition is Health.FAULT else HEALTHY
    return np.round(chance.uniform(box.low, box.high, (count, len(box.low))), 1)
