"""Who may look and who may change something: every forged way in is refused, and each refusal is one line."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from monitor.alarms.settings import AlarmSettings
from monitor.findings import Contribution, Finding, FindingKind
from monitor.login.accounts import FIRST_ACCOUNT
from monitor.login.attempts import PERSON_AT_ADDRESS
from monitor.login.settings import LoginSettings
from monitor.server import AllSettings, Monitor
from monitor.settings import MonitorSettings
from tests.monitor.still_clock import StillClock

OURS = {"Origin": "http://127.0.0.1:8080", "Host": "127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}
PASSWORD = "the first password of all"
HTML = {"Accept": "text/html,application/xhtml+xml"}
PAGES = ["/", "/alarms", "/fan/5", "/history", "/quality", "/log", "/account"]
APIS = [
    "/api/fans",
    "/api/fans/5",
    "/api/alarms",
    "/api/fans/5/history",
    "/api/fans/5/diagnosis",
    "/api/fans/5/maintenance",
]


class Site:
    """A monitor that nobody has started, with one alarm; people come to it with browsers of their own."""

    def __init__(
        self,
        folder: Path,
        *,
        listen_host: str = "127.0.0.1",
        demo: bool = False,
        public_view: bool | None = None,
        page_https: bool = False,
    ) -> None:
        self.clock = StillClock()
        settings = AllSettings(
            MonitorSettings(demo=demo, listen_host=listen_host),
            AlarmSettings(alarm_file=folder / "alarms.sqlite3"),
            LoginSettings(
                account_file=folder / "accounts.sqlite3",
                page_password=SecretStr(PASSWORD),
                session_secret=SecretStr("k" * 40),
                public_view=public_view,
                page_https=page_https,
            ),
        )
        self.monitor = Monitor(settings, self.clock)
        self.desk = self.monitor.alarms.desk
        self.raise_alarm("5")

    def raise_alarm(self, device_id: str) -> int:
        at = datetime.fromtimestamp(self.clock.now(), UTC)
        part = Contribution("vibration", 231.0, "", 100.0, 200.0, 1.0)
        self.desk.on_findings(
            [Finding(device_id, FindingKind.SILENCE, True, at, "Nothing heard.", "", (part,))]
        )
        return max(alarm.alarm_id or 0 for alarm in self.desk.active())

    def browser(self) -> "Person":
        return Person(self)

    def state(self) -> str:
        [alarm] = self.desk.active()
        return alarm.state.value

    def audit(self) -> list[tuple[str, str, str]]:
        return [(each.who, each.action, each.subject) for each in reversed(self.desk.audit_log())]


class Person:
    """Somebody's browser."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.client: FlaskClient = site.monitor.app.test_client()

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, headers={"Host": "127.0.0.1:8080", **HTML, **headers})

    def token(self, path: str = "/login") -> str:
        text = self.get(path).text
        found = re.search(r'name="csrf(?:_token|-token)" (?:value|content)="([^"]+)"', text)
        assert found, text[:500]
        return found[1]

    def sign_in(
        self, name: str = FIRST_ACCOUNT, password: str = PASSWORD, *, wanted: str = "/", **headers: str
    ) -> TestResponse:
        form = {"name": name, "password": password, "csrf_token": self.token(), "next": wanted}
        return self.client.post("/login", data=form, headers={**OURS, **HTML, **headers})

    def order(
        self,
        action: str = "acknowledge",
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> TestResponse:
        sent = {**OURS, "X-CSRFToken": self.token("/alarms"), **(headers or {})}
        return self.client.post(
            f"/api/alarms/1/{action}",
            json={} if body is None else body,
            headers={k: v for k, v in sent.items() if v},
        )

    def session_cookie(self) -> str:
        cookie = self.client.get_cookie("fanwatch_session", domain="127.0.0.1")
        assert cookie is not None
        return cookie.value


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.monitor.stop()


@pytest.fixture
def operator(site: Site) -> Person:
    person = site.browser()
    assert person.sign_in().status_code == 302
    return person


# -- who may look -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_a_page_sends_who_is_not_signed_in_to_the_login_and_back(site: Site, path: str) -> None:
    person = site.browser()
    answer = person.get(path)
    assert (answer.status_code, "Nothing heard" in answer.text) == (302, False)
    assert answer.headers["Location"].startswith("/login?next=")
    assert person.get(answer.headers["Location"]).status_code == 200
    back = person.sign_in(wanted=path)
    assert back.headers["Location"] == path
    assert person.get(path).status_code == 200


@pytest.mark.parametrize("path", APIS)
def test_the_api_tells_who_is_not_signed_in_nothing(site: Site, path: str) -> None:
    answer = site.browser().get(path, Accept="application/json")
    assert answer.status_code == 401
    assert answer.get_json() == {"error": "sign in first, at /login"}


@pytest.mark.parametrize("path", ["/health", "/metrics", "/static/css/base.css", "/login"])
def test_probes_and_the_login_itself_need_no_login(site: Site, path: str) -> None:
    assert site.browser().get(path).status_code in {200, 503}


@pytest.mark.parametrize(
    ("demo", "public_view", "open_"),
    [(False, None, False), (True, None, True), (False, True, True), (True, False, False)],
)
def test_one_setting_decides_who_may_look_and_the_demo_is_open_unless_it_says_otherwise(
    tmp_path: Path, demo: bool, public_view: bool | None, open_: bool
) -> None:
    made = Site(tmp_path, demo=demo, public_view=public_view)
    assert (made.browser().get("/alarms").status_code == 200) is open_
    made.monitor.stop()


def test_a_display_on_the_wall_shows_alarms_and_neither_acts_nor_tells_who_did_what(tmp_path: Path) -> None:
    site = Site(tmp_path, public_view=True)
    wall = site.browser()
    assert wall.get("/api/alarms").get_json()["who"] is None
    assert wall.get("/log").status_code == 302
    answer = wall.client.post("/api/alarms/1/acknowledge", json={}, headers=OURS)
    assert (answer.status_code, site.state()) == (401, "unacknowledged")
    site.monitor.stop()


# -- the login --------------------------------------------------------------------------------------------


def test_the_first_account_has_the_password_that_setup_made(site: Site) -> None:
    person = site.browser()
    assert person.sign_in().status_code == 302
    assert person.get("/api/alarms").get_json()["who"] == "operator"


@pytest.mark.parametrize(
    ("name", "password"), [("operator", "wrong"), ("nobody", PASSWORD), ("", ""), ("operator", "")]
)
def test_a_wrong_name_or_password_is_refused_alike_and_logged_without_the_password(
    site: Site, name: str, password: str
) -> None:
    person = site.browser()
    with capture_logs() as logged:
        answer = person.sign_in(name, password)
    assert answer.status_code == 403
    assert "Name or password is wrong." in answer.text
    [line] = [each for each in logged if each["event"] == "login_refused"]
    assert line == {
        "event": "login_refused",
        "log_level": "warning",
        "why": "wrong name or password",
        "name": name,
        "address": "127.0.0.1",
    }
    assert person.get("/api/alarms").status_code == 401


def test_guessing_is_stopped_even_when_the_right_password_is_next(site: Site) -> None:
    person = site.browser()
    for _ in range(PERSON_AT_ADDRESS.failures):
        assert person.sign_in(password="wrong").status_code == 403
    with capture_logs() as logged:
        answer = person.sign_in()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "300")
    assert "Try again in 5 minutes" in answer.text
    assert [each["why"] for each in logged if each["event"] == "login_refused"] == ["too many attempts"]
    site.clock.advance(300)
    assert person.sign_in().status_code == 302


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "javascript:x"]
)
def test_the_login_sends_nobody_to_another_site(site: Site, wanted: str) -> None:
    assert site.browser().sign_in(wanted=wanted).headers["Location"] == "/"


