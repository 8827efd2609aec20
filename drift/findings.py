"""What the drift watch finds, and how it says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Who has drifted, which is what tells what to do."""

    SEASON = "season"
    """All devices together, in a signal: the plant around them has changed, and the model has not learned that."""
    SENSOR = "sensor"
    """One device, in one signal: its sensor."""
    MACHINE = "machine"
    """One device, in several signals: the machine itself, which is the monitor's business."""
    OUTPUT = "output"
    """Most devices, in what the model says of them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that has drifted.

    Attributes:
        kind: Who.
        signals: In what; none of an output.
        device_id: Of a sensor or a machine.
        words: For a person: what is different, by how much, and what to do.
    """

    kind: Kind
    words: str
    signals: tuple[str, ...] = ()
    device_id: str | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """A signal's median, then and now.

    Attributes:
        signal: Its name.
        unit: Of both medians.
        trained: Of the training rows that the model calls healthy.
        found: Of the window's.
    """

    signal: str
    unit: str
    trained: float
    found: float

    def __str__(self) -> str:
        """As a person says it."""
        if self.found == self.trained:
            return f"{self.signal} is spread otherwise around {self.found:.4g} {self.unit}"
        more = f" ({(self.found - self.trained) / abs(self.trained):+.0%})" if self.trained else ""
        return f"{self.signal} is around {self.found:.4g} {self.unit}{more}, in training {self.trained:.4g}"


def season(shifts: Sequence[Shift]) -> Finding:
    """All devices have drifted, in these signals."""
    return Finding(
        Kind.SEASON,
        f"All devices have drifted together: {_listed(shifts)}. A season, another load or another supply, not a "
        "sensor. The model has not seen such readings: train it again with new ones (fanwatch pipeline run).",
        tuple(shift.signal for shift in shifts),
    )


def single(device_id: str, shifts: Sequence[Shift]) -> Finding:
    """One device differs from what was trained, and the others do not."""
    signals = tuple(shift.signal for shift in shifts)
    if len(shifts) == 1:
        words = (
            f"Only device {device_id} has drifted, and only in one signal: {shifts[0]}. Its sensor is broken, loose "
            "or newly scaled: check it. The model needs no training."
        )
        return Finding(Kind.SENSOR, words, signals, device_id)
    words = (
        f"Only device {device_id} has drifted, in several signals: {_listed(shifts)}. The machine itself has changed: "
        "see what the live page says of it. The model needs no training."
    )
    return Finding(Kind.MACHINE, words, signals, device_id)


def output(changed: Mapping[str, float], devices: int) -> Finding:
    """The model says something else of most devices than it did.

    Args:
        changed: Mean probability of a fault now, by device.
        devices: Of so many.
    """
    mean = sum(changed.values()) / len(changed)
    return Finding(
        Kind.OUTPUT,
        f"What the model says of {len(changed)} of {devices} devices has changed and stays so: the mean "
        f"probability of a fault is {mean:.2f} there. If these machines are sound, the model has to be trained again "
        "or taken back.",
    )


def _listed(shifts: Sequence[Shift]) -> str:
    return "; ".join(map(str, shifts))
