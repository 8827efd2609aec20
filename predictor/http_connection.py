"""One HTTP/1.1 connection that is kept open: a request in one write, and its answer read by a parser in C.

Answers are read by llhttp, the parser of Node.js, through httptools: the standard library reads the head of an answer
with the parser of e-mails, which takes 0.2 ms where the machine has cooled down since the last (docs/performance.md).
"""

import socket
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

_READ_BYTES = 64 * 1024


@dataclass(slots=True)
class _Inbound:
    """What the parser tells."""

    parts: list[bytes] = field(default_factory=list)
    is_whole: bool = False

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)

    def on_message_complete(self) -> None:
        self.is_whole = True


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
        self._socket = connection
        if self._tls is not None:
            self._socket = self._tls.wrap_socket(connection, server_hostname=self._host)
        return self._socket

    def _answer(self, connection: socket.socket) -> tuple[int, bytes]:
        inbound = _Inbound()
        parser = HttpResponseParser(inbound)
        while not inbound.is_whole:
            data = connection.recv(_READ_BYTES)
            if not data:
                raise ConnectionError("the connection was closed before the answer was whole")
            parser.feed_data(data)
        if not parser.should_keep_alive():
            self.close()
        return parser.get_status_code(), b"".join(inbound.parts)
