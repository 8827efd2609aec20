"""One HTTP/1.1 connection that is kept open: a request in one write, and its answer read by a parser in C.

Answers are read by llhttp, the parser of Node.js, through httptools: the standard library reads the head of an answer
with the parser of e-mails, which takes 0.2 ms where the machine has cooled down since the last (docs/performance.md).
"""

import socket
import ssl
import struct
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

_READ_BYTES = 64 * 1024


class _Answers:
    """The answers of one connection, one after the other; the parser tells what it finds."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._parts: list[bytes] = []
        self.whole: tuple[int, bytes] | None = None
        """Status and body, once all of it has come."""
        self.is_last = False
        """Whether the other side closes the connection after it."""

    def expect(self) -> None:
        """Another request was sent."""
        self._parts, self.whole = [], None

    def feed(self, data: bytes) -> None:
        """Raises HttpParserError."""
        self._parser.feed_data(data)

    def on_body(self, part: bytes) -> None:
        """Called by the parser, as the next one."""
        self._parts.append(part)

    def on_message_complete(self) -> None:
        self.whole = (self._parser.get_status_code(), b"".join(self._parts))
        self.is_last = not self._parser.should_keep_alive()  # known here alone


class HttpConnection:
    """Connects when it is asked and has no connection; used by one thread.

    Args:
        base_url: http or https, host and perhaps a port; its path is the caller's business.
        timeout_s: For connecting, for each write and for each read.
    """

    def __init__(self, base_url: str, timeout_s: float) -> None:
        url = urlsplit(base_url)
        self._host = url.hostname or ""
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if url.scheme == "https" else None
        self._timeout_s = timeout_s
        self._common = (
            f"Host: {url.netloc.rpartition('@')[2]}\r\nAccept-Encoding: identity\r\n"
            "Content-Type: application/json\r\n"
        )
        self._socket: socket.socket | None = None
        self._answers = _Answers()

    @property
    def is_open(self) -> bool:
        """Whether a connection stands, as far as we know."""
        return self._socket is not None

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request and wait for its answer: status and body.

        After an error the connection is closed, and the next call opens another.

        Raises:
            OSError: No connection, or it broke, or it was silent for too long.
            ValueError: What came is not HTTP.
        """
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        request = f"{method} {path} HTTP/1.1\r\n{self._common}{length}\r\n".encode("ascii") + body
        try:
            connection = self._socket or self._connect()
            connection.sendall(request)
            return self._answer(connection)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            self.close()
            raise TimeoutError(f"nothing was sent or came for {self._timeout_s} s") from error
        except HttpParserError as error:
            self.close()
            raise ValueError(f"the answer is not HTTP: {error}") from error
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((self._host, self._port), self._timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket, self._answers = connection, _Answers()
        if self._tls is not None:
            self._socket = self._tls.wrap_socket(connection, server_hostname=self._host)
        # By the kernel (socket(7)): Python's own timeout asks poll() before every read and write.
        self._socket.settimeout(None)
        limit = struct.pack("@ll", *divmod(int(self._timeout_s * 1_000_000), 1_000_000))  # a timeval
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, option, limit)
        return self._socket

    def _answer(self, connection: socket.socket) -> tuple[int, bytes]:
        answers = self._answers
        answers.expect()
        while answers.whole is None:
            data = connection.recv(_READ_BYTES)
            if not data:
                raise ConnectionError("the connection was closed before the answer was whole")
            answers.feed(data)
        if answers.is_last:
            self.close()
        return answers.whole
