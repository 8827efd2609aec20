"""The pages about alarms and what they order: acknowledge, reset, shelve, unshelve, close.

A page asks once a second with the version that it has; while nothing has changed the answer is a few bytes.
"""

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request
from markupsafe import Markup

from monitor.alarm_wire import (
    CloseOrder,
    ShelveOrder,
    alarm_body,
    alarm_of,
    audit_row,
    past_alarm_body,
)
from monitor.alarms.desk import ActiveAlarm, AlarmDesk
from monitor.alarms.history import Outcome
from monitor.alarms.quality import STALE_AFTER
from monitor.clock import Clock
from monitor.findings import FindingKind
from monitor.login.gate import Gate, Refusal
from monitor.orders import carry_out
from monitor.prognosis import DiagnosisSource, prognosis_body, time_left_body
from monitor.silences import WAY

_HISTORY = 200
_AUDIT = 300
_FEW = 200
"""Of fewer alarms ten are more than the 5 % that the ten worst should have at most."""
_REPORT_DAYS = (1, 7, 30, 90)

Answer = str | Refusal


def _moment(at: datetime | int) -> Markup:
    """A moment (milliseconds since 1970 UTC, or aware) in UTC; a script of the page puts it into the reader's zone."""
    when = datetime.fromtimestamp(at / 1000, UTC) if isinstance(at, int) else at.astimezone(UTC)
    return Markup('<time data-at="{}">{} UTC</time>').format(
        round(when.timestamp() * 1000), when.strftime("%Y-%m-%d %H:%M:%S")
    )


class _Version:
    """Names what the desk holds; another process's version is never taken for ours."""

    def __init__(self, desk: AlarmDesk) -> None:
        self._epoch = secrets.token_hex(8)
        self._count = count(1)
        self._newest = 0
        desk.listen(self._changed)

    def _changed(self) -> None:
        self._newest = next(self._count)

    def __str__(self) -> str:
        return f"{self._epoch}.{self._newest}"


def _alarm_bodies(desk: AlarmDesk, alarms: Sequence[ActiveAlarm]) -> list[dict[str, Any]]:
    """Alarms with what was already found of them."""
    closed = desk.closed_while_open()
    return [alarm_body(each, None if each.alarm_id is None else closed.get(each.alarm_id)) for each in alarms]


def _audit_rows(desk: AlarmDesk) -> list[dict[str, Any]]:
    """The newest of the log, with the alarms that it is about."""
    numbered = [(alarm_of(entry), entry) for entry in desk.audit_log(_AUDIT)]
    known = desk.occurrences(number for number, _ in numbered if number is not None)
    return [audit_row(entry, None if number is None else known.get(number)) for number, entry in numbered]


def alarm_pages(
    gate: Gate, desk: AlarmDesk, diagnosis: DiagnosisSource, clock: Clock, *, operators: int
) -> Blueprint:
    """Build the blueprint."""
    pages = Blueprint("alarms", __name__)
    version = _Version(desk)
    pages.add_app_template_filter(_moment, "moment")

    @pages.get("/alarms")
    def alarm_page() -> str:
        return render_template("alarms.html")

    @pages.get("/history")
    def history_page() -> str:
        device = request.args.get("device", "")
        past = [past_alarm_body(each) for each in desk.history(device or None, _HISTORY)]
        return render_template(
            "history.html", past=past, device=device, way=WAY, most=_HISTORY, outcomes=list(Outcome)
        )

    @pages.get("/quality")
    def quality_page() -> str:
        asked = request.args.get("days", "7")
        days = int(asked) if asked.isdecimal() and int(asked) in _REPORT_DAYS else 7
        report = desk.report(timedelta(days=days), operators)
        return render_template(
            "quality.html",
            report=report,
            days=days,
            choices=_REPORT_DAYS,
            few=_FEW,
            stale_h=STALE_AFTER.total_seconds() // 3600,
        )

    @pages.get("/log")
    def audit_page() -> Answer:
        if gate.who() is None:  # who did what is for colleagues, not for a display on the wall
            return gate.turn_to_login()
        return render_template("log.html", entries=_audit_rows(desk), most=_AUDIT)

    @pages.get("/api/alarms")
    def active() -> Response:
        now = str(version)  # before the question: what changes meanwhile is told the next time
        alarms = desk.active()
        body: dict[str, Any] = {"version": now, "who": gate.who()}
        worn = {each.device_id for each in alarms if each.kind is FindingKind.WEAR and each.active}
        left = {device_id: diagnosis.time_left(device_id) for device_id in worn}
        body["time_left"] = {
            device_id: time_left_body(each, clock.now())
            for device_id, each in left.items()
            if each is not None
        }
        if request.args.get("after") != now:
            body["alarms"] = _alarm_bodies(desk, alarms)
            body["longest_shelf_h"] = desk.policy.longest_shelf / timedelta(hours=1)
        return jsonify(body)

    @pages.get("/api/fans/<device_id>/history")
    def history(device_id: str) -> Response:
        return jsonify(
            version=str(version), past=[past_alarm_body(each) for each in desk.history(device_id, 50)]
        )

    @pages.get("/api/fans/<device_id>/diagnosis")
    def prognosis(device_id: str) -> Response:
        return jsonify(prognosis_body(diagnosis.prognosis(device_id)))

    @pages.post("/api/alarms/<int:alarm_id>/acknowledge")
    def acknowledge(alarm_id: int) -> Answer:
        return order(lambda who: desk.acknowledge(alarm_id, who))

    @pages.post("/api/alarms/<int:alarm_id>/reset")
    def reset(alarm_id: int) -> Answer:
        return order(lambda who: desk.reset(alarm_id, who))

    @pages.post("/api/alarms/<int:alarm_id>/shelve")
    def shelve(alarm_id: int) -> Answer:
        def step(who: str) -> None:
            hours = ShelveOrder.model_validate_json(request.get_data()).hours
            desk.shelve(alarm_id, who, datetime.fromtimestamp(clock.now(), UTC) + timedelta(hours=hours))

        return order(step)

    @pages.post("/api/alarms/<int:alarm_id>/unshelve")
    def unshelve(alarm_id: int) -> Answer:
        return order(lambda who: desk.unshelve(alarm_id, who))

    @pages.post("/api/alarms/<int:alarm_id>/close")
    def close(alarm_id: int) -> Answer:
        def step(who: str) -> None:
            said = CloseOrder.model_validate_json(request.get_data())
            desk.close(alarm_id, who, said.outcome, said.note)

        return order(step)

    def order(step: Callable[[str], None]) -> Answer:
        return carry_out(gate, step)

    return pages
