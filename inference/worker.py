"""Gunicorn's threaded worker, made cheaper for a caller that asks the same kind of question again and again."""

import contextlib
import select
import socket
import time
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from functools import lru_cache
from io import BytesIO
from typing import Any, Final

from gunicorn.http.wsgi import create
from gunicorn.workers.gthread import TConn, ThreadWorker

_LINGER_S: Final = 0.05
"""How long a thread stays with a silent connection; 20 requests a second and more then find it waiting."""
WITHIN_S: Final = 60.0
"""A request must have come, been scored and been taken so soon after a thread began with it. A handler of somebody's
own may take long; nobody of ours waits longer than this for an answer."""
_READ_BYTES: Final = 64 * 1024
_KNOWN_HEADS: Final = 64
"""Heads kept for one connection; a caller's differ in the length of the body alone."""
_NOT_REPEATABLE: Final = {"EXPECT", "TRANSFER-ENCODING", "UPGRADE"}
"""Headers that ask for more than an answer to a body of known length."""

Environ = Mapping[str, Any]


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's threads, each staying with its connection for a moment after an answer.

    A caller that soon asks again is then served without the way through the main thread, its poller and its pipe.
    Where the head of its request is byte for byte one that gunicorn has just read and the application has answered on
    this connection, it means the same, so it is not read again, and the answer leaves in one write. Anything else goes
    through gunicorn. Both together take a small request 0.5 ms where the machine has cooled down (docs/performance.md).

    Gunicorn reads from a connection for as long as it takes: a caller that stops in the middle of a request (its
    machine is gone, or it means it) would keep its thread for ever, and four of them the service. Here it is cut off.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._since: dict[TConn, float] = {}
        """Connections that a thread is busy with, and since when with this request (monotonic seconds)."""

    def handle(self, conn: TConn) -> object:
        """Answer requests of one connection until it is silent; with more connections than threads, one only."""
        self._since[conn] = time.monotonic()
        try:
            return self._handle(conn)
        finally:
            self._since.pop(conn, None)

    def murder_pending(self) -> None:
        """Once a second, in the main thread: cut off who has not sent a request, or not taken an answer, in time."""
        super().murder_pending()
        latest = time.monotonic() - WITHIN_S
        for conn, since in list(self._since.items()):
            if since < latest and self._since.pop(conn, None) is not None:
                self.log.warning("request cut off after %g s: not whole, from %s", WITHIN_S, conn.client[0])
                with contextlib.suppress(OSError):  # it may be gone
                    conn.sock.shutdown(
                        socket.SHUT_RDWR
                    )  # ends the waiting of the thread, which then closes it

    def _handle(self, conn: TConn) -> object:
        result: object = super().handle(conn)
        heads: dict[bytes, Environ] = {}
        while (
            result is True
            and self.alive
            and self.nr_conns <= self.cfg.threads
            and select.select([conn.sock], [], [], _LINGER_S)[0]
        ):
            self._since[conn] = time.monotonic()
            result = self._next(conn, heads)
        return result

    def _next(self, conn: TConn, heads: dict[bytes, Environ]) -> object:
        unreader = conn.parser.unreader
        if unreader.buf.getvalue():  # gunicorn has read ahead: these bytes come first
            return super().handle(conn)
        try:
            request = conn.sock.recv(_READ_BYTES)
        except OSError:
            return False
        if not request:
            return False
        head, _, body = request.partition(b"\r\n\r\n")
        known = heads.get(head)
        if known is not None and len(body) == int(known["CONTENT_LENGTH"]) and self.alive:
            return self._answer(conn, known, body)
        unreader.unread(request)
        result = super().handle(conn)
        if result is True and (environ := self._repeatable(conn, len(body))) is not None:
            if len(heads) >= _KNOWN_HEADS:
                heads.clear()
            heads[head] = environ
        return result

    def _repeatable(self, conn: TConn, length: int) -> Environ | None:
        """What the application was given for the request just answered, when it was all there: a head and its body."""
        request = conn.parser.mesg
        names = {name for name, _ in request.headers}
        if request.method != "POST" or request.version != (1, 1) or names & _NOT_REPEATABLE:
            return None
        _, environ = create(request, conn.sock, conn.client, conn.server, self.cfg)
        is_whole: bool = environ.get("CONTENT_LENGTH") == str(length)
        return {**environ, "wsgi.multithread": True} if is_whole else None

    def _answer(self, conn: TConn, known: Environ, body: bytes) -> bool:
        head = ""

        def start_response(status: str, headers: Iterable[tuple[str, str]], _error: object = None) -> None:
            nonlocal head
            lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
            head = f"HTTP/1.1 {status}\r\nDate: {_http_date(int(time.time()))}\r\n{lines}\r\n"

        try:
            content = self.wsgi({**known, "wsgi.input": BytesIO(body)}, start_response)
            try:
                conn.sock.sendall(head.encode("latin-1") + b"".join(content))
            finally:
                if hasattr(content, "close"):
                    content.close()
        except OSError:
            return False
        except Exception as error:  # noqa: BLE001 - as gunicorn does: logged, and answered with 500
            self.handle_error(conn.parser.mesg, conn.sock, conn.client, error)
            return False
        return True


@lru_cache(maxsize=1)
def _http_date(second: int) -> str:
    """RFC 9110 section 5.6.7."""
    return formatdate(second, usegmt=True)
