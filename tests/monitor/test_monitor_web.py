from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from monitor.alarms.settings import AlarmSettings
from monitor.condition import Condition, State
from monitor.findings import FindingKind
from monitor.login.settings import LoginSettings
from monitor.server import AllSettings, Monitor
from monitor.settings import MonitorSettings
from tests.monitor.made_verdicts import rejection, verdict
from tests.monitor.still_clock import StillClock

OURS = {"Origin": "http://127.0.0.1:8080", "Host": "127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}


class Served:
    """A monitor that nobody has started: its pages answer, its broker is away."""

    def __init__(self, folder: Path, *, demo: bool = False, allowed_hosts: tuple[str, ...] = ()) -> None:
        self.clock = StillClock()
        settings = AllSettings(
            MonitorSettings(demo=demo, allowed_hosts=allowed_hosts),
            AlarmSettings(alarm_file=folder / "alarms.sqlite3"),
            # These tests are about what the page shows; test_login.py is about who may see it.
            LoginSettings(account_file=folder / "accounts.sqlite3", public_view=True),
        )
        self.monitor = Monitor(settings, self.clock)
        self.client: FlaskClient = self.monitor.app.test_client()

    def hear(self, device_id: str, seq: int) -> None:
        self.monitor.fleet.take_verdict(verdict(device_id, at=self.clock.now(), seq=seq))


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "page")
    yield served
    served.monitor.stop()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "demo", demo=True, allowed_hosts=("nuc.plant.local",))
    yield served
    served.monitor.stop()


@pytest.mark.parametrize(
    "path", ["/", "/fan/5", "/api/fans", "/api/fans/5", "/nowhere", "/static/js/feed.js"]
)
def test_every_answer_forbids_what_the_page_does_not_need(page: Served, path: str) -> None:
    headers = page.client.get(path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"


def test_the_pages_hold_no_inline_script_or_style(page: Served) -> None:
    for path in ("/", "/fan/5"):
        text = page.client.get(path).text
        assert "<style" not in text
        assert " style=" not in text
        assert "<script>" not in text
        assert " onclick" not in text


def test_the_buttons_are_there_in_the_demo_only(page: Served, demo: Served) -> None:
    assert "data-condition" not in page.client.get("/fan/5").text
    assert 'data-condition="faulty"' in demo.client.get("/fan/5").text


def test_a_page_can_be_opened_before_its_fan_is_heard_of(page: Served) -> None:
    assert page.client.get("/fan/new").status_code == 200
    answer = page.client.get("/api/fans/new")
    assert answer.status_code == 200
    assert answer.get_json()["fans"] == []


@pytest.mark.parametrize("name", ["<script>", "a b", "x" * 65, "ä"])
def test_a_name_that_no_device_can_have_is_not_found(page: Served, name: str) -> None:
    answer = page.client.get(f"/fan/{name}")
    assert answer.status_code == 404
    assert name not in answer.text


def test_the_api_tells_a_device_with_its_points_in_the_order_of_its_signals(page: Served) -> None:
    page.hear("5", 1)
    body = page.client.get("/api/fans").get_json()
    [fan] = body["fans"]
    assert (fan["id"], fan["state"], fan["probability"]) == ("5", "unknown", 0.09)
    assert fan["signals"] == ["rotation", "temperature", "vibration", "sound"]
    [[_, at, fault, probability, *values]] = fan["points"]
    assert (at, fault, probability) == (page.clock.now() * 1000, 0, 0.09)
    assert values == [600, 45, 150, 45]
    assert body["counts"] == dict.fromkeys(State, 0) | {"unknown": 1}
    assert body["broker_trouble"] == "not connected yet"


def test_the_api_tells_what_the_diagnosis_says_and_nothing_of_its_own(page: Served) -> None:
    page.hear("5", 1)
    both = frozenset({FindingKind.MACHINE_FAULT, FindingKind.SILENCE})
    page.monitor.fleet.take_conditions({"5": Condition(State.FAULT, both)})
    body = page.client.get("/api/fans").get_json()
    [fan] = body["fans"]
    assert (fan["state"], fan["standing"]) == ("fault", ["machine_fault", "silence"])
    assert body["counts"]["fault"] == 1


def test_the_api_tells_the_next_time_only_what_is_new(page: Served) -> None:
    page.hear("5", 1)
    page.hear("6", 1)
    first = page.client.get("/api/fans").get_json()
    page.clock.advance(1)
    page.hear("5", 2)
    second = page.client.get(f"/api/fans?after={first['epoch']}.{first['cursor']}").get_json()
    [fan] = second["fans"]
    assert (fan["id"], len(fan["points"]), second["total"]) == ("5", 1, 2)


def test_a_cursor_of_another_process_gets_everything_anew(page: Served) -> None:
    page.hear("5", 1)
    body = page.client.get("/api/fans?after=0123456789abcdef.999999").get_json()
    assert len(body["fans"]) == 1


@pytest.mark.parametrize("after", ["x", "1", "-1", "0123456789abcdef.", "0123456789abcdef.1x"])
def test_a_cursor_that_is_none_is_refused(page: Served, after: str) -> None:
    answer = page.client.get(f"/api/fans?after={after}")
    assert answer.status_code == 400
    assert "epoch" in answer.get_json()["error"]


def test_a_fleet_page_gets_a_minute_of_points_and_a_fan_page_all(page: Served) -> None:
    for seq in range(100):
        page.clock.advance(1)
        page.hear("5", seq)
    assert len(page.client.get("/api/fans").get_json()["fans"][0]["points"]) == 60
    assert len(page.client.get("/api/fans/5").get_json()["fans"][0]["points"]) == 100


def test_a_point_that_lacks_a_signal_has_a_gap_there(page: Served) -> None:
    page.monitor.fleet.take_verdict(verdict("5", at=page.clock.now() - 1, seq=1, signals={"sound": 40.0}))
    page.hear("5", 2)
    [fan] = page.client.get("/api/fans").get_json()["fans"]
    assert [point[4:] for point in fan["points"]] == [[None, None, None, 40], [600, 45, 150, 45]]


def test_a_refusal_is_told_with_its_reason(page: Served) -> None:
    page.monitor.fleet.take_rejection(rejection("5"))
    [fan] = page.client.get("/api/fans").get_json()["fans"]
    assert (fan["refused"], fan["rejected"], fan["refusal"]["reason"]) == (True, 1, "out_of_range")
    page.hear("5", 1)
    assert page.client.get("/api/fans").get_json()["fans"][0]["refused"] is False


def test_a_command_is_refused_outside_the_demo(page: Served) -> None:
    answer = page.client.post("/api/fans/5/command", json={"condition": "faulty"}, headers=OURS)
    assert answer.status_code == 403
    assert "FANWATCH_DEMO" in answer.get_json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "http://evil.example"}, id="another site"),
        pytest.param({"Origin": "null"}, id="a sandboxed frame"),
        pytest.param({"Origin": "http://127.0.0.1:3000"}, id="another port of this machine"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="the browser says so"),
        pytest.param({"Content-Type": "text/plain"}, id="a simple request, sent without asking"),
        pytest.param({"Content-Type": "application/x-www-form-urlencoded"}, id="a form"),
        pytest.param(
            {"Host": "evil.example:8080", "Origin": "http://evil.example:8080"}, id="a rebound name"
        ),
    ],
)
def test_a_command_from_a_foreign_site_is_refused(demo: Served, headers: dict[str, str]) -> None:
    sent = {**OURS, "Content-Type": "application/json", **headers}
    answer = demo.client.post("/api/fans/5/command", data='{"condition": "faulty"}', headers=sent)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost:8080", "192.168.7.5", "[::1]:8080", "nuc.plant.local"]
)
def test_a_command_from_the_page_itself_gets_as_far_as_the_broker(demo: Served, host: str) -> None:
    headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    answer = demo.client.post("/api/fans/5/command", json={"condition": "faulty"}, headers=headers)
    assert answer.status_code == 503
    assert "not delivered: not connected yet" in answer.get_json()["error"]


