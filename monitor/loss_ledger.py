"""How many readings of one device came, are missing, came twice and came late: a ledger of their numbers.

A device numbers its readings: ``seq`` counts up by one from where ``bootID`` began (contract.reading). Whoever hears
the answer to every reading, a verdict or a refusal, can therefore tell which never got one. The answers come late,
unordered (a shared subscription scatters a device over several predictors) and now and then twice (delivery is at
least once), so:

* a gap counts as missing while it is open; a reading that comes late closes it, and is missing no longer;
* counting begins at the first number that is heard of a bootID. What lies below it was before our time: a monitor
  that starts in the middle of a run, or comes back after a while, invents no loss;
* a reading without ``seq``, or with a ``seq`` and no ``bootID`` (after a restart its numbers would look like repeats),
  is counted as received and as nothing else.

Memory is bounded: of a device as many stretches of numbers without a gap are kept as it is given room for. Where there
would be more, the lowest of the bootID that was silent longest is given up: what lies below the next one becomes
final, its gaps stay missing, and a straggler from there is ``undecided``, since nobody can say any more whether it
closes a gap or comes twice. So ``missing`` is never too small, and too large by ``undecided`` at most. Of a device the
three bootIDs heard of last are kept: what an older one misses has become final, and should it speak again, it is
counted anew from there.

A lost hour is one gap. What takes room is two predictors that take turns, one of which stands still: every second
reading waits, and each is a gap of its own. The room of all devices together is therefore more than the broker lets
wait (200,000 readings); one of 500 devices has room for what six minutes of that leave behind at ten readings a second.

No clock, no network, no thread: the same arrivals make the same ledger.
"""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from pydantic import BaseModel, Field
from pydantic_core import from_json

from contract.identity import BootID, Sequence
from contract.rejection import MAX_REJECTED_PAYLOAD_BYTES, Rejection

ROOM: Final = 1_000_000
"""Stretches of all devices together; each takes 16 bytes."""
MAX_BOOTS: Final = 3
"""Most bootIDs of a device that are kept."""


class Arrival(StrEnum):
    """What a reading was to the ledger when it came; each is exactly one of these."""

    IN_ORDER = "in_order"
    """Higher than every number before it."""
    OUT_OF_ORDER = "out_of_order"
    """Lower than the highest, and not heard of before."""
    DUPLICATE = "duplicate"
    """Heard of before."""
    UNDECIDED = "undecided"
    """So late that it may be either of the two above."""
    UNNUMBERED = "unnumbered"
    """Without seq or bootID."""


class Number(NamedTuple):
    """What names one reading of a device."""

    boot_id: str
    seq: int

    @classmethod
    def of(cls, boot_id: str | None, seq: int | None) -> "Number | None":
        """The number of a reading that has both parts of one, else None."""
        return None if boot_id is None or seq is None else cls(boot_id, seq)


class _Numbered(BaseModel, strict=True):
    """The part of a payload that names it."""

    seq: Sequence
    boot_id: BootID = Field(alias="bootID")


def number_of(rejection: Rejection) -> Number | None:
    """The number of a refused reading, read out of its payload; None where it cannot be had.

    Of a payload longer than a rejection carries (contract.rejection) the part that is there is read.
    """
    text, cut = rejection.payload, rejection.payload_bytes > MAX_REJECTED_PAYLOAD_BYTES
    if cut:
        # Up to the last comma: a number cut in two would be another number.
        text = text[: max(0, text.rfind(","))]
    try:
        named = _Numbered.model_validate(from_json(text, allow_partial=cut))
    except ValueError:  # pydantic's ValidationError is one
        return None
    return Number(named.boot_id, named.seq)


@dataclass(frozen=True, slots=True)
class Losses:
    """What a ledger says, of one device or of all; numbers of readings."""

    arrivals: Mapping[Arrival, int]
    missing: int
    """Readings whose number is between two that came, and did not come themselves (yet)."""

    @property
    def received(self) -> int:
        """Everything that came, repeats included."""
        return sum(self.arrivals.values())

    def of(self, arrival: Arrival) -> int:
        """How many came like this."""
        return self.arrivals.get(arrival, 0)


