"""Close-outs as labels for training: which device was what, from when until when."""

import csv
from collections.abc import Iterable
from datetime import datetime
from typing import TextIO

from contract.timestamp import format_timestamp
from monitor.alarms.history import Outcome, PastAlarm

COLUMNS = ("deviceID", "from", "to", "label", "kind", "faulty")


def write_labels(closed: Iterable[PastAlarm], out: TextIO) -> int:
    """Write one row for each alarm that a technician has closed.

    ``from`` is when the cause began, before any delay; ``to`` is when it was gone or, where it is not, when the alarm
    was closed; both RFC 3339 in UTC. ``label`` is the technician's word: real, false or planned (read it as text: a CSV
    reader that guesses takes a column of "false" for a boolean). ``faulty`` is the same as a data set for training has
    it: 1 for a machine that was faulty, 0 for a machine that was well whatever the alarm said, and empty where the
    readings say nothing about the machine (a sensor fault that was real, a planned standstill).

    Returns:
        The number of rows.
    """
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows = 0
    for past in closed:
        if past.close_out is None:
            continue
        occurrence, outcome = past.occurrence, past.close_out.outcome
        end: datetime = max(occurrence.began_at, occurrence.cleared_at or past.close_out.at)
        writer.writerow(
            (
                occurrence.device_id,
                format_timestamp(occurrence.began_at),
                format_timestamp(end),
                outcome.value,
                occurrence.kind.value,
                _faulty(outcome, sensor=occurrence.kind.is_sensor_fault),
            )
        )
        rows += 1
    return rows


def _faulty(outcome: Outcome, *, sensor: bool) -> str:
    if outcome is Outcome.PLANNED or sensor:
        return ""
    return "1" if outcome is Outcome.REAL else "0"
