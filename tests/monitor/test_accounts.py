import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from monitor.alarms.database import AlarmDatabase
from monitor.alarms.history import AlarmHistory
from monitor.login.accounts import Accounts, AccountsUnusableError, SessionLife
from monitor.login.command import app
from tests.monitor.still_clock import StillClock

HOUR = 3600


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "accounts.sqlite3"


@pytest.fixture
def accounts(file: Path, clock: StillClock) -> Iterator[Accounts]:
    made = Accounts(file, clock, SessionLife(idle_s=8 * HOUR, longest_s=24 * HOUR))
    made.add("María Løve", "correct horse battery")
    yield made
    made.close()


def test_a_person_is_known_by_name_and_password_and_by_nothing_else(accounts: Accounts) -> None:
    assert accounts.knows("María Løve", "correct horse battery")
    assert not accounts.knows("María Løve", "correct horse batterz")
    assert not accounts.knows("María Løve", "")
    assert not accounts.knows("maría løve", "correct horse battery")
    assert not accounts.knows("nobody", "correct horse battery")


def test_neither_passwords_nor_sessions_can_be_read_out_of_the_file(accounts: Accounts, file: Path) -> None:
    token = accounts.begin_session("María Løve")
    written = b"".join(path.read_bytes() for path in file.parent.iterdir())
    assert b"correct horse" not in written
    assert token.encode() not in written
    assert b"scrypt:" in written
    assert file.stat().st_mode & 0o077 == 0


def test_an_account_that_exists_is_not_made_again(accounts: Accounts) -> None:
    assert not accounts.add("María Løve", "another password")
    assert accounts.knows("María Løve", "correct horse battery")


@pytest.mark.parametrize("name", ["", " ", " x", "x ", "x" * 65, "a\nb", "<b>", "a\x00", "-x"])
def test_a_name_that_cannot_stand_beside_an_alarm_is_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(ValueError, match="expected 1 to 64 letters"):
        accounts.add(name, "correct horse battery")


@pytest.mark.parametrize("password", ["", "eleven char", "x" * 257])
def test_a_password_too_short_or_endless_is_refused(accounts: Accounts, password: str) -> None:
    with pytest.raises(ValueError, match="expected 12 to 256"):
        accounts.add("short", password)
    with pytest.raises(ValueError, match="expected 12 to 256"):
        accounts.set_password("María Løve", password)


def test_a_session_ends_after_idle_hours_and_after_a_day_of_work(
    accounts: Accounts, clock: StillClock
) -> None:
    idle = accounts.begin_session("María Løve")
    clock.advance(8 * HOUR)
    assert accounts.person_of(idle) == "María Løve"
    clock.advance(1)
    assert accounts.person_of(idle) is None
    busy = accounts.begin_session("María Løve")
    for _ in range(4):
        clock.advance(6 * HOUR)
        accounts.touch_session(busy)
        assert accounts.person_of(busy) == "María Løve"
    clock.advance(1)
    assert accounts.person_of(busy) is None


def test_a_session_that_has_ended_stays_ended(accounts: Accounts, clock: StillClock) -> None:
    token = accounts.begin_session("María Løve")
    clock.advance(9 * HOUR)
    assert accounts.person_of(token) is None
    clock.advance(-9 * HOUR)
    assert accounts.person_of(token) is None


def test_a_logout_ends_one_session_and_a_new_password_all(accounts: Accounts) -> None:
    first, second, third = (accounts.begin_session("María Løve") for _ in range(3))
    assert len({first, second, third}) == 3
    accounts.end_session(first)
    assert accounts.person_of(first) is None
    assert accounts.person_of(second) == "María Løve"
    accounts.set_password("María Løve", "a new one, long enough")
    assert accounts.person_of(second) is None
    assert accounts.person_of(third) is None


def test_a_removed_account_is_signed_out_at_once_by_another_process_too(
    accounts: Accounts, file: Path, clock: StillClock
) -> None:
    token = accounts.begin_session("María Løve")
    other = Accounts(file, clock)
    other.remove("María Løve")
    assert accounts.person_of(token) is None
    assert not accounts.knows("María Løve", "correct horse battery")
    other.close()


def test_accounts_and_sessions_outlive_the_process(accounts: Accounts, file: Path, clock: StillClock) -> None:
    token = accounts.begin_session("María Løve")
    accounts.close()
    again = Accounts(file, clock)
    assert again.person_of(token) == "María Løve"
    again.close()


def test_a_file_of_a_newer_version_or_of_another_kind_is_refused_with_a_sentence(
    tmp_path: Path, clock: StillClock
) -> None:
    newer = tmp_path / "newer"
    with sqlite3.connect(newer) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(AccountsUnusableError, match="newer Fanwatch"):
        Accounts(newer, clock)
    other = tmp_path / "other"
    other.write_bytes(b"no database at all" * 100)
    with pytest.raises(AccountsUnusableError, match="cannot be used"):
        Accounts(other, clock)


def test_the_command_adds_lists_changes_and_removes_people_and_writes_it_down(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarms = tmp_path / "alarms.sqlite3"
    AlarmDatabase(alarms).close()
    monkeypatch.setenv("FANWATCH_ALARM_FILE", str(alarms))

    def people(*words: str, typed: str = "") -> tuple[int, str]:
        result = CliRunner().invoke(app, ["people", *words, "--file", str(file)], input=typed)
        return result.exit_code, result.output

    assert people("add", "kim", typed="a password of kim\n") == (0, "kim may sign in.\n")
    assert people("list") == (0, "kim\n")
    code, said = people("add", "kim", typed="another password\n")
    assert (code, "has an account already" in said) == (2, True)
    code, said = people("add", "lee", typed="short\n")
    assert (code, "expected 12 to 256" in said) == (2, True)
    assert people("password", "kim", typed="another password\n")[0] == 0
    with_new = Accounts(file, StillClock())
    assert with_new.knows("kim", "another password")
    with_new.close()
    assert people("remove", "kim")[0] == 0
    code, said = people("remove", "kim")
    assert (code, "there is no account 'kim'" in said) == (2, True)
    assert people("list") == (0, "")
    with AlarmDatabase(alarms, read_only=True) as database:
        written = [(each.who, each.action, each.subject) for each in AlarmHistory(database).audit()]
    assert written[::-1] == [
        ("command line", "add account", "kim"),
        ("command line", "set password", "kim"),
        ("command line", "remove account", "kim"),
    ]