class LossLedger:
    """The ledger of one device.

    Args:
        max_stretches: Most stretches without a gap that are kept; at least one for each bootID.
    """

    __slots__ = ("_arrivals", "_boots", "_heard_last", "_max_stretches", "_stretches", "missing")

    def __init__(self, max_stretches: int) -> None:
        self._max_stretches = max_stretches
        self._arrivals: Counter[Arrival] = Counter()
        self._boots: dict[str, _Boot] = {}  # the one heard of last is the last
        self._heard_last: tuple[str, _Boot] | None = None
        self._stretches = 0  # of all of them
        self.missing = 0
        """Readings that are missing at present, those of bootIDs that are forgotten included."""

    @property
    def losses(self) -> Losses:
        """What there is to tell."""
        return Losses(dict(self._arrivals), self.missing)

    def take(self, number: Number | None) -> Arrival:
        """A reading came; None is one without a number."""
        arrival = Arrival.UNNUMBERED if number is None else self._file(number)
        self._arrivals[arrival] += 1
        return arrival

    def _file(self, number: Number) -> Arrival:
        boot_id, seq = number
        if (
            self._heard_last is not None
            and boot_id == self._heard_last[0]
            and self._heard_last[1].goes_on(seq)
        ):
            return Arrival.IN_ORDER  # nearly every reading
        boot = self._boot(boot_id)
        missing, stretches = boot.missing, len(boot)
        arrival = boot.take(seq)
        self.missing += boot.missing - missing
        self._stretches += len(boot) - stretches
        if self._stretches > self._max_stretches:
            next(boot for boot in self._boots.values() if len(boot) > 1).give_up_the_lowest()
            self._stretches -= 1
        return arrival

    def begin_anew(self) -> None:
        """Something may have passed by unheard.

        What is missing so far is final, and counting begins at what comes next.
        """
        self._boots.clear()
        self._heard_last = None
        self._stretches = 0

    def _boot(self, boot_id: str) -> "_Boot":
        boot = self._boots.pop(boot_id, None)
        if boot is None:
            boot = _Boot()
            if len(self._boots) >= MAX_BOOTS:
                self._stretches -= len(self._boots.pop(next(iter(self._boots))))
        self._boots[boot_id] = boot
        self._heard_last = boot_id, boot
        return boot


class _Boot:
    """The numbers of one bootID, as stretches without a gap: [starts[i], ends[i]], ascending."""

    __slots__ = ("_ends", "_first", "_floor", "_starts", "missing")

    def __init__(self) -> None:
        # Arrays: 8 bytes a number where a list takes 40, for 10,000 devices.
        self._starts = array("q")
        self._ends = array("q")
        self._first = 0
        self._floor = 0
        self.missing = 0

    def __len__(self) -> int:
        return len(self._starts)

    def goes_on(self, seq: int) -> bool:
        """Take a number that is the next; whether it was. Some number was taken before."""
        ends = self._ends
        if seq != ends[-1] + 1:
            return False
        ends[-1] = seq
        return True

    def take(self, seq: int) -> Arrival:
        starts, ends = self._starts, self._ends
        if not ends:
            self._first = seq
            starts.append(seq)
            ends.append(seq)
            return Arrival.IN_ORDER
        if seq > ends[-1]:
            self.missing += seq - ends[-1] - 1
            self._insert(len(starts), seq)
            return Arrival.IN_ORDER
        if seq < self._floor:
            return Arrival.UNDECIDED
        before = bisect_right(starts, seq)  # the stretches that begin at seq or below
        if before and seq <= ends[before - 1]:
            return Arrival.DUPLICATE
        if seq > self._first:
            self.missing -= 1
        self._insert(before, seq)
        return Arrival.OUT_OF_ORDER

    def _insert(self, at: int, seq: int) -> None:
        """Put a new number between the stretches at - 1 and at, and join what touches."""
        starts, ends = self._starts, self._ends
        joins_lower = at > 0 and ends[at - 1] == seq - 1
        joins_upper = at < len(starts) and starts[at] == seq + 1
        if joins_lower and joins_upper:
            ends[at - 1] = ends.pop(at)
            del starts[at]
        elif joins_lower:
            ends[at - 1] = seq
        elif joins_upper:
            starts[at] = seq
        else:
            starts.insert(at, seq)
            ends.insert(at, seq)

    def give_up_the_lowest(self) -> None:
        """Forget the lowest stretch; the gap above it is final with it."""
        del self._starts[0], self._ends[0]
        self._floor = self._starts[0]
