"""The file that survives a kill -9: one SQLite database in WAL mode, its schema and its transactions.

WAL with synchronous=FULL (https://sqlite.org/pragma.html#pragma_synchronous): a commit that returned is on the disk,
and a process or a machine that dies in the middle of one leaves nothing of it.

Times are whole microseconds since 1970 UTC: exact, sorted, and 8 bytes.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BUSY_S = 5.0

# Each entry brings the file one version up; PRAGMA user_version counts how many have been applied. An entry that has
# been released is never changed: a new one follows it.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE alarm (
        device_id TEXT NOT NULL, kind TEXT NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (device_id, kind)
    ) WITHOUT ROWID;
    CREATE TABLE stopped (device_id TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE maintenance (
        number INTEGER PRIMARY KEY AUTOINCREMENT, device_id TEXT NOT NULL,
        starts INTEGER NOT NULL, ends INTEGER NOT NULL, who TEXT NOT NULL, note TEXT NOT NULL
    );
    CREATE INDEX maintenance_ends ON maintenance (ends);
    CREATE TABLE diagnosis (device_id TEXT PRIMARY KEY, snapshot BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE occurrence (
        alarm_id INTEGER PRIMARY KEY, device_id TEXT NOT NULL, kind TEXT NOT NULL, priority INTEGER NOT NULL,
        began_at INTEGER NOT NULL, raised_at INTEGER NOT NULL, cleared_at INTEGER, ended_at INTEGER,
        shown INTEGER NOT NULL, acknowledged_by TEXT,
        why TEXT NOT NULL, inspect TEXT NOT NULL, contributions TEXT NOT NULL
    );
    CREATE INDEX occurrence_device ON occurrence (device_id, raised_at);
    CREATE INDEX occurrence_raised ON occurrence (raised_at);
    CREATE INDEX occurrence_going_on ON occurrence (raised_at) WHERE ended_at IS NULL;
    CREATE TABLE close_out (
        alarm_id INTEGER PRIMARY KEY, outcome TEXT NOT NULL, note TEXT NOT NULL,
        who TEXT NOT NULL, at INTEGER NOT NULL
    );
    CREATE TABLE journal (
        number INTEGER PRIMARY KEY AUTOINCREMENT, alarm_id INTEGER, device_id TEXT NOT NULL, kind TEXT NOT NULL,
        priority INTEGER NOT NULL, at INTEGER NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
        cause TEXT NOT NULL, who TEXT, why TEXT NOT NULL
    );
    CREATE INDEX journal_at ON journal (at);
    CREATE INDEX journal_device ON journal (device_id, number);
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL,
        action TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL
    );
    CREATE TABLE said (device_id TEXT PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE outbox (
        number INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, device_id TEXT NOT NULL,
        alarm_id INTEGER, body TEXT NOT NULL, made INTEGER NOT NULL, due INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX outbox_due ON outbox (channel, due);
    CREATE TABLE draft (
        alarm_id INTEGER PRIMARY KEY, device_id TEXT NOT NULL, at INTEGER NOT NULL
    );
    CREATE INDEX draft_device ON draft (device_id, at);
    CREATE TABLE last_sent (channel TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE TABLE intake (number INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL);
    ALTER TABLE diagnosis ADD COLUMN through INTEGER NOT NULL DEFAULT 0;
    """,
)


class StoreError(RuntimeError):
    """The file cannot be used, or did not take a commit; nothing of the step is in it."""


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970 of an aware datetime, exactly (a float would round)."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(count: int) -> datetime:
    """The aware datetime of so many microseconds since 1970."""
    return _EPOCH + count * _MICROSECOND


class AlarmDatabase:
    """The file. One writer; it may be used from several threads, one at a time.

    Args:
        path: Made with its folder if it is not there.
        read_only: Looks into a file that another process may be writing to, and changes nothing.

    Raises:
        StoreError: It cannot be opened, is no such file, or was written by a newer Fanwatch.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self.commit_failures = 0
        """How many commits the file did not take since it was opened."""
        self.takes_commits = True
        """Whether it took the newest."""
        try:
            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True)
            mode = "ro" if read_only else "rwc"
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=_BUSY_S,
                isolation_level=None,
                check_same_thread=False,
            )
            if not read_only:
                self._connection.execute("PRAGMA journal_mode = WAL")
                # In WAL mode anything less leaves the last commits to the operating system (lost with its power).
                self._connection.execute("PRAGMA synchronous = FULL")
            self._migrate(read_only=read_only)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"the alarms' file {path} cannot be used: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what happens inside, on the disk when it ends; or nothing of it.

        Raises:
            StoreError: The disk did not take it.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
                self.takes_commits = True
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, StoreError) as error:
            self.commit_failures += 1
            self.takes_commits = False
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"the alarms' file {self._path} did not take a commit: {error}") from error

    def run(self, statement: str, values: Any = ()) -> sqlite3.Cursor:  # noqa: ANN401 - as sqlite3 has it
        """Run one statement; what changes something belongs inside a transaction.

        Raises:
            StoreError: The file did not take it, or cannot be read.
        """
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise StoreError(f"the alarms' file {self._path} failed: {error}") from error

    def run_many(self, statement: str, rows: Iterable[Any]) -> None:
        """Run one statement for each row; inside a transaction.

        Raises:
            StoreError: The file did not take it.
        """
        try:
            self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise StoreError(f"the alarms' file {self._path} failed: {error}") from error

    def _migrate(self, *, read_only: bool) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise StoreError(
                f"the alarms' file {self._path} has version {version}, written by a newer Fanwatch; this one knows "
                f"{len(MIGRATIONS)}: run the newer one, or set the file aside"
            )
        if version == len(MIGRATIONS):
            return
        if read_only:
            raise StoreError(
                f"the alarms' file {self._path} has version {version}, expected {len(MIGRATIONS)}: "
                "start the monitor once, which brings it up"
            )
        for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
            # One transaction, version included: a file is never between two versions.
            self._connection.executescript(
                f"BEGIN IMMEDIATE; {statements} PRAGMA user_version = {number}; COMMIT;"
            )
