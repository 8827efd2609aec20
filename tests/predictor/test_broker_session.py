"""What the predictor adds to its session at the broker: which readings a confirmation sets free, and what stops it."""

from collections.abc import Iterator

import mqtt5
import pytest

from contract.topics import Topics
from mqtt_session.session import Confirmation, ConnectionChange, Delivery, Event
from predictor.broker import BrokerSession, RefusedByBroker
from predictor.settings import PredictorSettings
from tests.mqtt_session.played_broker import PlayedBroker, reading


@pytest.fixture
def broker() -> Iterator[PlayedBroker]:
    played = PlayedBroker()
    yield played
    played.close()


@pytest.fixture
def session(broker: PlayedBroker) -> BrokerSession:
    return BrokerSession(PredictorSettings(mqtt_port=broker.port, client_id="p1"), Topics())


def welcomed(broker: PlayedBroker, session: BrokerSession) -> None:
    """Connect and take the subscription and the status."""
    assert session.take() == []
    connect = broker.accept()
    assert isinstance(connect, mqtt5.ConnectPacket)
    assert connect.will is not None
    assert connect.will.topic == "fan/status/p1"
    broker.send(mqtt5.ConnAckPacket(receive_max=20))
    assert events(session) == [ConnectionChange(up=True, receive_maximum=20)]
    session.take(0)
    subscribe = broker.next()
    assert isinstance(subscribe, mqtt5.SubscribePacket)
    assert [each.pattern for each in subscribe.topic_filters] == ["$share/predictor/fan/messages/#"]
    broker.next_publish()


def events(session: BrokerSession) -> list[Event]:
    """The next that happen; a packet may take a moment over loopback."""
    while not (found := session.take(5)):
        pass
    return found


def test_a_reading_is_acknowledged_after_its_verdict_is_confirmed_and_not_before(
    broker: PlayedBroker, session: BrokerSession
) -> None:
    welcomed(broker, session)
    broker.send(reading(11))
    (delivery,) = events(session)
    assert isinstance(delivery, Delivery)
    mid = session.publish(delivery, "fan/anomaly/5", b"verdict")
    session.take(0)
    assert broker.next_publish().packet_id == mid
    broker.send(mqtt5.PubAckPacket(mid))
    assert events(session) == [Confirmation(mid)]
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


def test_no_acknowledgement_is_owed_any_more_when_the_connection_is_gone(
    broker: PlayedBroker, session: BrokerSession
) -> None:
    welcomed(broker, session)
    session.publish(Delivery(11, "fan/messages/5", b"{}"), "fan/anomaly/5", b"verdict")
    broker.connection.close()
    assert events(session) == [ConnectionChange(up=False)]
    assert session.unconfirmed == 0
