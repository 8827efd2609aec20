"""Gunicorn's threaded worker, made so that a slow client holds no thread.

Gunicorn gives every new connection a thread at once, for up to five seconds of silence, and for ever once one byte has
come: sixteen connections that send a byte and wait (a "slowloris") stop the page for everybody. Here a request gets a
thread when all of it is there: until then its bytes wait in the kernel, and its connection in the main thread's poller.
Gunicorn also waits up to two seconds, in the one thread that accepts, for whoever does not close a finished connection;
here it is closed at once.
"""

import contextlib
import socket
import time
from enum import Enum
from typing import Final, NoReturn

from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker

WITHIN_S: Final = 10.0
"""A request must be there so soon after its first byte; the slowest line that is still of use takes a second."""
_MOST_BYTES: Final = 16 * 1024
"""Of head and body together: three times what a request of the page has."""


class Arrival(Enum):
    """What is to be done with what came of a request."""

    PART = "wait for the rest"
    WHOLE = "answer it"
    TOO_LONG = "413 Content Too Large"
    NO_LENGTH = "411 Length Required"


class _Left(Exception):  # noqa: N818 - no error: gunicorn closes at once, and without waiting, whatever raises
    """The connection is done with."""


class PromptWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's threads, for requests that are there."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._began: dict[TConn, float] = {}
        """Connections with a part of a request, and since when (monotonic seconds)."""

    def handle(self, conn: TConn) -> object:
        """Answer a request, or set its connection aside until more of it has come."""
        read_ahead = b"" if conn.parser is None else conn.parser.unreader.buf.getvalue()
        try:
            waiting = conn.sock.recv(_MOST_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            has_ended = not waiting
        except BlockingIOError:
            waiting, has_ended = b"", False
        except OSError:
            return self._leave(conn)
        if has_ended:
            return self._leave(conn)
        arrival = arrival_of(read_ahead + waiting)
        if arrival is Arrival.PART:
            return self._wait(conn, len(waiting), is_silent=not read_ahead and not waiting)
        if arrival is not Arrival.WHOLE:
            return self._leave(conn, arrival.value)
        self._began.pop(conn, None)
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        result: object = super().handle(conn)
        return result or self._leave(conn)

    def _wait(self, conn: TConn, received: int, *, is_silent: bool) -> object:
        now = time.monotonic()
        if not is_silent and now - self._began.setdefault(conn, now) > WITHIN_S:
            return self._leave(conn, "408 Request Timeout")
        # Readable again only when a byte more is there: without it the poller would turn without a pause.
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, received + 1)
        return _DEFER  # gunicorn closes it after its keep-alive in which nothing comes

    def _leave(self, conn: TConn, refusal: str | None = None) -> NoReturn:
        self._began.pop(conn, None)
        with contextlib.suppress(OSError):  # it may be gone, or not listen
            if refusal is not None:
                self.log.warning("request refused: %s, to %s", refusal, conn.client[0])
                head = f"HTTP/1.1 {refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                conn.sock.send(head.encode(), socket.MSG_DONTWAIT)
            conn.sock.shutdown(socket.SHUT_WR)
            # What is left unread would make the kernel take the answer back (a reset in place of an end).
            conn.sock.recv(_MOST_BYTES * 4, socket.MSG_DONTWAIT)
        raise _Left

    def murder_pending(self) -> None:
        """Once a second: close who has been silent for too long, and forget them here too."""
        super().murder_pending()
        for conn in [each for each in list(self._began) if each.sock.fileno() == -1]:
            self._began.pop(conn, None)


def arrival_of(received: bytes) -> Arrival:
    """What is to be done with what has come of a request so far (RFC 9112, sections 2 and 6)."""
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return Arrival.TOO_LONG if len(received) >= _MOST_BYTES else Arrival.PART
    wanted = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        name = name.strip().lower()
        if name == b"transfer-encoding":
            return Arrival.NO_LENGTH
        if name == b"content-length" and value.strip().isdigit():
            wanted = max(wanted, int(value))
    if len(head) + len(end) + wanted >= _MOST_BYTES:
        return Arrival.TOO_LONG
    return Arrival.WHOLE if len(body) >= wanted else Arrival.PART
