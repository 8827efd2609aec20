"""Are the alarms any good: what they asked of people, against the published figures. Pure, over the journal.

Sources of the figures:

* EEMUA Publication 191, 3rd edition (2013), average alarm rate in steady operation, for each operator: more than one a
  minute is very likely to be unacceptable, one in 2 minutes likely to be over-demanding, one in 5 minutes manageable,
  less than one in 10 minutes very likely to be acceptable.
* ANSI/ISA-18.2-2016, clause 16 (IEC 62682:2022 has the same table): less than 1 % of 10-minute periods with more than
  10 alarms, and of the time in flood; at most 10 alarms in any 10 minutes; the ten most frequent alarms make at most
  5 % of the load; no chattering alarm; fewer than 5 stale ones on any day; priorities about 80 % low, 15 % medium, 5 %
  high.
* A flood begins with 10 alarms or more within 10 minutes and ends below 5 within 10 (ISA-18.2). An alarm chatters when
  it comes three times or more within a minute, and is stale when it stays active for more than a day.

An alarm counts when people are called by it (it becomes unacknowledged in view), not while it is shelved or suppressed.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from contract.alarm import AlarmPriority
from monitor.alarms.history import Outcome, PastAlarm
from monitor.alarms.lifecycle import Transition
from monitor.findings import FindingKind

PERIOD = timedelta(minutes=10)
FLOOD_BEGINS = 10
FLOOD_ENDS_BELOW = 5
CHATTER_COUNT = 3
CHATTER_WITHIN = timedelta(minutes=1)
STALE_AFTER = timedelta(hours=24)
WORST = 10


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure beside what is asked of it."""

    name: str
    value: float
    unit: str
    target: str
    met: bool | None
    """None when there were no alarms to judge by."""
    source: str


@dataclass(frozen=True, slots=True)
class Flood:
    """A time in which alarms came faster than one operator can answer them."""

    start: datetime
    end: datetime
    alarms: int
    most_in_10_minutes: int


@dataclass(frozen=True, slots=True)
class Frequent:
    """One alarm of one device, and how often it called."""

    device_id: str
    kind: FindingKind
    alarms: int
    share: float
    """Of all alarms of the window."""


@dataclass(frozen=True, slots=True)
class Stale:
    """An alarm that stayed active for more than a day."""

    alarm_id: int
    device_id: str
    kind: FindingKind
    raised_at: datetime
    hours: float


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What the alarms of a window asked of people."""

    start: datetime
    end: datetime
    operators: int
    alarms: int
    verdict: str
    """EEMUA 191's word for the average rate."""
    measures: tuple[Measure, ...]
    floods: tuple[Flood, ...]
    chattering: tuple[Frequent, ...]
    """Those that chatter, with how often they called in their worst minute."""
    stale: tuple[Stale, ...]
    worst: tuple[Frequent, ...]
    priorities: dict[AlarmPriority, int]
    outcomes: dict[Outcome, int]
    """What technicians found the window's alarms to be."""


@dataclass(frozen=True, slots=True)
class _Found:
    floods: tuple[Flood, ...]
    chattering: tuple[Frequent, ...]
    stale: tuple[Stale, ...]
    worst: tuple[Frequent, ...]


def assess(
    journal: Iterable[Transition],
    occurrences: Iterable[PastAlarm],
    *,
    start: datetime,
    end: datetime,
    operators: int = 1,
) -> QualityReport:
    """Judge the alarms of a window.

    Args:
        journal: Its lines within the window; others are left out.
        occurrences: Those that were not over before the window.
        start: Beginning of the window.
        end: Its end, not part of it.
        operators: How many people share the alarms.

    Raises:
        ValueError: The window has no length, or there is nobody.
    """
    if end <= start or operators < 1:
        raise ValueError(
            f"window {start} to {end} with {operators} operators: expected a length and somebody"
        )
    lines = sorted(
        (line for line in journal if start <= line.at < end and line.annunciates), key=lambda line: line.at
    )
    past = [each for each in occurrences if each.occurrence.raised_at < end]
    found = _Found(
        floods=tuple(_floods([line.at for line in lines], end, operators)),
        chattering=tuple(_chattering(lines)),
        stale=tuple(_stale(past, start, end)),
        worst=tuple(_worst(lines)),
    )
    priorities = Counter(line.priority for line in lines)
    measures = _measures(lines, found, start, end, operators)
    return QualityReport(
        start=start,
        end=end,
        operators=operators,
        alarms=len(lines),
        verdict=rate_verdict(measures[0].value),
        measures=measures,
        floods=found.floods,
        chattering=found.chattering,
        stale=found.stale,
        worst=found.worst,
        priorities={priority: priorities[priority] for priority in AlarmPriority},
        outcomes=_outcomes(past, start),
    )


def rate_verdict(rate: float) -> str:
    """EEMUA 191's word for so many alarms in 10 minutes for each operator."""
    for most, word in (
        (1, "very likely to be acceptable"),
        (2, "manageable"),
        (10, "likely to be over-demanding"),
    ):
        if rate <= most:
            return word
    return "very likely to be unacceptable"


