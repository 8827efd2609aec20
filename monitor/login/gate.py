"""The gate of the application: who is signed in, who may look, who may change something.

A request that changes something passes four checks, each of which stops one way of forging it:

* it comes from this very page (defence.why_foreign): against another site's script or form;
* somebody is signed in, by a cookie that a browser sends to this site only (SameSite=Strict) and shows to no script
  (HttpOnly): against everybody else;
* it carries the token of that session (Flask-WTF): against a page of this host that is not ours, such as another
  service on another port, to which the cookie goes as well (cookies know no ports, RFC 6265 section 8.5);
* a session is a row that a logout deletes, and is named anew at each login: against a copied or planted cookie.

A program shows a token in place of a cookie (RFC 6750), and may then GET what is under /api/, and nothing else: a token
that is stolen from a display changes nothing. A browser never sends one by itself, so there is nothing to forge.

The buttons of the demo need no login while the page is bound to this machine's loopback, and no token either: then
there is no session that a forged request could use, and the first check has kept other sites out.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

import structlog
from flask import (
    Flask,
    Request,
    Response,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    session,
)
from flask_login import LoginManager, current_user, login_user, logout_user
from flask_wtf.csrf import CSRFError, CSRFProtect, generate_csrf
from werkzeug.wrappers import Response as AnyResponse

from contract.scoring import ErrorBody
from monitor.defence import why_foreign
from monitor.login.accounts import FIRST_ACCOUNT, Accounts
from monitor.login.settings import LoginSettings

_LOG = structlog.get_logger()
# What a probe or a browser needs before anybody is signed in.
_ALWAYS_OPEN = frozenset({"static", "health", "metrics", "login.sign_in_page", "login.sign_in"})
_READING = frozenset({"GET", "HEAD"})

Refusal = AnyResponse | tuple[Response, int]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person with a session, as Flask-Login wants one."""

    name: str
    token: str
    is_authenticated: bool = True
    is_active: bool = True
    is_anonymous: bool = False

    def get_id(self) -> str:
        """What the cookie holds: the session's secret name."""
        return self.token


