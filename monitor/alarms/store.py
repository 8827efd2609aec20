"""The alarms as they are: what a restart begins with."""

from dataclasses import dataclass
from datetime import datetime

from monitor.alarms.board import Changes, DeviceState
from monitor.alarms.database import AlarmDatabase, microseconds, moment_of
from monitor.alarms.lifecycle import Record, Window
from monitor.alarms.stored_record import record_from_json, record_to_json


@dataclass(frozen=True, slots=True)
class PlannedMaintenance:
    """A maintenance window, and who planned it."""

    device_id: str
    window: Window
    who: str
    note: str


class AlarmStore:
    """The current alarms, who stands still, and planned maintenance."""

    def __init__(self, database: AlarmDatabase) -> None:
        self._database = database

    def write(self, changes: Changes) -> None:
        """Write the alarms that a step changed; inside a transaction."""
        self._database.run_many(
            "DELETE FROM alarm WHERE device_id = ? AND kind = ?",
            [(device_id, kind.value) for device_id, kind in changes.gone],
        )
        self._database.run_many(
            "INSERT OR REPLACE INTO alarm VALUES (?, ?, ?)",
            [
                (record.device_id, record.kind.value, record_to_json(record).decode())
                for record in changes.records
            ],
        )

    def write_stopped(self, device_id: str, stopped: bool) -> None:
        """Write whether a machine stands still; inside a transaction."""
        if stopped:
            self._database.run("INSERT OR IGNORE INTO stopped VALUES (?)", (device_id,))
        else:
            self._database.run("DELETE FROM stopped WHERE device_id = ?", (device_id,))

    def records(self) -> list[Record]:
        """Every alarm that is not forgotten."""
        return [record_from_json(text) for (text,) in self._database.run("SELECT record FROM alarm")]

    def device_states(self, now: datetime) -> list[DeviceState]:
        """What is kept of devices beside their alarms: who stands still, maintenance that is not over."""
        stopped = {device_id for (device_id,) in self._database.run("SELECT device_id FROM stopped")}
        windows: dict[str, list[Window]] = {}
        for planned in self.maintenance(now):
            windows.setdefault(planned.device_id, []).append(planned.window)
        return [
            DeviceState(device_id, device_id in stopped, tuple(windows.get(device_id, ())))
            for device_id in sorted(stopped | windows.keys())
        ]

    def next_alarm_id(self) -> int:
        """One more than the highest that was ever given."""
        (highest,) = self._database.run("SELECT max(alarm_id) FROM occurrence").fetchone()
        return 1 + (highest or 0)

    # -- maintenance ------------------------------------------------------------------------------------

    def add_maintenance(self, device_id: str, start: datetime, end: datetime, who: str, note: str) -> Window:
        """Plan a window; inside a transaction."""
        number = self._database.run(
            "INSERT INTO maintenance (device_id, starts, ends, who, note) VALUES (?, ?, ?, ?, ?)",
            (device_id, microseconds(start), microseconds(end), who, note),
        ).lastrowid
        return Window(number or 0, start, end)

    def remove_maintenance(self, number: int) -> str | None:
        """Take a window back; inside a transaction.

        Returns:
            The device that it was for, or None when there is no such window.
        """
        row = self._database.run(
            "DELETE FROM maintenance WHERE number = ? RETURNING device_id", (number,)
        ).fetchone()
        return None if row is None else str(row[0])

    def maintenance(self, now: datetime) -> list[PlannedMaintenance]:
        """The windows that are not over, the next to begin first."""
        rows = self._database.run(
            "SELECT device_id, number, starts, ends, who, note FROM maintenance WHERE ends > ? ORDER BY starts",
            (microseconds(now),),
        )
        return [
            PlannedMaintenance(device_id, Window(number, moment_of(starts), moment_of(ends)), who, note)
            for device_id, number, starts, ends, who, note in rows
        ]
