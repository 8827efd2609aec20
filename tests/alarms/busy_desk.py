"""A process that a test kills: findings and answers as fast as they go, the number of each committed batch on stdout.

Run as ``python -m tests.alarms.busy_desk FILE FIRST_BATCH SEED``; it ends by itself after 20 seconds.
"""

import random
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from monitor.alarms.board import NoSuchAlarm
from monitor.alarms.database import AlarmDatabase
from monitor.alarms.desk import AlarmDesk, ModeChange
from monitor.alarms.lifecycle import NotPossible
from monitor.alarms.policy import AlarmPolicy
from monitor.clock import SystemClock
from monitor.findings import Finding, FindingKind
from monitor.intake import Entry, EntryKind, Step

DEVICES = [f"fan-{number}" for number in range(12)]


def act(desk: AlarmDesk, chance: random.Random) -> None:
    """Something that a person may do with a random alarm."""
    waiting = [alarm for alarm in desk.active() if alarm.actions and alarm.alarm_id]
    if not waiting:
        return
    alarm = chance.choice(waiting)
    assert alarm.alarm_id
    deed = chance.choice(alarm.actions)
    with suppress(NotPossible, NoSuchAlarm):  # a delay was over or a shelf expired in between
        if deed == "shelve":
            desk.shelve(alarm.alarm_id, "Anna", datetime.now(UTC) + timedelta(seconds=chance.random()))
        elif deed == "close":
            desk.close(alarm.alarm_id, "Anna", chance.choice(["real", "false", "planned"]), "seen")
        elif deed == "return_to_service":
            desk.return_to_service(alarm.device_id, alarm.kind, "Anna")
        else:
            {"acknowledge": desk.acknowledge, "reset": desk.reset, "unshelve": desk.unshelve}[deed](
                alarm.alarm_id, "Anna"
            )


def main() -> None:
    path, number, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    chance = random.Random(seed)
    rules = {
        kind: type(rule)(
            rule.priority,
            latching=chance.random() < 0.5,
            suppressed_by=rule.suppressed_by,
            suppressed_when_stopped=True,
            work_order=True,
        )
        for kind, rule in AlarmPolicy().rules.items()
    }
    policy = AlarmPolicy(rules=rules, work_orders=True, destinations=1, work_order_cooldown=timedelta(0))
    ends = time.monotonic() + 20
    with AlarmDatabase(path) as database:
        desk = AlarmDesk(database, policy, SystemClock())
        while time.monotonic() < ends:
            now = datetime.now(UTC)
            findings = [
                Finding(
                    device,
                    chance.choice(list(FindingKind)),
                    chance.random() < 0.5,
                    now,
                    f"batch {number}",
                    "",
                )
                for device in chance.sample(DEVICES, 6)
            ]
            modes = [ModeChange(chance.choice(DEVICES), chance.random() < 0.3, now)]
            entry = Entry(number, time.time(), EntryKind.SILENCE, b"%d" % number)
            desk.on_findings(findings, modes, Step((entry,)))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            number += 1
            act(desk, chance)


if __name__ == "__main__":
    main()
