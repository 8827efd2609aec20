"""One TCP connection that carries MQTT packets: many in one read, many in one write."""

import socket
from typing import Self

import mqtt5

_READ_BYTES = 256 * 1024
"""Taken by one system call: about a thousand readings, as many as the broker sends ahead of acknowledgements."""


class ConnectionLost(OSError):  # noqa: N818 - a state of the network, not a mistake
    """The connection ended, or what came over it is not MQTT."""


class Wire:
    """Bytes in, packets out; what is to be sent gathers until flush(). Used by one thread.

    mqtt5 reads and writes the packets in 2 microseconds a message (paho-mqtt: 43), and does nothing else.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        # Nagle's algorithm would hold a small packet for the acknowledgement of the one before, up to 40 ms.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._inbound = b""
        self._outbound: list[bytes] = []

    @classmethod
    def open(cls, host: str, port: int, timeout_s: float) -> Self:
        """Connect.

        Raises:
            OSError: Nobody answers there.
        """
        return cls(socket.create_connection((host, port), timeout_s))

    def send(self, packet: bytes) -> None:
        """Put a packet behind those that wait for flush()."""
        self._outbound.append(packet)

    @property
    def has_more_to_write(self) -> bool:
        """Whether something waits for flush()."""
        return bool(self._outbound)

    def flush(self) -> None:
        """Write what waits, as far as the connection takes it now.

        Raises:
            ConnectionLost: It has ended.
        """
        data = b"".join(self._outbound)
        try:
            written = self._socket.send(data)
        except BlockingIOError:
            written = 0
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        self._outbound = [data[written:]] if written < len(data) else []

    def fileno(self) -> int:
        """For select and its kind."""
        return self._socket.fileno()

    def receive(self) -> list[mqtt5.Packet]:
        """Read once, and give the packets that are whole; the rest waits for the next read.

        Raises:
            ConnectionLost: It has ended, or what came is not MQTT 5.
        """
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        if not data:
            raise ConnectionLost("the broker closed the connection")
        self._inbound = self._inbound + data if self._inbound else data
        packets: list[mqtt5.Packet] = []
        with memoryview(self._inbound) as view:
            position = 0
            try:
                while position < len(view):
                    packet, length = mqtt5.read(view[position:])
                    packets.append(packet)
                    position += length
            except IndexError:
                pass  # mqtt5 says so of a packet that is not whole yet
            except ValueError as error:
                raise ConnectionLost(f"the broker sent what is not MQTT 5: {error}") from error
            self._inbound = bytes(view[position:])
        return packets

    def close(self) -> None:
        """End it."""
        self._socket.close()
