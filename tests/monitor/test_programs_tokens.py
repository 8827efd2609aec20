"""A program reads with a token, and does nothing else with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner
from werkzeug.test import TestResponse

from monitor.alarms.database import AlarmDatabase
from monitor.alarms.history import AlarmHistory
from monitor.login.accounts import Accounts
from monitor.login.command import app
from tests.monitor.still_clock import StillClock
from tests.monitor.test_login import APIS, OURS, PAGES, Site

DAY = 86400


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.monitor.stop()


def token_of(site: Site, name: str = "display", for_s: float | None = None) -> str:
    token = site.monitor.accounts.give_token(name, for_s)
    assert token is not None
    return token


def ask(site: Site, token: str, path: str = "/api/alarms", method: str = "GET") -> TestResponse:
    headers = {**OURS, "Authorization": f"Bearer {token}"}
    body: dict[str, str] | None = None if method in {"GET", "HEAD"} else {}
    return site.monitor.app.test_client().open(path, method=method, headers=headers, json=body)


@pytest.mark.parametrize("path", APIS)
def test_a_program_reads_with_its_token_and_begins_no_session(site: Site, path: str) -> None:
    answer = ask(site, token_of(site), path)
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_token_changes_nothing(site: Site, method: str) -> None:
    with capture_logs() as logged:
        answer = ask(site, token_of(site), "/api/alarms/1/acknowledge", method)
    assert (answer.status_code, site.state()) == (403, "unacknowledged")
    assert answer.get_json() == {"error": "a token only reads: GET, under /api/"}
    assert [each["event"] for each in logged] == ["request_refused"]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_token_breaks_no_machine_of_the_demo(tmp_path: Path, host: str) -> None:
    site = Site(tmp_path, demo=True, listen_host=host)
    assert ask(site, token_of(site), "/api/fans/5/command", "POST").status_code == 403
    site.monitor.stop()


def test_a_token_changes_nothing_although_the_cookie_of_a_person_comes_with_it(site: Site) -> None:
    person = site.browser()
    person.sign_in()
    answer = person.order(headers={"Authorization": f"Bearer {token_of(site)}"})
    assert (answer.status_code, site.state()) == (403, "unacknowledged")


@pytest.mark.parametrize("path", PAGES)
def test_a_token_opens_no_page_and_not_the_log_of_who_did_what(site: Site, path: str) -> None:
    assert ask(site, token_of(site), path).status_code == 403


@pytest.mark.parametrize("public_view", [False, True])
@pytest.mark.parametrize("wrong", ["", "fanwatch_", "x" * 1000, "operator"])
def test_a_made_up_token_is_refused_and_logged_without_it_also_where_everybody_may_look(
    tmp_path: Path, wrong: str, public_view: bool
) -> None:
    site = Site(tmp_path, public_view=public_view)
    with capture_logs() as logged:
        answer = ask(site, wrong)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="fanwatch", error="invalid_token"'
    [line] = logged
    assert (line["event"], line["path"]) == ("request_refused", "/api/alarms")
    assert not wrong or wrong not in str(line)
    site.monitor.stop()


def test_a_token_ends_when_its_time_is_over(site: Site) -> None:
    token = token_of(site, for_s=30 * DAY)
    site.clock.advance(30 * DAY - 1)
    assert ask(site, token).status_code == 200
    site.clock.advance(1)
    assert ask(site, token).status_code == 401


def test_a_token_that_is_taken_away_is_refused_at_its_next_question_and_the_others_are_not(
    site: Site,
) -> None:
    display, scada = token_of(site), token_of(site, "SCADA")
    assert ask(site, display).status_code == 200
    site.monitor.accounts.take_token("display")
    assert ask(site, display).status_code == 401
    assert ask(site, scada).status_code == 200


def test_no_token_can_be_read_out_of_the_file_and_its_digest_is_none(site: Site, tmp_path: Path) -> None:
    token = token_of(site)
    written = b"".join(path.read_bytes() for path in tmp_path.glob("accounts.sqlite3*"))
    assert b"display" in written
    assert token.removeprefix("fanwatch_").encode() not in written
    [(digest,)] = site.monitor.accounts._run("SELECT digest FROM token")
    assert ask(site, digest).status_code == 401


def test_the_command_makes_lists_and_removes_tokens_and_writes_it_down_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, alarms = tmp_path / "accounts.sqlite3", tmp_path / "alarms.sqlite3"
    monkeypatch.setenv("FANWATCH_ALARM_FILE", str(alarms))
    with AlarmDatabase(alarms) as database, database.transaction():
        pass

    def command(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["people", "token", *words, "--file", str(file)])
        return result.exit_code, result.output.strip()

    code, token = command("add", "display", "--days", "30")
    assert (code, token.startswith("fanwatch_"), len(token)) == (0, True, 52)
    accounts = Accounts(file, StillClock())
    [kept] = accounts.tokens()
    assert kept.ends == pytest.approx(kept.made + 30 * DAY)
    accounts.close()
    code, said = command("add", "display")
    assert (code, "has a token already" in said) == (2, True)
    code, said = command("add", "<b>")
    assert (code, "expected 1 to 64 letters" in said) == (2, True)
    code, said = command("list")
    assert (code, said.split("\t")[0], token in said) == (0, "display", False)
    assert command("remove", "display") == (0, "display may no longer read.")
    code, said = command("remove", "display")
    assert (code, "there is no token 'display'" in said) == (2, True)
    with AlarmDatabase(alarms, read_only=True) as database:
        written = [(each.action, each.subject, each.detail) for each in AlarmHistory(database).audit()]
    assert written[::-1] == [("add token", "display", ""), ("remove token", "display", "")]


def test_a_file_of_accounts_from_before_there_were_tokens_keeps_its_people(tmp_path: Path) -> None:
    file = tmp_path / "accounts.sqlite3"
    old = Accounts(file, StillClock())
    old.add("kim", "a password of kim")
    old._database.executescript("DROP TABLE token; PRAGMA user_version = 1;")
    old.close()
    new = Accounts(file, StillClock())
    assert new.knows("kim", "a password of kim")
    assert new.give_token("display") is not None
    new.close()
