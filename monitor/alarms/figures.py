"""What there is to count about the alarms: how many, what must still go out, and whether the disk takes it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from contract.alarm import AlarmPriority


@dataclass(frozen=True, slots=True)
class Counts:
    """The alarms as they are, by priority; hidden are those that are shelved, suppressed or out of service."""

    active: Mapping[AlarmPriority, int]
    """In view, with their cause there."""
    unacknowledged: Mapping[AlarmPriority, int]
    """Of these, the ones that nobody has said to know of."""
    hidden: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits to go out on one channel."""

    things: int
    oldest_s: float
    """Seconds since the oldest was put there; 0 when nothing waits."""


@dataclass(frozen=True, slots=True)
class AlarmFigures:
    """Everything at one moment."""

    counts: Counts | None
    """None when the file cannot be read."""
    waiting: Mapping[str, Waiting]
    """By channel; each destination of notifications has its own."""
    commit_failures: int
    """Since the start."""
    takes_commits: bool
    """Whether the newest commit was taken."""


class AlarmCollector(Collector):
    """Asks when it is scraped.

    Args:
        figures: The alarms' own.
        complaint: Why findings do not become alarms, if they do not.
        unexplained: Machine faults that kept their first words since the start.
    """

    def __init__(
        self,
        figures: Callable[[], AlarmFigures],
        complaint: Callable[[], str | None],
        unexplained: Callable[[], int],
    ) -> None:
        self._figures = figures
        self._complaint = complaint
        self._unexplained = unexplained

    def collect(self) -> Iterable[Metric]:
        """Every metric of the alarms."""
        figures = self._figures()
        works = figures.takes_commits and figures.counts is not None and self._complaint() is None
        yield GaugeMetricFamily(
            "fanwatch_monitor_alarms_work",
            "1 while findings become alarms: every thread lives, nothing stalls, and the disk takes commits.",
            value=1 if works else 0,
        )
        yield CounterMetricFamily(
            "fanwatch_monitor_alarm_commit_failures",
            "Commits that the alarms' file did not take; what they were about waits and is tried again.",
            value=figures.commit_failures,
        )
        yield CounterMetricFamily(
            "fanwatch_monitor_alarms_unexplained",
            "Machine faults that the scoring service did not explain; they keep the reasons of their numbers.",
            value=self._unexplained(),
        )
        if figures.counts is not None:
            yield from _counted(figures.counts)
        yield from _waiting(figures.waiting)


def _counted(counts: Counts) -> Iterable[Metric]:
    for name, words, found in (
        ("fanwatch_monitor_alarms_active", "Alarms in view, with their cause there.", counts.active),
        (
            "fanwatch_monitor_alarms_unacknowledged",
            "Active alarms that nobody has acknowledged.",
            counts.unacknowledged,
        ),
    ):
        family = GaugeMetricFamily(name, words, labels=["priority"])
        for priority in AlarmPriority:
            family.add_metric([priority.name.lower()], found.get(priority, 0))
        yield family
    yield GaugeMetricFamily(
        "fanwatch_monitor_alarms_hidden",
        "Alarms that are shelved, suppressed by design or out of service.",
        value=counts.hidden,
    )


def _waiting(waiting: Mapping[str, Waiting]) -> Iterable[Metric]:
    things = GaugeMetricFamily(
        "fanwatch_monitor_outbox_waiting",
        "What must still go out: alarms to publish, their journal, drafts of work orders, calls to people.",
        labels=["channel"],
    )
    oldest = GaugeMetricFamily(
        "fanwatch_monitor_outbox_oldest_seconds",
        "Seconds for which the oldest of them has waited.",
        labels=["channel"],
    )
    for channel, found in waiting.items():
        things.add_metric([channel], found.things)
        oldest.add_metric([channel], found.oldest_s)
    yield things
    yield oldest
