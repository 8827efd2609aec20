"""The pages of the login: in, out, and a new password."""

import structlog
from flask import Blueprint, Response, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from monitor.alarms.desk import AlarmDesk
from monitor.login.accounts import Accounts, check_password
from monitor.login.attempts import AttemptLimiter
from monitor.login.gate import Gate, next_page

_LOG = structlog.get_logger()
_WRONG = "Name or password is wrong."

Answer = AnyResponse | tuple[Response, int] | str


def login_pages(gate: Gate, accounts: Accounts, attempts: AttemptLimiter, desk: AlarmDesk) -> Blueprint:
    """Build the blueprint."""
    pages = Blueprint("login", __name__)

    def form(status: int, complaint: str, headers: dict[str, str] | None = None) -> AnyResponse:
        wanted = request.form.get("next") or request.args.get("next", "/")
        answer = make_response(
            render_template(
                "login.html",
                complaint=complaint,
                next=next_page(wanted),
                name=request.form.get("name", ""),
                public_view=gate.public_view,
            ),
            status,
        )
        answer.headers.update(headers or {})
        return answer

    @pages.get("/login")
    def sign_in_page() -> Answer:
        return redirect(next_page(request.args.get("next", "/"))) if gate.who() else form(200, "")

    @pages.post("/login")
    def sign_in() -> Answer:
        gate.check_token()
        foreign = gate.may_change(form=True, without_login=True)
        if foreign is not None:
            return foreign
        name, password = request.form.get("name", "").strip(), request.form.get("password", "")
        address = request.remote_addr or ""
        wait = attempts.begin(name, address)
        if wait > 0:
            _LOG.warning("login_refused", why="too many attempts", name=name[:64], address=address)
            minutes = -(-wait // 60)
            return form(
                429,
                f"Too many attempts. Try again in {minutes:.0f} {'minute' if minutes == 1 else 'minutes'}.",
                {"Retry-After": f"{wait:.0f}"},
            )
        if not accounts.knows(name, password):
            _LOG.warning("login_refused", why="wrong name or password", name=name[:64], address=address)
            return form(403, _WRONG)
        attempts.succeeded(name, address)
        desk.write_audit(name, "sign in", address)  # first: what cannot be written down does not happen
        gate.sign_in(name)
        return redirect(next_page(request.form.get("next", "/")))

    @pages.post("/logout")
    def sign_out() -> Answer:
        refusal = gate.may_change(form=True)
        if refusal is not None:
            return refusal
        desk.write_audit(gate.who() or "", "sign out", request.remote_addr or "")
        gate.sign_out()
        return redirect("/")

    @pages.get("/account")
    def account_page() -> Answer:
        if gate.who() is None:
            return redirect("/login?next=/account")
        return render_template("account.html", complaint="", done=False)

    @pages.post("/account")
    def change_password() -> Answer:
        refusal = gate.may_change(form=True)
        if refusal is not None:
            return refusal
        who = gate.who() or ""
        address = request.remote_addr or ""
        complaint = ""
        if attempts.begin(who, address) > 0:
            complaint = "Too many attempts. Try again in a few minutes."
        elif not accounts.knows(who, request.form.get("password", "")):
            complaint = "That is not your present password."
        elif request.form.get("new", "") != request.form.get("again", ""):
            complaint = "The new password was not written the same twice."
        if complaint:
            _LOG.warning("password_not_changed", who=who, why=complaint, address=address)
            return make_response(render_template("account.html", complaint=complaint, done=False), 403)
        attempts.succeeded(who, address)
        try:
            check_password(request.form.get("new", ""))
        except ValueError as error:
            return make_response(render_template("account.html", complaint=f"{error}.", done=False), 400)
        desk.write_audit(who, "change password", who)
        accounts.set_password(who, request.form.get("new", ""))
        gate.sign_in(who)
        return render_template("account.html", complaint="", done=True)

    return pages
