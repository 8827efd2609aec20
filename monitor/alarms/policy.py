"""The alarm philosophy as data: how each kind of finding becomes an alarm.

Where the deadband is: a finding is a decision that has been made, present or not, and has no magnitude to hold a band
against. Whoever compares a magnitude with a limit holds the deadband (two limits, one to raise and one to clear), which
for evidence of readings are the two bounds of the sequential test. Here the same end is met in time: a decision has to
last for its delay before it is believed, either way (ISA-18.2, on-delay and off-delay).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from contract.alarm import AlarmPriority
from monitor.findings import FindingKind

_DECEIVING = frozenset({FindingKind.FLAT_LINE, FindingKind.OUT_OF_RANGE, FindingKind.SPIKES})
"""Sensor faults that make a healthy machine look broken. Silence and a wrong clock cannot."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of finding becomes an alarm.

    Args:
        priority: How soon a person must act.
        on_delay: So long the cause must last before the alarm is raised; zero raises at once.
        off_delay: So long the cause must be gone before the alarm returns to normal.
        latching: Whether the alarm stays after its cause is gone, until somebody resets it.
        suppressed_by: Findings on the same device that keep this alarm from being raised. One that people have
            been shown already stays in view: a machine that shakes its sensor to pieces is still broken.
        suppressed_when_stopped: Whether a machine that stands still keeps it from being raised.
        work_order: Whether it is worth a draft of a work order.
    """

    priority: AlarmPriority
    on_delay: timedelta = timedelta(0)
    off_delay: timedelta = timedelta(0)
    latching: bool = False
    suppressed_by: frozenset[FindingKind] = frozenset()
    suppressed_when_stopped: bool = False
    work_order: bool = False

    def __post_init__(self) -> None:
        if self.on_delay < timedelta(0) or self.off_delay < timedelta(0):
            raise ValueError(f"delays {self.on_delay} and {self.off_delay}: expected none below zero")


def _rules() -> dict[FindingKind, Rule]:
    """Ours: few are high (EEMUA 191 asks for about 5, 15 and 80 %)."""
    sensor = Rule(
        AlarmPriority.LOW,
        on_delay=timedelta(seconds=5),
        off_delay=timedelta(seconds=60),
        suppressed_when_stopped=True,
    )
    return {
        # Longer than the sensor's delay is not needed: the cause alone, before its delay is over, suppresses.
        FindingKind.MACHINE_FAULT: Rule(
            AlarmPriority.HIGH,
            on_delay=timedelta(seconds=5),
            off_delay=timedelta(seconds=30),
            suppressed_by=_DECEIVING,
            suppressed_when_stopped=True,
            work_order=True,
        ),
        FindingKind.WEAR: Rule(
            AlarmPriority.MEDIUM,
            on_delay=timedelta(seconds=60),
            off_delay=timedelta(minutes=10),
            suppressed_by=_DECEIVING,
            suppressed_when_stopped=True,
            work_order=True,
        ),
        FindingKind.FLAT_LINE: sensor,
        FindingKind.OUT_OF_RANGE: sensor,
        FindingKind.SPIKES: sensor,
        FindingKind.SILENCE: Rule(
            AlarmPriority.MEDIUM,
            off_delay=timedelta(seconds=30),
            suppressed_when_stopped=False,  # a stopped machine still speaks
        ),
        FindingKind.CLOCK_SKEW: Rule(
            AlarmPriority.LOW, on_delay=timedelta(seconds=30), off_delay=timedelta(seconds=60)
        ),
        # While it stands nobody watches the machines. Silences beneath it are not even found (monitor/silences.py).
        # The off-delay is longer than a silence takes: a few verdicts that waited somewhere are no return.
        FindingKind.NO_VERDICTS: Rule(AlarmPriority.HIGH, off_delay=timedelta(seconds=60)),
    }


@dataclass(frozen=True, slots=True)
class AlarmPolicy:
    """The rules of every kind, and what holds for all.

    Args:
        rules: One for each kind.
        longest_shelf: Nothing is put aside for longer; without an end a shelf is where alarms are forgotten.
        work_orders: Whether drafts of work orders are sent.
        work_order_cooldown: At most one draft for a device in this time.
        destinations: To how many destinations of notifications people's calls go.
        notified: The least urgent priority that people are told of.

    Raises:
        ValueError: A kind has no rule, or a kind suppresses one that suppresses it.
    """

    rules: Mapping[FindingKind, Rule] = field(default_factory=_rules)
    longest_shelf: timedelta = timedelta(days=7)
    work_orders: bool = False
    work_order_cooldown: timedelta = timedelta(days=1)
    destinations: int = 0
    notified: AlarmPriority = AlarmPriority.MEDIUM

    def __post_init__(self) -> None:
        missing = [kind.value for kind in FindingKind if kind not in self.rules]
        if missing:
            raise ValueError(f"no rule for {', '.join(missing)}")
        for kind, rule in self.rules.items():
            chained = [other.value for other in rule.suppressed_by if self.rules[other].suppressed_by]
            if chained:
                raise ValueError(
                    f"{kind.value} is suppressed by {', '.join(chained)}, which may be suppressed itself: "
                    "then both could hide each other, and nobody would be told of either"
                )
