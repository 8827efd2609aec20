"""What an attacker on the network does, bounded in number and time, and on loopback alone."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


def allow_open_files(wanted: int) -> None:
    """Raises this process's limit of open files.

    Raises:
        RuntimeError: The machine does not allow so many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        if hard < wanted:
            raise RuntimeError(
                f"{wanted} open files are needed, this shell allows {hard}: ulimit -n {wanted}"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def many_connections(port: int, count: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many connections to a port of this machine, from ten of its addresses, each after having sent something.

    A connection that is refused or reset stays in the list: what became of it is the test's to ask.
    """
    with ExitStack() as stack:
        made = []
        for number in range(count):
            one = stack.enter_context(socket.socket())
            one.settimeout(10)
            one.bind((f"127.0.0.{2 + number % 10}", 0))
            try:
                one.connect(("127.0.0.1", port))
                if sent:
                    one.sendall(sent)
            except (ConnectionError, TimeoutError):
                pass
            one.setblocking(False)
            made.append(one)
        yield made


def is_open(connection: socket.socket) -> bool:
    """Whether the other side has not ended it."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def gets_in(port: int, user: str, password: str) -> bool:
    """Whether an MQTT 3.1.1 client is let in; paho's own waits by select(), which knows no file above 1024."""

    def text(value: str) -> bytes:
        return len(value).to_bytes(2) + value.encode()

    body = text("MQTT") + b"\x04\xc2\x00\x3c" + text(f"probe-{port}") + text(user) + text(password)
    assert len(body) < 128
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        try:
            client.sendall(b"\x10" + bytes([len(body)]) + body)
            return client.recv(4) == b"\x20\x02\x00\x00"
        except (ConnectionResetError, BrokenPipeError):
            # Closed by a broker that had not read what was sent.
            return False
