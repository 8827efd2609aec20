"""The session against a broker that is played here byte by byte, for what a real one does only when it is ill."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import mqtt5
import pytest

from contract.topics import Topics
from predictor.broker import (
    ANSWER_WITHIN_S,
    PING_AFTER_S,
    BrokerSession,
    Confirmation,
    ConnectionChange,
    Delivery,
    Event,
    RefusedByBroker,
)
from predictor.settings import PredictorSettings


@dataclass
class SteeredClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class PlayedBroker:
    """One end of the connection, in the test's hand."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(5)
        self.port = int(self.server.getsockname()[1])
        self._inbound = b""

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
                self._inbound += self.connection.recv(65_536)
                continue
            self._inbound = self._inbound[length:]
            return packet

    def send(self, *packets: mqtt5.Packet) -> None:
        self.connection.sendall(b"".join(packet.write() for packet in packets))


@pytest.fixture
def broker() -> Iterator[PlayedBroker]:
    played = PlayedBroker()
    yield played
    played.server.close()


@pytest.fixture
def clock() -> SteeredClock:
    return SteeredClock()


@pytest.fixture
def session(broker: PlayedBroker, clock: SteeredClock) -> BrokerSession:
    settings = PredictorSettings(mqtt_port=broker.port, client_id="p1")
    return BrokerSession(settings, Topics(), clock)


def welcomed(broker: PlayedBroker, session: BrokerSession) -> None:
    """Connect and take the subscription and the status."""
    assert session.take() == []
    assert isinstance(broker.accept(), mqtt5.ConnectPacket)
    broker.send(mqtt5.ConnAckPacket(receive_max=20))
    assert events(session) == [ConnectionChange(up=True, receive_maximum=20)]
    session.take(0)
    assert isinstance(broker.next(), mqtt5.SubscribePacket)
    assert isinstance(broker.next(), mqtt5.PublishPacket)


def events(session: BrokerSession) -> list[Event]:
    """The next that happen; a packet may take a moment over loopback."""
    while not (found := session.take(5)):
        pass
    return found


def reading(mid: int) -> mqtt5.PublishPacket:
    return mqtt5.PublishPacket("fan/messages/5", b"{}", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=mid)


def test_it_asks_for_its_kept_session_and_says_how_much_it_takes_ahead(
    broker: PlayedBroker, session: BrokerSession
) -> None:
    session.take()
    connect = broker.accept()
    assert isinstance(connect, mqtt5.ConnectPacket)
    assert not connect.clean_start
    assert connect.session_expiry_interval == 7 * 86400
    assert connect.receive_max == 1000
    assert connect.will is not None


def test_a_reading_is_acknowledged_after_its_verdict_is_confirmed_and_not_before(
    broker: PlayedBroker, session: BrokerSession
) -> None:
    welcomed(broker, session)
    broker.send(reading(11))
    (delivery,) = events(session)
    assert delivery == Delivery(11, "fan/messages/5", b"{}")
    assert isinstance(delivery, Delivery)
    mid = session.publish(delivery, "fan/anomaly/5", b"verdict")
    session.take(0)
    verdict = broker.next()
    assert isinstance(verdict, mqtt5.PublishPacket)
    assert verdict.packet_id == mid
    broker.send(mqtt5.PubAckPacket(mid))
    (confirmation,) = events(session)
    assert confirmation == Confirmation(mid)
    assert session.unconfirmed == 1
    session.confirm(Confirmation(mid))
    session.take(0)
    acknowledgement = broker.next()
    assert isinstance(acknowledgement, mqtt5.PubAckPacket)
    assert acknowledgement.packet_id == 11
    assert session.unconfirmed == 0


def test_a_refused_verdict_and_a_refused_subscription_stop_the_predictor(
    broker: PlayedBroker, session: BrokerSession
) -> None:
    welcomed(broker, session)
    mid = session.publish(Delivery(11, "fan/messages/5", b"{}"), "fan/anomaly/5", b"verdict")
    with pytest.raises(RefusedByBroker, match="NOT_AUTHORIZED"):
        session.confirm(Confirmation(mid, "NOT_AUTHORIZED"))
    broker.send(mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.NOT_AUTHORIZED]))
    with pytest.raises(RefusedByBroker, match="subscription: NOT_AUTHORIZED"):
        events(session)


def test_a_broker_that_falls_silent_without_a_word_is_found_out_and_connected_to_anew(
    broker: PlayedBroker, session: BrokerSession, clock: SteeredClock
) -> None:
    welcomed(broker, session)
    session.publish(Delivery(11, "fan/messages/5", b"{}"), "fan/anomaly/5", b"verdict")
    session.take(0)
    clock.now += PING_AFTER_S
    session.take(0)
    session.take(0)
    assert isinstance(broker.next(), mqtt5.PublishPacket)
    assert isinstance(broker.next(), mqtt5.PingReqPacket)
    clock.now += ANSWER_WITHIN_S
    assert session.take(0) == [ConnectionChange(up=False)]
    assert session.unconfirmed == 0
    clock.now += 1
    session.take(0)
    assert isinstance(broker.accept(), mqtt5.ConnectPacket)


def test_a_broker_that_answers_a_ping_stays_connected(
    broker: PlayedBroker, session: BrokerSession, clock: SteeredClock
) -> None:
    welcomed(broker, session)
    for _ in range(3):
        clock.now += PING_AFTER_S
        session.take(0)
        session.take(0)
        assert isinstance(broker.next(), mqtt5.PingReqPacket)
        broker.send(mqtt5.PingRespPacket())
        assert session.take(5) == []
    clock.now += 1
    broker.send(reading(1))
    assert isinstance(events(session)[0], Delivery)


def test_a_packet_identifier_that_is_on_its_way_is_not_given_out_again(
    broker: PlayedBroker, session: BrokerSession
) -> None:
    welcomed(broker, session)
    waiting = session.publish(Delivery(1, "fan/messages/5", b"{}"), "fan/anomaly/5", b"v")
    given = {
        session.publish(Delivery(None, "fan/messages/5", b"{}"), "fan/anomaly/5", b"v") for _ in range(65_534)
    }
    assert waiting not in given
    assert given <= set(range(1, 65_536))


def test_a_wake_up_lets_it_return_with_nothing(broker: PlayedBroker, session: BrokerSession) -> None:
    welcomed(broker, session)
    session.wake()
    assert session.take() == []


def test_a_refused_connection_is_tried_again_after_a_pause(
    broker: PlayedBroker, session: BrokerSession, clock: SteeredClock
) -> None:
    session.take()
    broker.accept()
    broker.send(mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED))
    assert session.take(5) == []
    clock.now += 1
    session.take(0)
    assert isinstance(broker.accept(), mqtt5.ConnectPacket)