def most_within(times: Sequence[datetime], span: timedelta) -> int:
    """The most of these sorted times that lie within any half-open span of that length."""
    return max((bisect_left(times, first + span) - number for number, first in enumerate(times)), default=0)


def _measures(
    lines: list[Transition], report: _Found, start: datetime, end: datetime, operators: int
) -> tuple[Measure, ...]:
    """Each figure for one operator, beside what is asked of it."""
    isa, eemua = "ISA-18.2-2016, clause 16", "EEMUA 191"
    rate = len(lines) / ((end - start) / PERIOD) / operators
    periods = Counter((line.at - start) // PERIOD for line in lines)
    full = sum(count > FLOOD_BEGINS * operators for count in periods.values())
    busy = 100 * full / -(-(end - start) // PERIOD)
    most = most_within([line.at for line in lines], PERIOD) / operators
    flooded = 100 * sum((flood.end - flood.start for flood in report.floods), timedelta(0)) / (end - start)
    chatter = len(report.chattering)
    stale = _most_at_once(report.stale)
    top = 100 * sum(each.share for each in report.worst) if lines else 0.0
    high = 100 * sum(line.priority is AlarmPriority.HIGH for line in lines) / len(lines) if lines else 0.0
    return (
        Measure("average alarm rate", rate, "in 10 minutes", "at most 1", rate <= 1, eemua),
        Measure("most alarms", most, "in 10 minutes", "at most 10", most <= FLOOD_BEGINS, isa),
        Measure("10-minute periods with more than 10", busy, "%", "below 1", busy < 1, isa),
        Measure("time in flood", flooded, "%", "below 1", flooded < 1, isa),
        Measure("chattering alarms", chatter, "alarms", "0", chatter == 0, isa),
        Measure("stale alarms, most at one time", stale, "alarms", "below 5", stale < 5, isa),
        Measure("share of the ten worst", top, "%", "at most 5", top <= 5 if lines else None, isa),
        Measure("share of high priority", high, "%", "about 5", high <= 10 if lines else None, isa),
    )


def _floods(times: list[datetime], end: datetime, operators: int) -> list[Flood]:
    """From the tenth alarm within 10 minutes, until fewer than 5 lie within the last 10; for each operator."""
    begins, ends_below = FLOOD_BEGINS * operators, FLOOD_ENDS_BELOW * operators
    floods: list[Flood] = []
    number = told = 0
    while number < len(times):
        oldest = bisect_right(times, times[number] - PERIOD)
        if number - oldest + 1 < begins:
            number += 1
            continue
        last = number
        # With the fifth from the end, when that leaves the 10 minutes, four are left.
        while last + 1 < len(times) and times[last + 1] < times[last - ends_below + 1] + PERIOD:
            last += 1
        first = max(oldest, told)
        floods.append(
            Flood(
                start=times[number],
                end=min(end, times[last - ends_below + 1] + PERIOD),
                alarms=last - first + 1,
                most_in_10_minutes=most_within(times[first : last + 1], PERIOD),
            )
        )
        number = told = last + 1
    return floods


def _most_at_once(stale: Sequence[Stale]) -> int:
    """The most alarms that were stale at one moment."""
    edges = sorted(
        edge
        for each in stale
        for edge in (
            (each.raised_at + STALE_AFTER, 1),
            (each.raised_at + timedelta(hours=each.hours), -1),
        )
    )
    return max(accumulate(step for _, step in edges), default=0)


def _chattering(lines: list[Transition]) -> list[Frequent]:
    by_alarm: dict[tuple[str, FindingKind], list[datetime]] = {}
    for line in lines:
        by_alarm.setdefault((line.device_id, line.kind), []).append(line.at)
    found = [
        Frequent(device_id, kind, most, most / len(lines))
        for (device_id, kind), times in by_alarm.items()
        if (most := most_within(times, CHATTER_WITHIN)) >= CHATTER_COUNT
    ]
    return sorted(found, key=lambda each: (-each.alarms, each.device_id, each.kind))


def _stale(past: list[PastAlarm], start: datetime, end: datetime) -> list[Stale]:
    found = []
    for each in past:
        occurrence = each.occurrence
        until = min(occurrence.cleared_at or end, end)
        if occurrence.shown and until > start and until - occurrence.raised_at > STALE_AFTER:
            hours = (until - occurrence.raised_at) / timedelta(hours=1)
            found.append(
                Stale(occurrence.alarm_id, occurrence.device_id, occurrence.kind, occurrence.raised_at, hours)
            )
    return sorted(found, key=lambda each: -each.hours)


def _worst(lines: list[Transition]) -> list[Frequent]:
    counts = Counter((line.device_id, line.kind) for line in lines)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Frequent(*alarm, count, count / len(lines)) for alarm, count in ordered[:WORST]]


def _outcomes(past: list[PastAlarm], start: datetime) -> dict[Outcome, int]:
    counts = Counter(
        each.close_out.outcome
        for each in past
        if each.close_out is not None and each.occurrence.raised_at >= start
    )
    return {outcome: counts[outcome] for outcome in Outcome}
