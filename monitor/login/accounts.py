"""People, their sessions and the tokens of programs, in a SQLite file of their own.

A session is a random name in a signed cookie, and a row here: so a logout, a new password or a removed account ends it
for whoever copied the cookie, and its end is decided by our clock. The row holds a digest of the name: who can read the
file cannot sign in with it. A program that only reads (a display, a SCADA) has a token in place of a password, kept as
a digest too: 256 random bits need no slow hash, which is against guessing what a person would choose.
"""

import re
import secrets
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from werkzeug.security import check_password_hash, generate_password_hash

from monitor.clock import Clock

FIRST_ACCOUNT = "operator"
SHORTEST_PASSWORD = 12
_LONGEST_PASSWORD = 256
_NAME = re.compile(r"[^\W_](?:[\w .@'-]{0,62}[\w.])?")
_BUSY_S = 5.0
_SEEN_EVERY_S = 60.0
_TOKENS_BEGIN = "fanwatch_"
"""So that a token that got into a repository or a chat is known for what it is, by people and by scanners."""
_MOST_HASHES_AT_ONCE = 2
"""Each takes 32 MB and 50 ms of a processor (scrypt N=2^15, r=8): a flood of attempts must not take the memory."""

# As in the alarms' file: a released entry is never changed, a new one follows it.
_MIGRATIONS = (
    """
    CREATE TABLE account (name TEXT PRIMARY KEY, password TEXT NOT NULL, made REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE session (
        digest TEXT PRIMARY KEY, name TEXT NOT NULL REFERENCES account ON DELETE CASCADE,
        began REAL NOT NULL, seen REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX session_name ON session (name);
    """,
    """
    CREATE TABLE token (
        name TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, made REAL NOT NULL, ends REAL
    ) WITHOUT ROWID;
    """,
)


class AccountsUnusableError(RuntimeError):
    """The file of accounts cannot be used."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a program's token: all but the token. Moments in seconds since 1970 UTC; ends None is never."""

    name: str
    made: float
    ends: float | None


@dataclass(frozen=True, slots=True)
class SessionLife:
    """When a session ends, in seconds."""

    idle_s: float = 8 * 3600
    longest_s: float = 24 * 3600