class Gate:
    """Stands before every request.

    Args:
        settings: The login's own.
        accounts: People and their sessions.
        allowed_hosts: Host names under which the page may be changed, besides localhost and addresses.
        demo: Whether simulated machines may be broken.
        listen_host: What the page is bound to.
    """

    def __init__(
        self,
        settings: LoginSettings,
        accounts: Accounts,
        *,
        allowed_hosts: tuple[str, ...],
        demo: bool,
        listen_host: str,
    ) -> None:
        self._settings = settings
        self._accounts = accounts
        self._allowed_hosts = allowed_hosts
        self._csrf = CSRFProtect()
        self.public_view = demo if settings.public_view is None else settings.public_view
        self.open_demo = demo and _is_loopback(listen_host)
        """Whether machines may be broken without a login."""
        first = settings.page_password
        if first is not None and accounts.add(FIRST_ACCOUNT, first.get_secret_value()):
            _LOG.info("first_account_made", who=FIRST_ACCOUNT)

    def stand_before(self, app: Flask) -> None:
        """Set the application up."""
        secret = self._settings.session_secret
        app.config.update(
            SECRET_KEY=secret.get_secret_value() if secret else secrets.token_hex(32),
            SESSION_COOKIE_NAME="fanwatch_session",
            SESSION_COOKIE_HTTPONLY=True,
            SESSION_COOKIE_SAMESITE="Strict",
            SESSION_COOKIE_SECURE=self._settings.page_https,
            # The row decides when a session ends; the cookie must only not outlive it for long.
            PERMANENT_SESSION_LIFETIME=timedelta(hours=self._settings.session_longest_h),
            SESSION_REFRESH_EACH_REQUEST=False,
            WTF_CSRF_CHECK_DEFAULT=False,  # may_change decides which requests need a token
            WTF_CSRF_TIME_LIMIT=None,  # a token lives as long as its session: a page may stay open for a shift
            WTF_CSRF_SSL_STRICT=False,  # would look at the Referer; why_foreign looks at the Origin
        )
        logins = LoginManager(app)
        logins.user_loader(self._person)
        self._csrf.init_app(app)
        app.before_request(self._before)
        app.register_error_handler(CSRFError, self._csrf_missing)
        app.context_processor(
            lambda: {"who": self.who(), "csrf": generate_csrf, "signed_in": self.who() is not None}
        )

    def who(self) -> str | None:
        """Who is signed in."""
        return current_user.name if current_user.is_authenticated else None

    def sign_in(self, name: str) -> None:
        """Begin a session; what the cookie held before is gone, so that nobody can have planted it."""
        session.clear()
        session.permanent = True
        login_user(SignedIn(name, self._accounts.begin_session(name)))

    def sign_out(self) -> None:
        """End the session, for whoever else has the cookie too."""
        if current_user.is_authenticated:
            self._accounts.end_session(current_user.token)
        logout_user()
        session.clear()

    def may_change(self, *, form: bool = False, without_login: bool = False) -> Refusal | None:
        """Why this request may not change anything, or None when it may.

        Args:
            form: It comes from a form, and not from a script of the page.
            without_login: Whether it may be made by nobody in particular.

        Raises:
            CSRFError: It lacks the session's token.
        """
        foreign = why_foreign(request, self._allowed_hosts, form=form)
        if foreign is not None:
            return self.refuse(403, foreign)
        who = self.who()
        if who is None:
            if without_login:
                return None
            return self.refuse(401, "sign in first: this changes something, and is written down with a name")
        self._csrf.protect()
        self._accounts.touch_session(current_user.token)
        return None

    def check_token(self) -> None:
        """Raises CSRFError when the request lacks the token that a form was given."""
        self._csrf.protect()

    def refuse(self, status: int, why: str) -> Refusal:
        """Answer that a request is refused, and write it down in one line."""
        _LOG.warning(
            "request_refused",
            status=status,
            why=why,
            method=request.method,
            path=request.path[:200],
            who=self.who(),
            address=request.remote_addr,
        )
        if "text/html" in request.headers.get("Accept", ""):
            return make_response(render_template("refused.html", why=why), status)
        return jsonify(ErrorBody(error=why).model_dump()), status

    def turn_to_login(self) -> Refusal:
        """Send somebody to the login, and back here after it."""
        return redirect(f"/login?next={quote(request.full_path.rstrip('?'), safe='')}")

    def _person(self, token: str) -> SignedIn | None:
        name = self._accounts.person_of(token)
        return None if name is None else SignedIn(name, token)

    def _before(self) -> Refusal | None:
        """Turn away who may not look."""
        if request.endpoint in _ALWAYS_OPEN:
            return None
        if request.authorization is not None and request.authorization.type == "bearer":
            return self._why_not_for_program(request.authorization.token or "")
        if current_user.is_authenticated and _is_person(request):
            self._accounts.touch_session(current_user.token)
        if self.public_view or current_user.is_authenticated:
            return None
        if request.method == "GET" and not request.path.startswith("/api/"):
            return self.turn_to_login()
        return self.refuse(401, "sign in first, at /login")

    def _why_not_for_program(self, token: str) -> Refusal | None:
        """Why a request with a token is refused; also where everybody may look, so that one learns that it ended."""
        if self._accounts.program_of(token) is None:
            answer = make_response(self.refuse(401, "no such token, or its time is over"))
            answer.headers["WWW-Authenticate"] = 'Bearer realm="fanwatch", error="invalid_token"'
            return answer
        if request.method not in _READING or not request.path.startswith("/api/"):
            return self.refuse(403, "a token only reads: GET, under /api/")
        return None

    def _csrf_missing(self, error: CSRFError) -> Refusal:
        return self.refuse(403, f"{error.description} Load the page anew and try again.")


def next_page(wanted: str) -> str:
    """Where to go after the login: a path of this page, and no other site's address."""
    parts = urlsplit(wanted)
    if parts.scheme or parts.netloc or not wanted.startswith("/") or wanted.startswith(("//", "/\\")):
        return "/"
    return wanted


def _is_person(asked: Request) -> bool:
    """Whether somebody did something, and not a page that asks for news by itself."""
    return asked.method == "GET" and not asked.path.startswith(("/api/", "/static/"))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
