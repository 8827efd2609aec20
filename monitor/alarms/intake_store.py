"""The intake in the alarms' file, so that one transaction holds a message, its findings and what must go out of it."""

from collections.abc import Iterator

from monitor.alarms.database import AlarmDatabase
from monitor.intake import Checkpoint, Entry, EntryKind, Kept, Step


class IntakeStore:
    """The log of what the diagnosis was told, and its snapshots."""

    def __init__(self, database: AlarmDatabase) -> None:
        self._database = database

    def write(self, step: Step) -> None:
        """Write what a commit must hold, and drop what is of no more use; inside a transaction."""
        self._database.run_many(
            "INSERT INTO intake VALUES (?, ?, ?, ?)",
            [(entry.number, entry.at, entry.kind.value, entry.body) for entry in step.entries],
        )
        self._database.run_many(
            "INSERT OR REPLACE INTO diagnosis VALUES (?, ?, ?)",
            [
                (device_id, checkpoint.state, checkpoint.through)
                for device_id, checkpoint in step.checkpoints.items()
            ],
        )
        self._database.run("DELETE FROM intake WHERE number < ?", (step.needed_from,))

    def kept(self) -> Kept:
        """What the last run left; the entries are read as they are asked for."""
        return Kept(
            {
                device_id: Checkpoint(through, state)
                for device_id, state, through in self._database.run(
                    "SELECT device_id, snapshot, through FROM diagnosis"
                )
            },
            self._entries(),
        )

    def _entries(self) -> Iterator[Entry]:
        rows = self._database.run("SELECT number, at, kind, body FROM intake ORDER BY number")
        return (Entry(number, at, EntryKind(kind), body) for number, at, kind, body in rows)
