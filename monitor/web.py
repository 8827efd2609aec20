"""The pages and their API, as a Flask application.

How a page keeps up: it asks twice a second for what changed after its cursor. Server-sent events would hold one of
the few threads for each viewer, stall behind a proxy that buffers, and need the same cursor to resume after a loss;
a poll on an idle fleet is an answer of a few hundred bytes. The cursor counts arrivals within one process, which an
epoch names: an unknown epoch, after a restart, gets everything anew.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, jsonify, redirect, render_template, request, url_for
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from contract.command import Condition, FanCommand
from contract.identity import DEVICE_ID_PATTERN
from contract.scoring import ErrorBody
from monitor.alarm_pages import alarm_pages
from monitor.alarms.desk import AlarmDesk
from monitor.clock import Clock
from monitor.defence import add_headers
from monitor.fleet import Fleet
from monitor.login.accounts import Accounts
from monitor.login.attempts import AttemptLimiter
from monitor.login.gate import Gate, Refusal
from monitor.login.pages import login_pages
from monitor.login.settings import LoginSettings
from monitor.maintenance_pages import maintenance_pages
from monitor.prognosis import DiagnosisSource
from monitor.settings import MonitorSettings
from monitor.signature import SignatureReader
from monitor.silences import WAY
from monitor.subscriber import Subscriber
from monitor.wire import fleet_body
from mqtt_session.background import BrokerAway

_SPARKLINE_POINTS = 60
_MAX_COMMAND_BYTES = 4096
_DEVICE_ID = re.compile(DEVICE_ID_PATTERN)
_CURSOR = re.compile(r"^(?P<epoch>[0-9a-f]{16})\.(?P<number>[0-9]{1,18})$")

_NOBODY = "demo"
"""Who broke a machine, in the audit log of a demo that asks for no login."""

Answer = Refusal


@dataclass(frozen=True, slots=True)
class Parts:
    """What the pages show and order."""

    fleet: Fleet
    subscriber: Subscriber
    signatures: SignatureReader
    desk: AlarmDesk
    diagnosis: DiagnosisSource
    accounts: Accounts
    clock: Clock
    operators: int
    stalled: Callable[[], str | None] = lambda: None
    """Why verdicts do not become alarms, if they do not."""


def create_app(settings: MonitorSettings, login: LoginSettings, parts: Parts) -> Flask:
    """Build the application; nothing is started by it."""
    fleet, subscriber, signatures, desk = parts.fleet, parts.subscriber, parts.signatures, parts.desk
    app = Flask(__name__)
    gate = Gate(
        login,
        parts.accounts,
        allowed_hosts=settings.allowed_hosts,
        demo=settings.demo,
        listen_host=settings.listen_host,
    )
    gate.stand_before(app)
    app.register_blueprint(login_pages(gate, parts.accounts, AttemptLimiter(parts.clock), desk))
    app.register_blueprint(maintenance_pages(gate, desk, parts.clock))
    app.register_blueprint(alarm_pages(gate, desk, parts.diagnosis, parts.clock, operators=parts.operators))
    app.config["MAX_CONTENT_LENGTH"] = _MAX_COMMAND_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    epoch = secrets.token_hex(8)
    app.context_processor(
        lambda: {
            "demo": settings.demo,
            "machine": settings.topic_root,
            "breaks": settings.demo and (gate.open_demo or gate.who() is not None),
        }
    )

    def body(device_id: str | None = None) -> Answer:
        after = _after(request.args.get("after", ""), epoch)
        if after is None:
            return _refuse(400, "after: expected the epoch and cursor of an earlier answer, as epoch.cursor")
        view = (
            fleet.view(after, points=_SPARKLINE_POINTS)
            if device_id is None
            else fleet.view_of(device_id, after)
        )
        return jsonify(
            fleet_body(
                view,
                epoch=epoch,
                broker_trouble=subscriber.trouble,
                monitor_trouble=parts.stalled(),
                way_is_down=parts.diagnosis.way_is_down,
                signature=signatures.signature,
            )
        )

    @app.get("/")
    def fleet_page() -> str:
        return render_template("fleet.html")

    @app.get("/fan/<device_id>")
    def fan_page(device_id: str) -> str | Answer | AnyResponse:
        if device_id == WAY:  # no machine, and an alarm of it leads here all the same
            return redirect(url_for("alarms.history_page", device=WAY))
        if not _DEVICE_ID.match(device_id):
            return _refuse(404, "no such device: expected letters, digits, dots, hyphens and underscores")
        conditions = [condition.value for condition in Condition]
        return render_template("fan.html", device_id=device_id, conditions=conditions)

    @app.get("/api/fans")
    def fans() -> Answer:
        return body()

    @app.get("/api/fans/<device_id>")
    def one_fan(device_id: str) -> Answer:
        # An unknown name gets an empty list, not an error: the page may be opened before its fan is heard of.
        return body(device_id)

    @app.post("/api/fans/<device_id>/command")
    def command(device_id: str) -> Answer:
        if not settings.demo:
            return gate.refuse(403, "commands are for the demo: start the monitor with FANWATCH_DEMO=true")
        refusal = gate.may_change(without_login=gate.open_demo)
        if refusal is not None:
            return refusal
        if not _DEVICE_ID.match(device_id):
            return _refuse(404, "no such device")
        try:
            wanted = FanCommand.model_validate_json(request.get_data())
        except ValidationError as error:
            return _refuse(400, f"not a command: {_first_error(error)}")
        who = gate.who() or _NOBODY
        desk.write_audit(who, "command", device_id, wanted.condition.value)
        try:
            subscriber.command(device_id, wanted)
        except BrokerAway as away:
            desk.write_audit(who, "command not delivered", device_id, wanted.condition.value)
            return _refuse(503, f"the command was not delivered: {away}")
        return jsonify(wanted.model_dump(mode="json", exclude_none=True)), 202

    @app.get("/health")
    def health() -> Answer:
        complaint = subscriber.complaint() or parts.stalled()
        return jsonify(complaint=complaint), 200 if complaint is None else 503

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(subscriber.metrics.registry), content_type=CONTENT_TYPE_LATEST)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Answer:
        return _refuse(error.code or 500, error.description or error.name)

    app.after_request(add_headers)
    return app


def _after(text: str, epoch: str) -> int | None:
    """The cursor in a request: 0 for everything, None when it is no cursor at all."""
    if not text:
        return 0
    match = _CURSOR.match(text)
    if match is None:
        return None
    return int(match["number"]) if match["epoch"] == epoch else 0


def _refuse(status: int, why: str) -> Answer:
    return jsonify(ErrorBody(error=why).model_dump()), status


def _first_error(error: ValidationError) -> str:
    detail: Any = error.errors(include_url=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in detail['loc']) or 'body'}: {detail['msg']}"[:300]
