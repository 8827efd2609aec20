"""Maintenance that somebody plans on a machine's page: who may, what is refused, and what comes of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.monitor.test_login import OURS, Person, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.monitor.stop()


@pytest.fixture
def anna(site: Site) -> Person:
    person = site.browser()
    assert person.sign_in().status_code == 302
    return person


def order(person: Person, **changes: str) -> TestResponse:
    """Plan two hours from now on; changed where a test wants it."""
    now = datetime.fromtimestamp(person.site.clock.now(), UTC)
    body = {
        "from": now.isoformat(),
        "to": (now + timedelta(hours=2)).isoformat(),
        "note": "bearing",
    } | changes
    return post(person, "/api/fans/5/maintenance", body)


def post(person: Person, path: str, body: dict[str, Any]) -> TestResponse:
    return person.client.post(path, json=body, headers={**OURS, "X-CSRFToken": person.token("/alarms")})


def windows(person: Person, device_id: str = "5") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.get(f"/api/fans/{device_id}/maintenance").get_json()["windows"]
    return found


def test_who_plans_it_is_named_in_the_list_and_in_the_log_and_the_alarm_is_kept_from_view(
    site: Site, anna: Person
) -> None:
    assert order(anna).get_json() == {"done": True}
    [window] = windows(anna)
    assert (window["who"], window["note"]) == ("operator", "bearing")
    assert (window["to"] - window["from"]) == 2 * 3600 * 1000
    assert windows(anna, "6") == []
    assert site.audit()[-1] == ("operator", "plan maintenance", "5")
    [alarm] = site.desk.active()
    assert (alarm.device_id, alarm.suppressed_by) == ("5", ("maintenance",))


def test_it_ends_by_itself(site: Site, anna: Person) -> None:
    order(anna)
    site.clock.advance(2 * 3600 + 1)
    assert windows(anna) == []
    assert site.desk.in_maintenance() == frozenset()


def test_it_is_cancelled_by_its_number_once(site: Site, anna: Person) -> None:
    order(anna)
    [window] = windows(anna)
    assert site.desk.in_maintenance() == {"5"}
    path = f"/api/maintenance/{window['number']}/cancel"
    assert post(anna, path, {}).status_code == 200
    assert windows(anna) == []
    assert site.desk.in_maintenance() == frozenset()
    assert site.audit()[-1][1] == "cancel maintenance"
    assert post(anna, path, {}).status_code == 409


def test_nobody_plans_without_a_login_or_from_elsewhere(tmp_path: Path) -> None:
    site = Site(tmp_path, public_view=True)
    wall = site.browser()
    assert windows(wall) == []
    answer = wall.client.post("/api/fans/5/maintenance", json={}, headers=OURS)
    assert answer.status_code == 401
    person = site.browser()
    person.sign_in()
    forged = {**OURS, "Origin": "http://evil.example", "X-CSRFToken": person.token("/alarms")}
    for path in ("/api/fans/5/maintenance", "/api/maintenance/1/cancel"):
        assert person.client.post(path, json={}, headers=forged).status_code == 403
    assert windows(wall) == []
    site.monitor.stop()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"note": ""}, "note"),
        ({"note": "x" * 201}, "note"),
        ({"to": "2026-11-27T10:00:00"}, "timezone"),
        ({"from": "soon"}, "from"),
        ({"to": "2001-01-01T00:00:00+00:00"}, "expected an end after its start, in the future"),
        ({"to": "2999-01-01T00:00:00+00:00"}, "at most 31 days"),
        ({"from": "2998-12-30T00:00:00+00:00", "to": "2999-01-01T00:00:00+00:00"}, "within 366 days"),
        ({"device": "6"}, "device"),
    ],
)
def test_what_no_person_means_is_refused_with_a_sentence(
    anna: Person, changes: dict[str, str], why: str
) -> None:
    answer = order(anna, **changes)
    assert answer.status_code == 400
    assert why in answer.get_json()["error"]
    assert windows(anna) == []


def test_a_name_that_no_device_can_have_is_refused(anna: Person) -> None:
    now = datetime.fromtimestamp(anna.site.clock.now(), UTC)
    body = {"from": now.isoformat(), "to": (now + timedelta(hours=2)).isoformat(), "note": "x"}
    assert post(anna, "/api/fans/a b/maintenance", body).status_code == 400
