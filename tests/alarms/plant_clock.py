"""A desk on a file, a clock that moves when a test says so, and findings in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitor.alarms.database import AlarmDatabase
from monitor.alarms.desk import AlarmDesk
from monitor.alarms.outbox import Outbox, Outgoing
from monitor.alarms.policy import AlarmPolicy
from monitor.findings import Contribution, Finding, FindingKind
from tests.monitor.still_clock import StillClock

FAULT, WEAR, FLAT, SILENCE = (
    FindingKind.MACHINE_FAULT,
    FindingKind.WEAR,
    FindingKind.FLAT_LINE,
    FindingKind.SILENCE,
)
VIBRATION = Contribution("vibration", 231.0, "", 100.0, 200.0, 0.8)


def moment(clock: StillClock) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


def finding(
    clock: StillClock, kind: FindingKind = FAULT, present: bool = True, device: str = "5", ago_s: float = 0
) -> Finding:
    at = moment(clock) - timedelta(seconds=ago_s)
    return Finding(
        device, kind, present, at, f"{kind.value} on {device}", "look at the bearing", (VIBRATION,)
    )


@contextmanager
def desk_on(path: Path, clock: StillClock, policy: AlarmPolicy | None = None) -> Iterator[AlarmDesk]:
    with AlarmDatabase(path) as database:
        yield AlarmDesk(database, policy or AlarmPolicy(), clock)


def waiting(path: Path, channel: str, clock: StillClock) -> list[Outgoing]:
    with AlarmDatabase(path, read_only=True) as database:
        return Outbox(database).due(channel, moment(clock) + timedelta(days=365), 10_000)
