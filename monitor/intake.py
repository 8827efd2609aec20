"""Intake: what the diagnosis was told, entry by entry, and what of it a restart still needs.

A write-ahead log with checkpoints (J. Gray and A. Reuter, Transaction Processing, 1992, chapters 9 to 11), since the
whole state of a device is 20 kB and one more reading is 250 bytes of news. Each commit holds the messages that it is
about, and a full snapshot of a few devices only: of those whose oldest entry is the oldest of all, one for every so
many entries. So the cost of a reading is flat, the log is bounded by that many entries for each device, and what has
not been written as a snapshot is told to the diagnosis again. Why that gives the same state:

- the diagnosis is a function of what it was told and in which order; the moment of arrival, which it also looks at, is
  part of the entry;
- a message is acknowledged to the broker after the commit that holds its entry, so after a kill it comes again or is
  in the log, and a message that is in the log and comes again (killed between commit and acknowledgement) is known by
  its body: the log keeps at least as many entries as the broker sends ahead of acknowledgements;
- the findings that the diagnosis makes when it is told again are dropped: they were committed with their entries.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class EntryKind(StrEnum):
    """What the body of an entry is."""

    VERDICT = "verdict"
    REJECTION = "rejection"
    SILENCE = "silence"


class Entry(NamedTuple):
    """One thing that the diagnosis was told."""

    number: int
    at: float
    """When, by our clock, seconds since 1970 UTC."""
    kind: EntryKind
    body: bytes
    """The message as it came; of a silence JSON: [deviceID, seconds]."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The whole state of one device after the entries up to a number."""

    through: int
    state: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """What one commit must hold of the diagnosis."""

    entries: tuple[Entry, ...] = ()
    checkpoints: Mapping[str, Checkpoint] = field(default_factory=dict)
    needed_from: int = 0
    """Entries of lower numbers are of no more use."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a restart begins with; entries in their order."""

    checkpoints: Mapping[str, Checkpoint]
    entries: Iterable[Entry]


class IntakeLog:
    """Decides what is written down; for one thread.

    Args:
        remembered: How many of the newest entries are kept whatever happens: as many as the broker sends ahead of
            acknowledgements, so that each that comes again is known.
        entries_per_checkpoint: One device is written in full for so many entries.
    """

    def __init__(self, remembered: int, entries_per_checkpoint: int = 64) -> None:
        self._remembered = remembered
        self._per_checkpoint = entries_per_checkpoint
        self._last = 0
        self._credit = 0
        self._new: list[Entry] = []
        self._since: OrderedDict[str, int] = OrderedDict()
        """Number of each device's first entry after its checkpoint, the lowest first."""
        self._recent: OrderedDict[bytes, None] = OrderedDict()

    def has(self, body: bytes) -> bool:
        """Whether this message was taken already, as far as the broker may send one again."""
        return body in self._recent

    def add(self, device_id: str | None, at: float, kind: EntryKind, body: bytes) -> None:
        """The diagnosis was told something; None where it is of no device."""
        self._last += 1
        self._new.append(Entry(self._last, at, kind, body))
        self._know(device_id, self._last, body)

    def step(self, state_of: Callable[[str], bytes | None]) -> Step | None:
        """What the next commit must hold; None when nothing was told since the last.

        Args:
            state_of: Gives the whole state of a device; None when it was forgotten.
        """
        if not self._new:
            return None
        entries, self._new = tuple(self._new), []
        self._credit += len(entries)
        checkpoints = {}
        while self._credit >= self._per_checkpoint and self._since:
            self._credit -= self._per_checkpoint
            device_id, _ = self._since.popitem(last=False)
            state = state_of(device_id)
            if state is not None:
                checkpoints[device_id] = Checkpoint(self._last, state)
        self._credit = min(self._credit, self._per_checkpoint)
        kept_anyway = self._last - self._remembered + 1
        needed_from = min(next(iter(self._since.values()), self._last + 1), kept_anyway)
        return Step(entries, checkpoints, needed_from)

    def resume(self, kept: Kept, device_of: Callable[[Entry], str | None]) -> Iterator[Entry]:
        """Take up the log of the last run: the entries that its checkpoints do not hold, to be told again.

        Args:
            kept: What is on the disk.
            device_of: Which device an entry is of.
        """
        self._last = max((checkpoint.through for checkpoint in kept.checkpoints.values()), default=0)
        for entry in kept.entries:
            self._last = max(self._last, entry.number)
            device_id = device_of(entry)
            checkpoint = None if device_id is None else kept.checkpoints.get(device_id)
            if checkpoint is not None and entry.number <= checkpoint.through:
                self._know(None, entry.number, entry.body)
                continue
            self._know(device_id, entry.number, entry.body)
            yield entry

    def _know(self, device_id: str | None, number: int, body: bytes) -> None:
        if device_id is not None:
            self._since.setdefault(device_id, number)
        self._recent[body] = None
        if len(self._recent) > self._remembered:
            self._recent.popitem(last=False)