def test_the_cookie_is_shown_to_no_script_and_sent_by_no_other_site(site: Site) -> None:
    set_cookie = site.browser().sign_in().headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(set_cookie.split("; "))
    assert "Secure" not in set_cookie
    assert PASSWORD not in set_cookie


def test_behind_https_the_cookie_never_travels_in_clear(tmp_path: Path) -> None:
    made = Site(tmp_path, page_https=True)
    person = made.browser()
    page = person.client.get("/login", base_url="https://127.0.0.1:8080", headers=HTML)
    assert "Secure" in page.headers["Set-Cookie"].split("; ")
    made.monitor.stop()


def test_a_planted_cookie_is_not_the_one_that_gets_signed_in(site: Site) -> None:
    victim, attacker = site.browser(), site.browser()
    known_token = attacker.token()
    planted = attacker.session_cookie()
    victim.client.set_cookie("fanwatch_session", planted, domain="127.0.0.1")
    assert victim.sign_in().status_code == 302
    assert victim.session_cookie() != planted
    assert victim.get("/api/alarms").status_code == 200
    assert victim.order(headers={"X-CSRFToken": known_token}).status_code == 403
    assert attacker.get("/api/alarms").status_code == 401


def test_a_copied_cookie_is_worth_nothing_after_the_logout(site: Site, operator: Person) -> None:
    thief = site.browser()
    thief.client.set_cookie("fanwatch_session", operator.session_cookie(), domain="127.0.0.1")
    assert thief.get("/api/alarms").status_code == 200
    form = {"csrf_token": operator.token("/alarms")}
    assert operator.client.post("/logout", data=form, headers={**OURS, **HTML}).status_code == 302
    assert thief.get("/api/alarms").status_code == 401
    assert operator.get("/api/alarms").status_code == 401


