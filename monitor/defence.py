"""What a browser is told to refuse, and what is refused of a browser.

The page answers on the machine's own address, where any web site that somebody visits can make their browser send
requests. Three things keep a foreign site from changing anything, before the login (monitor/login/gate.py) looks at it:

* what a script sends must be application/json, which a browser sends to another origin only after asking (CORS
  preflight), and no preflight is ever granted; the few forms are held to what follows, and to their token;
* its Origin must be this very host; a browser always names it on a POST;
* the host must be localhost, an IP address or a name from the settings: a site whose name is made to point at this
  machine (DNS rebinding) would pass the second check, and has a name that is none of these.
"""

import ipaddress
from urllib.parse import urlsplit

from flask import Request, Response

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Others are told nothing either way; with no-referrer a browser also hides the Origin of our own forms from us.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def add_headers(response: Response) -> Response:
    """Forbid the browser everything that the page does not need."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if response.mimetype in {"text/html", "application/json"}:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def why_foreign(request: Request, allowed_hosts: tuple[str, ...], *, form: bool = False) -> str | None:
    """Why a request that changes something does not come from this page, or None when it does."""
    wanted = "application/x-www-form-urlencoded" if form else "application/json"
    if request.mimetype != wanted:
        return f"expected Content-Type {wanted}"
    host = urlsplit(f"//{request.host}").hostname or ""
    if not _is_own(host, allowed_hosts):
        return (
            f"host {host[:100]!r} is not known to be this machine: use its IP address or localhost, "
            "or name it in FANWATCH_ALLOWED_HOSTS"
        )
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        return f"origin {origin[:100]!r} is not this page"
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return "another site sent this"
    return None


def _is_own(host: str, allowed_hosts: tuple[str, ...]) -> bool:
    if host == "localhost" or host in allowed_hosts:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
