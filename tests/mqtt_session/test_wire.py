"""Packets over one connection, however the network cuts them."""

import socket
from collections.abc import Iterator

import mqtt5
import pytest

from mqtt_session.wire import ConnectionLost, Wire


@pytest.fixture
def far_end() -> Iterator[tuple[Wire, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        wire = Wire.open("127.0.0.1", server.getsockname()[1], 5)
        far, _ = server.accept()
        with far:
            far.settimeout(5)
            yield wire, far
        wire.close()


def received(wire: Wire, count: int) -> list[mqtt5.Packet]:
    packets: list[mqtt5.Packet] = []
    while len(packets) < count:
        packets += wire.receive()
    return packets


def publish(mid: int, payload: bytes) -> bytes:
    return mqtt5.PublishPacket("fan/messages", payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=mid).write()


def test_packets_are_given_whole_wherever_the_network_cuts_them(far_end: tuple[Wire, socket.socket]) -> None:
    wire, far = far_end
    stream = publish(1, b"a" * 300) + publish(2, b"b") + mqtt5.PubAckPacket(7).write()
    for cut in range(1, len(stream)):
        far.sendall(stream[:cut])
        first = wire.receive()
        far.sendall(stream[cut:])
        packets = first + received(wire, 3 - len(first))
        assert [getattr(packet, "packet_id", None) for packet in packets] == [1, 2, 7]


def test_what_is_sent_gathers_until_it_is_flushed_and_then_leaves_in_one_piece(
    far_end: tuple[Wire, socket.socket],
) -> None:
    wire, far = far_end
    wire.send(b"one")
    wire.send(b"two")
    assert wire.has_more_to_write
    wire.flush()
    assert not wire.has_more_to_write
    assert far.recv(100) == b"onetwo"


def test_what_a_slow_reader_does_not_take_is_kept_and_sent_later(far_end: tuple[Wire, socket.socket]) -> None:
    wire, far = far_end
    body = bytes(range(256)) * 100_000
    wire.send(body)
    wire.flush()
    assert wire.has_more_to_write
    taken = b""
    while len(taken) < len(body):
        taken += far.recv(1 << 20)
        if wire.has_more_to_write:
            wire.flush()
    assert taken == body


def test_a_closed_connection_and_what_is_not_mqtt_are_a_lost_connection(
    far_end: tuple[Wire, socket.socket],
) -> None:
    wire, far = far_end
    far.sendall(b"\x00\x00")
    with pytest.raises(ConnectionLost, match="not MQTT 5"):
        received(wire, 1)
    far.close()
    with pytest.raises(ConnectionLost):
        received(wire, 1)