@pytest.mark.parametrize(
    "cookie", ["", "x", "eyJfdXNlcl9pZCI6Im9wZXJhdG9yIn0.aSWqZQ.AAAAAAAAAAAAAAAAAAAAAAAAAAA"]
)
def test_a_made_up_cookie_is_nobody(site: Site, cookie: str) -> None:
    person = site.browser()
    person.client.set_cookie("fanwatch_session", cookie, domain="127.0.0.1")
    assert person.get("/api/alarms").status_code == 401


def test_an_idle_session_ends_although_its_page_goes_on_asking(site: Site, operator: Person) -> None:
    for _ in range(8):
        site.clock.advance(3600)
        assert operator.get("/api/alarms", Accept="application/json").status_code == 200
    site.clock.advance(1)
    assert operator.get("/api/alarms", Accept="application/json").status_code == 401
    answer = operator.client.post("/api/alarms/1/acknowledge", json={}, headers=OURS)
    assert (answer.status_code, site.state()) == (401, "unacknowledged")


def test_a_session_of_somebody_at_work_goes_on_for_a_day(site: Site, operator: Person) -> None:
    for _ in range(4):
        site.clock.advance(6 * 3600)
        assert operator.get("/alarms").status_code == 200
    site.clock.advance(1)
    assert operator.get("/alarms").status_code == 302


def test_a_new_password_signs_every_other_browser_out(site: Site, operator: Person) -> None:
    other = site.browser()
    other.sign_in()

    def change(**changed: str) -> TestResponse:
        form = {"password": PASSWORD, "new": "a new password", "again": "a new password", **changed}
        form["csrf_token"] = operator.token("/account")
        return operator.client.post("/account", data=form, headers={**OURS, **HTML})

    assert change(password="not it").status_code == 403
    assert change(again="a new passwort").status_code == 403
    assert change(new="short", again="short").status_code == 400
    assert other.get("/alarms").status_code == 200
    assert "It is changed" in change().text
    assert other.get("/alarms").status_code == 302
    assert operator.get("/alarms").status_code == 200
    assert site.browser().sign_in().status_code == 403
    assert site.browser().sign_in(password="a new password").status_code == 302


# -- who may change something -----------------------------------------------------------------------------


def test_who_is_signed_in_acknowledges_with_their_name_and_it_is_written_down(
    site: Site, operator: Person
) -> None:
    assert operator.order().status_code == 200
    [alarm] = site.desk.active()
    assert (alarm.state.value, alarm.acknowledged_by) == ("acknowledged", "operator")
    assert site.audit() == [("operator", "sign in", "127.0.0.1"), ("operator", "acknowledge", "alarm 1")]
    assert "Acknowledge" in operator.get("/log").text


def test_an_alarm_is_shelved_unshelved_and_closed(site: Site, operator: Person) -> None:
    assert operator.order("shelve", {"hours": 8}).status_code == 200
    [alarm] = site.desk.active()
    assert alarm.shelved_until == datetime.fromtimestamp(site.clock.now() + 8 * 3600, UTC)
    assert operator.order("unshelve").status_code == 200
    assert operator.order("close", {"outcome": "planned", "note": "new <b>bearing</b>"}).status_code == 200
    [past] = operator.get("/api/fans/5/history").get_json()["past"]
    assert (past["outcome"], past["note"], past["closed_by"]) == ("planned", "new <b>bearing</b>", "operator")
    assert "new &lt;b&gt;bearing&lt;/b&gt;" in operator.get("/history").text
    assert [action for _, action, _ in site.audit()] == ["sign in", "shelve", "unshelve", "close"]


