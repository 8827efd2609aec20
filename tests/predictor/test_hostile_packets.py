"""What mqtt5 could not bear never reaches it: the broker ends a connection that sends text which is not UTF-8.

MQTT 5 section 1.5.4 asks that of a broker. The codec panics on such text, and the reading, never acknowledged, would
come again after each restart of the predictor.
"""

import socket

import mqtt5
import pytest

from testbed.mosquitto import Mosquitto

BAD_TEXT = b"\x00\x02a\xff"


def publish(topic: bytes, properties: bytes = b"") -> bytes:
    """A PUBLISH at QoS 1 as the standard lays it out (3.3), with whatever text."""
    body = topic + b"\x00\x01" + bytes([len(properties)]) + properties + b"{}"
    return bytes([0x32, len(body)]) + body


@pytest.mark.parametrize(
    "packet",
    [
        publish(BAD_TEXT),
        publish(b"\x00\x0cfan/messages", b"\x03" + BAD_TEXT),
        publish(b"\x00\x0cfan/messages", b"\x08" + BAD_TEXT),
        publish(b"\x00\x0cfan/messages", b"\x26\x00\x01a" + BAD_TEXT),
    ],
    ids=["topic", "content type", "response topic", "user property"],
)
def test_the_broker_lets_no_text_through_that_is_not_utf_8(mosquitto: Mosquitto, packet: bytes) -> None:
    connect = mqtt5.ConnectPacket(
        "hostile", username="simulator", password=mosquitto.site.mqtt_password("simulator").encode()
    )
    with (
        mosquitto.connect("telegraf") as watching,
        socket.create_connection((mosquitto.host, mosquitto.port), 10) as hostile,
    ):
        watching.subscribe("fan/messages/#")
        hostile.sendall(connect.write())
        welcome, _ = mqtt5.read(memoryview(hostile.recv(1000)))
        assert isinstance(welcome, mqtt5.ConnAckPacket)
        assert welcome.reason_code is mqtt5.ConnAckReasonCode.SUCCESS
        hostile.sendall(packet)
        answer = hostile.recv(1000)
        assert answer == b"" or isinstance(mqtt5.read(memoryview(answer))[0], mqtt5.DisconnectPacket)
        watching.subscribe("nothing")  # the broker's answer comes behind whatever it had let through
        assert watching.messages.empty()
