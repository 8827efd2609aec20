"""The session against a broker that is played here byte by byte, for what a real one does only when it is ill."""

from collections.abc import Iterator
from dataclasses import dataclass

import mqtt5
import pytest

from mqtt_session.session import (
    ANSWER_WITHIN_S,
    PING_AFTER_S,
    Confirmation,
    ConnectionChange,
    Delivery,
    Event,
    Session,
    Subscribed,
)
from tests.mqtt_session.played_broker import PlayedBroker, reading


@dataclass
class SteeredClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def broker() -> Iterator[PlayedBroker]:
    played = PlayedBroker()
    yield played
    played.close()


@pytest.fixture
def clock() -> SteeredClock:
    return SteeredClock()


@pytest.fixture
def session(broker: PlayedBroker, clock: SteeredClock) -> Session:
    return Session(broker.options(), clock)


def welcomed(broker: PlayedBroker, session: Session) -> None:
    """Connect and take the subscription and the status."""
    assert session.take() == []
    assert isinstance(broker.accept(), mqtt5.ConnectPacket)
    broker.send(mqtt5.ConnAckPacket(receive_max=20))
    assert events(session) == [ConnectionChange(up=True, receive_maximum=20)]
    session.take(0)
    assert isinstance(broker.next(), mqtt5.SubscribePacket)
    assert broker.next_publish().payload == b"online"


def events(session: Session) -> list[Event]:
    """The next that happen; a packet may take a moment over loopback."""
    while not (found := session.take(5)):
        pass
    return found


def test_it_asks_for_its_kept_session_and_says_how_much_it_takes_ahead(
    broker: PlayedBroker, session: Session
) -> None:
    session.take()
    connect = broker.accept()
    assert isinstance(connect, mqtt5.ConnectPacket)
    assert not connect.clean_start
    assert connect.session_expiry_interval == 7 * 86400
    assert connect.receive_max == 1000
    assert connect.will is not None
    assert connect.will.payload == b"offline"


def test_it_tells_whether_the_broker_has_kept_the_session(broker: PlayedBroker, session: Session) -> None:
    session.take()
    broker.accept()
    broker.send(mqtt5.ConnAckPacket(session_present=True, receive_max=20))
    assert events(session) == [ConnectionChange(up=True, receive_maximum=20, session_kept=True)]


def test_what_arrived_is_acknowledged_when_it_is_asked_to_and_not_before(
    broker: PlayedBroker, session: Session
) -> None:
    welcomed(broker, session)
    broker.send(reading(11), reading(12))
    found = events(session)
    while len(found) < 2:
        found += events(session)
    assert found == [Delivery(11, "fan/messages/5", b"{}"), Delivery(12, "fan/messages/5", b"{}")]
    mid = session.publish("fan/anomaly/5", b"verdict")
    session.take(0)
    assert broker.next_publish().packet_id == mid  # and no acknowledgement before it
    broker.send(mqtt5.PubAckPacket(mid))
    assert events(session) == [Confirmation(mid)]
    session.acknowledge(11)
    session.take(0)
    acknowledgement = broker.next()
    assert isinstance(acknowledgement, mqtt5.PubAckPacket)
    assert acknowledgement.packet_id == 11


def test_nothing_arrives_until_the_subscription_stands_and_a_refused_one_is_told_with_its_reason(
    broker: PlayedBroker, session: Session
) -> None:
    assert session.trouble == "not connected yet"
    welcomed(broker, session)
    assert session.trouble == "connected, not subscribed yet"
    broker.send(mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]))
    assert events(session) == [Subscribed()]
    assert session.trouble is None
    broker.send(mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.NOT_AUTHORIZED]))
    assert events(session) == [Subscribed(("NOT_AUTHORIZED",))]
    assert session.trouble == "the broker refused the subscription: NOT_AUTHORIZED"


def test_a_refused_publication_is_told_with_its_reason(broker: PlayedBroker, session: Session) -> None:
    welcomed(broker, session)
    mid = session.publish("fan/anomaly/5", b"verdict")
    broker.send(mqtt5.PubAckPacket(mid, reason_code=mqtt5.PubAckReasonCode.NOT_AUTHORIZED))
    assert events(session) == [Confirmation(mid, "NOT_AUTHORIZED")]


def test_a_broker_that_falls_silent_without_a_word_is_found_out_and_connected_to_anew(
    broker: PlayedBroker, session: Session, clock: SteeredClock
) -> None:
    welcomed(broker, session)
    session.publish("fan/anomaly/5", b"verdict")
    session.take(0)
    clock.now += PING_AFTER_S
    session.take(0)
    session.take(0)
    assert isinstance(broker.next(), mqtt5.PublishPacket)
    assert isinstance(broker.next(), mqtt5.PingReqPacket)
    clock.now += ANSWER_WITHIN_S
    assert session.take(0) == [ConnectionChange(up=False)]
    assert str(session.trouble).startswith("the broker connection was lost: the broker has not answered for")
    clock.now += 1
    session.take(0)
    assert isinstance(broker.accept(), mqtt5.ConnectPacket)


def test_a_broker_that_answers_a_ping_stays_connected(
    broker: PlayedBroker, session: Session, clock: SteeredClock
) -> None:
    welcomed(broker, session)
    for _ in range(3):
        clock.now += PING_AFTER_S
        session.take(0)
        session.take(0)
        assert isinstance(broker.next(), mqtt5.PingReqPacket)
        broker.send(mqtt5.PingRespPacket())
        assert session.take(5) == []
        assert session.heard_at == clock.now
    clock.now += 1
    broker.send(reading(1))
    assert isinstance(events(session)[0], Delivery)


def test_a_packet_identifier_that_is_on_its_way_is_not_given_out_again(
    broker: PlayedBroker, session: Session
) -> None:
    welcomed(broker, session)
    waiting = session.publish("fan/anomaly/5", b"v")
    given = [session.publish("fan/anomaly/5", b"v") for _ in range(65_533)]  # and our status has one
    assert waiting not in given
    assert len(set(given)) == len(given)
    assert set(given) <= set(range(1, 65_536))
    with pytest.raises(RuntimeError, match="on their way"):
        session.publish("fan/anomaly/5", b"v")


def test_a_wake_up_lets_it_return_with_nothing(broker: PlayedBroker, session: Session) -> None:
    welcomed(broker, session)
    session.wake()
    assert session.take() == []


def test_a_refused_connection_is_tried_again_after_a_pause(
    broker: PlayedBroker, session: Session, clock: SteeredClock
) -> None:
    session.take()
    broker.accept()
    broker.send(mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED))
    assert session.take(5) == []
    assert str(session.trouble).endswith("it refused us: NOT_AUTHORIZED")
    clock.now += 1
    session.take(0)
    assert isinstance(broker.accept(), mqtt5.ConnectPacket)


def test_a_connection_that_is_given_up_is_made_anew(
    broker: PlayedBroker, session: Session, clock: SteeredClock
) -> None:
    welcomed(broker, session)
    assert session.drop("a mistake of ours") == [ConnectionChange(up=False)]
    with pytest.raises(ConnectionError):
        broker.next()
    clock.now += 1
    session.take(0)
    assert isinstance(broker.accept(), mqtt5.ConnectPacket)
