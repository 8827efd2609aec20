"""Writes alarms of the past that a technician has closed; run in the monitor's pod, which has no tests in it."""

import json
import sys
from datetime import datetime

from contract.alarm import AlarmPriority
from monitor.alarms.board import Changes
from monitor.alarms.database import AlarmDatabase
from monitor.alarms.history import AlarmHistory, CloseOut, Outcome
from monitor.alarms.lifecycle import Occurrence
from monitor.alarms.settings import AlarmSettings
from monitor.findings import FindingKind

_FIRST = 900_000
"""Far from the numbers that the running monitor gives."""


def write(began: datetime, ended: datetime, outcomes: dict[str, str]) -> None:
    """One for each device, with the technician's word."""
    with AlarmDatabase(AlarmSettings.read().alarm_file) as database, database.transaction():
        history = AlarmHistory(database)
        for number, (device, outcome) in enumerate(outcomes.items(), start=_FIRST):
            occurrence = Occurrence(
                alarm_id=number,
                device_id=device,
                kind=FindingKind.MACHINE_FAULT,
                priority=AlarmPriority.HIGH,
                began_at=began,
                raised_at=began,
                cleared_at=ended,
                ended_at=ended,
                shown=True,
                acknowledged_by="trial",
                why="of the trial",
                inspect="",
                contributions=(),
            )
            history.write(Changes(occurrences=[occurrence]))
            history.write_close_out(number, CloseOut(Outcome(outcome), "", "trial", ended))


if __name__ == "__main__":
    begin, end, said = json.loads(sys.argv[1])
    write(datetime.fromisoformat(begin), datetime.fromisoformat(end), said)