@pytest.mark.parametrize(
    "body", ["", "[]", '{"condition": "explode"}', '{"condition": "healthy", "x": 1}', "\xff"]
)
def test_what_is_no_command_is_refused_with_a_reason(demo: Served, body: str) -> None:
    answer = demo.client.post(
        "/api/fans/5/command", data=body, headers={**OURS, "Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.get_json()["error"].startswith("not a command")


def test_a_large_body_is_refused_unread(demo: Served) -> None:
    answer = demo.client.post("/api/fans/5/command", json={"condition": "x" * 10_000}, headers=OURS)
    assert answer.status_code == 413


def test_errors_are_json(page: Served) -> None:
    answer = page.client.post("/api/fans")
    assert (answer.status_code, answer.mimetype) == (405, "application/json")


def test_health_says_what_is_wrong(page: Served) -> None:
    answer = page.client.get("/health")
    assert answer.status_code == 503
    assert answer.get_json() == {"complaint": "not connected yet"}


def test_the_metrics_count_devices_by_state(page: Served) -> None:
    page.hear("5", 1)
    text = page.client.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    states = {each.labels["state"]: each.value for each in families["fanwatch_monitor_devices"].samples}
    assert states == dict.fromkeys(State, 0) | {"unknown": 1}
    assert "fanwatch_monitor_connected" in families


def test_the_api_tells_the_ledger_of_a_device_and_of_all(page: Served) -> None:
    for seq in (1, 4, 3, 3):
        page.hear("5", seq)
    page.hear("6", 1)
    body = page.client.get("/api/fans/5").get_json()
    five = {"received": 4, "missing": 1, "in_order": 2, "out_of_order": 1, "duplicate": 1}
    none = {"undecided": 0, "unnumbered": 0}
    assert body["fans"][0]["losses"] == five | none
    assert body["losses"] == five | none | {"received": 5, "in_order": 3}


def test_the_metrics_name_only_devices_that_miss_readings_and_of_those_the_worst_twenty(page: Served) -> None:
    for number in range(1, 31):
        page.hear(f"lossy-{number:02}", 0)
        page.hear(f"lossy-{number:02}", number + 1)
    for seq in range(3):
        page.hear("whole", seq)
    text = page.client.get("/metrics").text
    families = {family.name: family.samples for family in text_string_to_metric_families(text)}
    named = {
        each.labels["deviceID"]: each.value for each in families["fanwatch_monitor_device_readings_missing"]
    }
    assert named == {f"lossy-{number:02}": number for number in range(11, 31)}
    assert {
        each.labels["deviceID"]: each.value for each in families["fanwatch_monitor_device_readings_received"]
    } == dict.fromkeys(named, 2)
    [missing] = families["fanwatch_monitor_readings_missing"]
    [devices] = families["fanwatch_monitor_devices_missing_readings"]
    assert (missing.value, devices.value) == (sum(range(1, 31)), 30)
    arrivals = {each.labels["arrival"]: each.value for each in families["fanwatch_monitor_readings"]}
    assert arrivals == {"in_order": 63, "out_of_order": 0, "duplicate": 0, "undecided": 0, "unnumbered": 0}
