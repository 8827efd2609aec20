"""A diagnosis takes up the state of the last run: its checkpoints, and what it was told after them."""

import json

import structlog

from contract.rejection import Rejection
from contract.verdict import Verdict
from monitor.clock import HeldClock
from monitor.diagnosis.core import Diagnosis
from monitor.intake import Entry, EntryKind, IntakeLog, Kept

_LOG = structlog.get_logger()


def resume(diagnosis: Diagnosis, clock: HeldClock, log: IntakeLog, kept: Kept) -> int:
    """Bring a new diagnosis to where the last commit was.

    Its findings are dropped: they were committed with what made them. A device whose checkpoint cannot be read, as one
    of another version, begins anew.

    Args:
        diagnosis: One that was told nothing yet.
        clock: Its clock, which is held at the moment of each entry.
        log: A new one, which learns what is on the disk.
        kept: What is on the disk.

    Returns:
        How many entries were told again.
    """
    for device_id, checkpoint in kept.checkpoints.items():
        try:
            diagnosis.restore(device_id, json.loads(checkpoint.state))
        except (ValueError, KeyError, TypeError) as error:
            _LOG.warning("diagnosis_begins_anew", device=device_id, why=str(error)[:200])
    told = 0
    for entry in log.resume(kept, device_of):
        clock.hold(entry.at)
        _tell_again(diagnosis, entry)
        told += 1
    return told


def device_of(entry: Entry) -> str | None:
    """Which device an entry is of."""
    if entry.kind is EntryKind.VERDICT:
        return Verdict.from_json(entry.body).device_id
    if entry.kind is EntryKind.REJECTION:
        return Rejection.model_validate_json(entry.body).device_id
    return str(json.loads(entry.body)[0])


def _tell_again(diagnosis: Diagnosis, entry: Entry) -> None:
    if entry.kind is EntryKind.VERDICT:
        diagnosis.take_verdict(Verdict.from_json(entry.body))
    elif entry.kind is EntryKind.REJECTION:
        diagnosis.take_rejection(Rejection.model_validate_json(entry.body))
    else:
        device_id, silent_s = json.loads(entry.body)
        device = diagnosis.device(device_id)
        if device is not None:
            device.on_silence(entry.at, silent_s)