@pytest.mark.parametrize(
    ("action", "body", "status", "why"),
    [
        ("shelve", {}, 400, "hours"),
        ("shelve", {"hours": 0}, 400, "hours"),
        ("shelve", {"hours": "NaN"}, 400, "hours"),
        ("shelve", {"hours": 8000}, 409, "at most 7 days"),
        ("close", {"outcome": "maybe"}, 400, "outcome"),
        ("close", {"outcome": "real", "note": "x" * 1001}, 400, "note"),
        ("close", {"outcome": "real", "x": 1}, 400, "x"),
        ("unshelve", {}, 409, ""),
        ("reset", {}, 409, ""),
    ],
)
def test_an_order_that_does_not_fit_is_refused_with_a_reason(
    site: Site, operator: Person, action: str, body: dict[str, Any], status: int, why: str
) -> None:
    answer = operator.order(action, body)
    assert answer.status_code == status
    assert why in answer.get_json()["error"]
    assert site.state() == "unacknowledged"


def test_an_alarm_that_never_was_is_refused(site: Site, operator: Person) -> None:
    headers = {**OURS, "X-CSRFToken": operator.token("/alarms")}
    answer = operator.client.post("/api/alarms/99/acknowledge", json={}, headers=headers)
    assert (answer.status_code, "99" in answer.get_json()["error"]) == (409, True)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"X-CSRFToken": ""}, id="no token"),
        pytest.param({"X-CSRFToken": "made-up"}, id="a made-up token"),
        pytest.param({"Origin": "http://evil.example"}, id="another site"),
        pytest.param({"Origin": "null"}, id="a sandboxed frame"),
        pytest.param({"Origin": "http://127.0.0.1:3000"}, id="another port of this machine"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="the browser says so"),
        pytest.param({"Content-Type": "text/plain"}, id="a simple request, sent without asking"),
        pytest.param({"Content-Type": "application/x-www-form-urlencoded"}, id="a form"),
    ],
)
def test_a_forged_order_is_refused_although_the_cookie_comes_with_it(
    site: Site, operator: Person, headers: dict[str, str]
) -> None:
    with capture_logs() as logged:
        answer = operator.order(headers=headers)
    assert (answer.status_code, site.state()) == (403, "unacknowledged")
    assert answer.get_json()["error"]
    [line] = [each for each in logged if each["event"] == "request_refused"]
    assert (line["status"], line["path"], line["who"]) == (403, "/api/alarms/1/acknowledge", "operator")


def test_the_token_of_one_session_is_no_token_of_another(site: Site, operator: Person) -> None:
    attacker = site.browser()
    theirs = attacker.token()
    answer = operator.order(headers={"X-CSRFToken": theirs})
    assert (answer.status_code, site.state()) == (403, "unacknowledged")


def test_a_forged_login_is_refused(site: Site) -> None:
    person = site.browser()
    form = {"name": FIRST_ACCOUNT, "password": PASSWORD}
    for headers in (OURS, {**OURS, "Origin": "http://evil.example"}):
        answer = person.client.post("/login", data=form, headers={**headers, **HTML})
        assert (answer.status_code, "refused" in answer.text) == (403, True)
    assert person.sign_in(Origin="http://evil.example").status_code == 403
    assert person.get("/api/alarms").status_code == 401


def test_a_forged_logout_is_refused(site: Site, operator: Person) -> None:
    assert operator.client.post("/logout", data={}, headers={**OURS, **HTML}).status_code == 403
    assert operator.get("/api/alarms").status_code == 200


# -- the demo's buttons -----------------------------------------------------------------------------------


def command(person: Person, headers: dict[str, str] | None = None) -> TestResponse:
    sent = {**OURS, **(headers or {})}
    return person.client.post("/api/fans/5/command", json={"condition": "faulty"}, headers=sent)


@pytest.mark.parametrize(
    ("listen_host", "status"), [("127.0.0.1", 503), ("::1", 503), ("0.0.0.0", 401), ("nuc", 401)]
)
def test_the_demos_buttons_need_no_login_on_loopback_alone(
    tmp_path: Path, listen_host: str, status: int
) -> None:
    made = Site(tmp_path, demo=True, listen_host=listen_host)
    stranger = made.browser()
    assert command(stranger).status_code == status  # 503: it got as far as the broker, which is away
    assert ("data-condition" in stranger.get("/fan/5").text) is (status == 503)
    person = made.browser()
    person.sign_in()
    assert command(person, {"X-CSRFToken": person.token("/alarms")}).status_code == 503
    assert command(person).status_code == 403
    assert "data-condition" in person.get("/fan/5").text
    made.monitor.stop()