class Accounts:
    """The file. It may be used from several threads and beside the command that adds people.

    Args:
        path: Made with its folder if it is not there, readable by its owner alone.
        clock: Says when a session ends.
        life: How long one lasts.

    Raises:
        AccountsUnusableError: It cannot be opened, is no such file, or was written by a newer Fanwatch.
    """

    def __init__(self, path: Path, clock: Clock, life: SessionLife | None = None) -> None:
        self._path = path
        self._clock = clock
        self._life = life or SessionLife()
        self._lock = threading.Lock()
        self._hashing = threading.BoundedSemaphore(_MOST_HASHES_AT_ONCE)
        self._nobody: str | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._database = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA foreign_keys = ON")
            self._migrate()
        except (OSError, sqlite3.Error) as error:
            raise AccountsUnusableError(f"the accounts' file {path} cannot be used: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    # -- people -----------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Who has an account."""
        return [name for (name,) in self._run("SELECT name FROM account ORDER BY name")]

    def add(self, name: str, password: str) -> bool:
        """Give somebody an account.

        Returns:
            Whether it is new; an account of that name stays as it is.

        Raises:
            ValueError: The name or the password does not have the form that is expected.
        """
        _check_name(name)
        if self._run("SELECT name FROM account WHERE name = ?", (name,)):
            return False
        row = (name, _hash(password), self._clock.now())
        return bool(self._change("INSERT OR IGNORE INTO account VALUES (?, ?, ?)", row))

    def set_password(self, name: str, password: str) -> None:
        """Change a password; every session of that person ends.

        Raises:
            LookupError: There is no such account.
            ValueError: The password does not have the form that is expected.
        """
        if not self._change("UPDATE account SET password = ? WHERE name = ?", (_hash(password), name)):
            raise LookupError(f"there is no account {name!r}")
        self._change("DELETE FROM session WHERE name = ?", (name,))

    def remove(self, name: str) -> None:
        """Take an account away, its sessions with it.

        Raises:
            LookupError: There is no such account.
        """
        if not self._change("DELETE FROM account WHERE name = ?", (name,)):
            raise LookupError(f"there is no account {name!r}")

    def knows(self, name: str, password: str) -> bool:
        """Whether that is the person's password; an unknown name takes as long to be refused as a wrong password."""
        found = self._run("SELECT password FROM account WHERE name = ?", (name,))
        with self._hashing:
            if self._nobody is None:
                self._nobody = generate_password_hash(secrets.token_hex())
            matches = check_password_hash(
                found[0][0] if found else self._nobody, password[: _LONGEST_PASSWORD + 1]
            )
        return bool(found) and matches

    # -- sessions ---------------------------------------------------------------------------------------

    def begin_session(self, name: str) -> str:
        """Somebody signed in. Returns the session's secret name."""
        token, now = secrets.token_urlsafe(32), self._clock.now()
        self._change(
            "DELETE FROM session WHERE seen < ? OR began < ?",
            (now - self._life.idle_s, now - self._life.longest_s),
        )
        self._change("INSERT INTO session VALUES (?, ?, ?, ?)", (_digest(token), name, now, now))
        return token

    def person_of(self, token: str) -> str | None:
        """Whose session that is; None when it has ended or never was."""
        found = self._run("SELECT name, began, seen FROM session WHERE digest = ?", (_digest(token),))
        if not found:
            return None
        [(name, began, seen)] = found
        now = self._clock.now()
        if now - seen > self._life.idle_s or now - began > self._life.longest_s:
            self.end_session(token)
            return None
        return str(name)

    def touch_session(self, token: str) -> None:
        """Its person did something; written once a minute at most."""
        now = self._clock.now()
        self._change(
            "UPDATE session SET seen = ?1 WHERE digest = ?2 AND seen < ?1 - ?3",
            (now, _digest(token), _SEEN_EVERY_S),
        )

    def end_session(self, token: str) -> None:
        """Somebody signed out."""
        self._change("DELETE FROM session WHERE digest = ?", (_digest(token),))

    # -- programs that only read ------------------------------------------------------------------------

    def give_token(self, name: str, for_s: float | None = None) -> str | None:
        """Give a program a token, which is told this once.

        Args:
            name: Of the program.
            for_s: Seconds after which it ends; None is never.

        Returns:
            The token; None when a program of that name has one, which stays as it is.

        Raises:
            ValueError: The name does not have the form that is expected.
        """
        _check_name(name)
        token, now = _TOKENS_BEGIN + secrets.token_urlsafe(32), self._clock.now()
        row = (name, _digest(token), now, None if for_s is None else now + for_s)
        return token if self._change("INSERT OR IGNORE INTO token VALUES (?, ?, ?, ?)", row) else None

    def tokens(self) -> list[Token]:
        """Which programs have one, those whose time is over among them."""
        return [Token(*row) for row in self._run("SELECT name, made, ends FROM token ORDER BY name")]

    def take_token(self, name: str) -> None:
        """Take a program's token away; its next question is refused.

        Raises:
            LookupError: There is no such program.
        """
        if not self._change("DELETE FROM token WHERE name = ?", (name,)):
            raise LookupError(f"there is no token {name!r}")

    def program_of(self, token: str) -> str | None:
        """Whose token that is; None when it is nobody's, or its time is over."""
        found = self._run(
            "SELECT name FROM token WHERE digest = ? AND (ends IS NULL OR ends > ?)",
            (_digest(token), self._clock.now()),
        )
        return str(found[0][0]) if found else None

    # -- how --------------------------------------------------------------------------------------------

    def _run(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._lock, closing(self._database.execute(statement, values)) as cursor:
                return cursor.fetchall()
        except sqlite3.Error as error:
            raise AccountsUnusableError(f"the accounts' file {self._path} failed: {error}") from error

    def _change(self, statement: str, values: tuple[object, ...]) -> int:
        try:
            with self._lock, closing(self._database.execute(statement, values)) as cursor:
                return cursor.rowcount
        except sqlite3.Error as error:
            raise AccountsUnusableError(f"the accounts' file {self._path} failed: {error}") from error

    def _migrate(self) -> None:
        [version] = self._database.execute("PRAGMA user_version").fetchone()
        if version > len(_MIGRATIONS):
            raise AccountsUnusableError(
                f"the accounts' file {self._path} has version {version}, written by a newer Fanwatch; this one knows "
                f"{len(_MIGRATIONS)}: run the newer one, or set the file aside"
            )
        for number, statements in enumerate(_MIGRATIONS[version:], start=version + 1):
            self._database.executescript(
                f"BEGIN IMMEDIATE; {statements} PRAGMA user_version = {number}; COMMIT;"
            )


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"name {name[:80]!r}: expected 1 to 64 letters, digits, spaces or . @ ' - _, "
            "with a letter or a digit first"
        )


def check_password(password: str) -> None:
    """Raises ValueError when a password does not have the form that is expected."""
    if not SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
        raise ValueError(
            f"password of {len(password)} characters: expected {SHORTEST_PASSWORD} to {_LONGEST_PASSWORD}"
        )


def _hash(password: str) -> str:
    check_password(password)
    return generate_password_hash(password)


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
