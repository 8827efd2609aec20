"""What must still go out: written with what it tells of, taken out when it has arrived.

A process that dies in between sends a thing again and never leaves one out: at least once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.alarms.database import AlarmDatabase, microseconds, moment_of

PUBLISH = "publish"
JOURNAL = "journal"
WORK_ORDER = "work_order"


def notify_channel(number: int) -> str:
    """The channel of the n-th destination of notifications: each has its own queue, so that one may be away."""
    return f"notify:{number}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Something that must still go out."""

    number: int
    channel: str
    device_id: str
    alarm_id: int | None
    body: str
    made: datetime
    attempts: int


class Outbox:
    """Things to publish, drafts of work orders, calls to people."""

    def __init__(self, database: AlarmDatabase) -> None:
        self._database = database

    def said(self, device_id: str) -> tuple[datetime, str] | None:
        """When what was last said of a device's alarm, and the words."""
        row = self._database.run("SELECT at, body FROM said WHERE device_id = ?", (device_id,)).fetchone()
        return None if row is None else (moment_of(row[0]), row[1])

    def write_said(self, device_id: str, at: datetime, body: str) -> None:
        """Keep what is said of a device's alarm; inside a transaction."""
        self._database.run(
            "INSERT OR REPLACE INTO said VALUES (?, ?, ?)", (device_id, microseconds(at), body)
        )

    def post(self, channel: str, device_id: str, alarm_id: int | None, body: str, at: datetime) -> None:
        """Put something into the outbox; inside the transaction that it tells of."""
        self._database.run(
            "INSERT INTO outbox (channel, device_id, alarm_id, body, made, due) VALUES (?, ?, ?, ?, ?, ?)",
            (channel, device_id, alarm_id, body, microseconds(at), microseconds(at)),
        )

    def next_number(self) -> int:
        """The number that the next thing in the outbox gets; it never comes twice."""
        row = self._database.run("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
        return 1 if row is None else 1 + int(row[0])

    def draft_once(self, alarm_id: int, device_id: str, at: datetime, cooldown: timedelta) -> bool:
        """Whether this alarm may have a draft of a work order now; if so, it has had it. Inside a transaction."""
        recent = self._database.run(
            "SELECT 1 FROM draft WHERE alarm_id = ? OR (device_id = ? AND at > ?) LIMIT 1",
            (alarm_id, device_id, microseconds(at - cooldown)),
        ).fetchone()
        if recent is None:
            self._database.run("INSERT INTO draft VALUES (?, ?, ?)", (alarm_id, device_id, microseconds(at)))
        return recent is None

    def due(self, channel: str, at: datetime, limit: int) -> list[Outgoing]:
        """What is due on a channel, in the order in which it was put there."""
        rows = self._database.run(
            "SELECT number, device_id, alarm_id, body, made, attempts FROM outbox "
            "WHERE channel = ? AND due <= ? ORDER BY number LIMIT ?",
            (channel, microseconds(at), limit),
        )
        return [
            Outgoing(number, channel, device_id, alarm_id, body, moment_of(made), attempts)
            for number, device_id, alarm_id, body, made, attempts in rows
        ]

    def next_due(self, channel: str) -> datetime | None:
        """When the next thing on a channel is due."""
        (due,) = self._database.run("SELECT min(due) FROM outbox WHERE channel = ?", (channel,)).fetchone()
        return None if due is None else moment_of(due)

    def waiting(self, channel: str) -> int:
        """How many things wait on a channel."""
        (count,) = self._database.run("SELECT count(*) FROM outbox WHERE channel = ?", (channel,)).fetchone()
        return int(count)

    def waiting_by_channel(self) -> dict[str, tuple[int, datetime]]:
        """How many things wait on each channel on which some do, and since when the oldest does."""
        rows = self._database.run("SELECT channel, count(*), min(made) FROM outbox GROUP BY channel")
        return {channel: (int(count), moment_of(made)) for channel, count, made in rows}

    def delivered(self, numbers: Iterable[int], channel: str, at: datetime) -> None:
        """Take out of the outbox what has arrived; inside a transaction."""
        self.dropped(numbers)
        self._database.run("INSERT OR REPLACE INTO last_sent VALUES (?, ?)", (channel, microseconds(at)))

    def dropped(self, numbers: Iterable[int]) -> None:
        """Take out of the outbox what nobody has to be told of any more; inside a transaction."""
        self._database.run_many("DELETE FROM outbox WHERE number = ?", [(number,) for number in numbers])

    def keep_only(self, channels: Iterable[str]) -> None:
        """Drop what waits for destinations that are no more; inside a transaction."""
        kept = list(channels)
        marks = ", ".join("?" * len(kept))
        self._database.run(f"DELETE FROM outbox WHERE channel NOT IN ({marks})", kept)  # noqa: S608 - question marks

    def postpone(self, numbers: Iterable[int], until: datetime) -> None:
        """Try again later; inside a transaction."""
        self._database.run_many(
            "UPDATE outbox SET attempts = attempts + 1, due = ? WHERE number = ?",
            [(microseconds(until), number) for number in numbers],
        )

    def last_sent(self, channel: str) -> datetime | None:
        """When something last arrived on a channel."""
        row = self._database.run("SELECT at FROM last_sent WHERE channel = ?", (channel,)).fetchone()
        return None if row is None else moment_of(row[0])
