"""What was acknowledged held against what is stored: the core of the check, without a network."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Key(NamedTuple):
    """Names one reading."""

    device: str
    seq: int


@dataclass(frozen=True, slots=True)
class Sent:
    """One reading as it was sent."""

    key: Key
    time_ns: int
    """Where InfluxDB must have it: the sensor's millisecond, plus seq mod 1,000,000 nanoseconds."""
    rotation: float
    fault: int
    """What the model must say of it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One point of telemetry or anomaly, with the one value that is compared."""

    key: Key
    time_ns: int
    value: float


@dataclass(frozen=True, slots=True)
class Audit:
    """The outcome of one comparison. Every list holds acknowledged readings, apart from ``doubled``."""

    acknowledged: int
    missing_readings: list[Key] = field(default_factory=list)
    """Not in telemetry."""
    missing_verdicts: list[Key] = field(default_factory=list)
    """Neither in anomaly nor in fan/rejected."""
    excused: dict[str, list[Key]] = field(default_factory=dict)
    """Missing in one of the two, and the README makes no promise for it; by the words that say so."""
    doubled: list[Key] = field(default_factory=list)
    """Stored more than once."""
    wrong: list[Key] = field(default_factory=list)
    """Stored at another time, with another value or with another verdict than it must have."""

    @property
    def lost(self) -> int:
        """Acknowledged readings that are missing somewhere, within the documented limit or not."""
        return len(set(self.missing_readings) | set(self.missing_verdicts))

    @property
    def broken_promises(self) -> int:
        """What the README promises and did not happen."""
        missing = set(self.missing_readings) | set(self.missing_verdicts)
        return len((missing - self._all_excused()) | set(self.doubled) | set(self.wrong))

    def _all_excused(self) -> set[Key]:
        return {key for keys in self.excused.values() for key in keys}

    def sentence(self) -> str:
        """The outcome for a person."""
        found = [
            (len(set(self.missing_readings) - self._all_excused()), "not in telemetry"),
            (len(set(self.missing_verdicts) - self._all_excused()), "without verdict"),
            (len(self.doubled), "stored twice"),
            (len(self.wrong), "stored wrongly"),
            *((len(keys), f"lost: {why}") for why, keys in self.excused.items()),
        ]
        said = [f"{count} {what}" for count, what in found if count]
        return ", ".join(said) if said else "each stored once, with its verdict"


def audit(
    acknowledged: Mapping[Key, Sent],
    telemetry: Iterable[Stored],
    anomaly: Iterable[Stored],
    *,
    rejected: Iterable[Key] = (),
    excused: Mapping[str, set[Key]] | None = None,
    unacknowledged: Mapping[Key, Sent] | None = None,
) -> Audit:
    """Compare.

    Args:
        acknowledged: What the broker acknowledged.
        telemetry: Every point of these devices in telemetry, with its rotation.
        anomaly: Every point of these devices in anomaly, with its fault.
        rejected: What came out on fan/rejected.
        excused: Readings for which no promise is made, by the words that say so.
        unacknowledged: What was sent and not acknowledged: it may be stored, but rightly and once.
    """
    known = {**(unacknowledged or {}), **acknowledged}
    doubled: set[Key] = set()
    wrong: set[Key] = set()
    seen: list[set[Key]] = []
    for points, value_of in ((telemetry, _rotation), (anomaly, _fault)):
        counts: Counter[Key] = Counter()
        for point in points:
            counts[point.key] += 1
            sent = known.get(point.key)
            if sent is None or (point.time_ns, point.value) != (sent.time_ns, value_of(sent)):
                wrong.add(point.key)
        doubled |= {key for key, count in counts.items() if count > 1}
        seen.append(set(counts))
    missing_readings = acknowledged.keys() - seen[0]
    missing_verdicts = acknowledged.keys() - seen[1] - set(rejected)
    return Audit(
        acknowledged=len(acknowledged),
        missing_readings=sorted(missing_readings),
        missing_verdicts=sorted(missing_verdicts),
        excused=_each_once(missing_readings | missing_verdicts, excused or {}),
        doubled=sorted(doubled),
        wrong=sorted(wrong),
    )


def _each_once(missing: set[Key], excused: Mapping[str, set[Key]]) -> dict[str, list[Key]]:
    """The missing ones by the words that excuse them; one that two excuse counts under the first."""
    left = set(missing)
    found = {}
    for why, keys in excused.items():
        found[why] = sorted(left & keys)
        left -= keys
    return found


def stored_of(rows: Iterable[Mapping[str, Any]], value: str) -> list[Stored]:
    """The points of a query that selects seq and one value, grouped by deviceID."""
    return [
        Stored(Key(row["deviceID"], int(row["seq"])), int(row["time"]), float(row[value])) for row in rows
    ]


def _rotation(sent: Sent) -> float:
    return sent.rotation


def _fault(sent: Sent) -> float:
    return float(sent.fault)
