"""A broker that is played byte by byte, for what a real one does only when it is ill."""

import socket

import mqtt5

from mqtt_session.session import SessionOptions


class PlayedBroker:
    """One end of the connection, in the test's hand."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(5)
        self.port = int(self.server.getsockname()[1])
        self._inbound = b""

    def options(self) -> SessionOptions:
        """Of a session with it."""
        return SessionOptions(
            host="127.0.0.1",
            port=self.port,
            client_id="p1",
            username=None,
            password=None,
            session_expiry_s=7 * 86400,
            receive_maximum=1000,
            subscriptions=("fan/messages/#",),
            status_topic="fan/status/p1",
            online=b"online",
            offline=b"offline",
        )

    def accept(self) -> mqtt5.Packet:
        """Take the next connection; gives its CONNECT."""
        self.connection, _ = self.server.accept()
        self.connection.settimeout(5)
        self._inbound = b""
        return self.next()

    def next(self) -> mqtt5.Packet:
        while True:
            try:
                packet, length = mqtt5.read(memoryview(self._inbound))
            except IndexError:
                more = self.connection.recv(65_536)
                if not more:
                    raise ConnectionError("the session closed the connection") from None
                self._inbound += more
                continue
            self._inbound = self._inbound[length:]
            return packet

    def next_publish(self) -> mqtt5.PublishPacket:
        packet = self.next()
        assert isinstance(packet, mqtt5.PublishPacket)
        return packet

    def send(self, *packets: mqtt5.Packet) -> None:
        self.connection.sendall(b"".join(packet.write() for packet in packets))

    def close(self) -> None:
        self.server.close()


def reading(mid: int) -> mqtt5.PublishPacket:
    return mqtt5.PublishPacket("fan/messages/5", b"{}", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=mid)
