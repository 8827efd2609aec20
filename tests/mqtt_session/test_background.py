"""A session in a thread of its own, against a broker in the test's hand."""

import queue
import threading
import time
from collections.abc import Iterator, Sequence

import mqtt5
import pytest

from mqtt_session.background import BackgroundSession, BrokerAway
from mqtt_session.session import ConnectionChange, Delivery, Event, Subscribed
from tests.mqtt_session.played_broker import PlayedBroker, reading


class Steered:
    """A clock that a test moves ahead."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Listener:
    """Notes what happens; fails when it is told to."""

    def __init__(self) -> None:
        self.heard: queue.SimpleQueue[tuple[int, Event]] = queue.SimpleQueue()
        self.fails = False

    def __call__(self, connection: int, events: Sequence[Event]) -> None:
        for event in events:
            if self.fails and isinstance(event, Delivery):
                self.fails = False
                raise RuntimeError("a mistake of ours")
            self.heard.put((connection, event))

    def next(self) -> tuple[int, Event]:
        return self.heard.get(timeout=5)


@pytest.fixture
def broker() -> Iterator[PlayedBroker]:
    played = PlayedBroker()
    yield played
    played.close()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def clock() -> Steered:
    return Steered()


@pytest.fixture
def session(broker: PlayedBroker, listener: Listener, clock: Steered) -> Iterator[BackgroundSession]:
    made = BackgroundSession(broker.options(), listener, clock)
    made.start()
    yield made
    broker.connection.close()  # nobody answers for the goodbye
    made.stop()


def welcomed(broker: PlayedBroker, listener: Listener, receive_maximum: int = 20) -> int:
    """Accept it and its subscription; gives the number of the connection."""
    broker.accept()
    broker.send(
        mqtt5.ConnAckPacket(receive_max=receive_maximum),
        mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]),
    )
    number, change = listener.next()
    assert change == ConnectionChange(up=True, receive_maximum=receive_maximum)
    assert listener.next() == (number, Subscribed())
    assert isinstance(broker.next(), mqtt5.SubscribePacket)
    assert broker.next_publish().payload == b"online"
    return number


def test_what_arrives_is_told_and_acknowledged_in_order_when_somebody_says_that_it_is_safe(
    broker: PlayedBroker, listener: Listener, session: BackgroundSession
) -> None:
    number = welcomed(broker, listener)
    assert session.listening_since == number
    broker.send(reading(1), reading(2), reading(3))
    assert [listener.next()[1] for _ in range(3)] == [
        Delivery(mid, "fan/messages/5", b"{}") for mid in (1, 2, 3)
    ]
    session.acknowledge(number - 1, [9])  # of an earlier connection: it comes again
    session.acknowledge(number, [1, 2])
    for mid in (1, 2):
        packet = broker.next()
        assert isinstance(packet, mqtt5.PubAckPacket)
        assert packet.packet_id == mid


def test_a_publication_is_done_when_the_broker_has_it_and_fails_when_it_refuses_it(
    broker: PlayedBroker, listener: Listener, session: BackgroundSession
) -> None:
    welcomed(broker, listener)
    taken, refused = session.publish("fan/alarms/5", b"a", retain=True), session.publish("fan/alarms/6", b"b")
    first, second = broker.next_publish(), broker.next_publish()
    assert (first.topic, first.payload, first.retain) == ("fan/alarms/5", b"a", True)
    assert not taken.done()
    assert first.packet_id
    assert second.packet_id
    broker.send(
        mqtt5.PubAckPacket(first.packet_id),
        mqtt5.PubAckPacket(second.packet_id, reason_code=mqtt5.PubAckReasonCode.NOT_AUTHORIZED),
    )
    assert taken.result(5) is None
    with pytest.raises(BrokerAway, match="refused it: NOT_AUTHORIZED"):
        refused.result(5)


def test_no_more_is_on_its_way_than_the_broker_takes_ahead(
    broker: PlayedBroker, listener: Listener, session: BackgroundSession
) -> None:
    welcomed(broker, listener, receive_maximum=3)
    promised = [session.publish("fan/alarms/5", str(number).encode()) for number in range(20)]
    for number in range(0, 20, 2):
        pair = [broker.next_publish(), broker.next_publish()]
        assert [each.payload for each in pair] == [str(number).encode(), str(number + 1).encode()]
        broker.connection.setblocking(False)
        with pytest.raises(BlockingIOError):  # a third one would break MQTT 5 section 4.9
            broker.next()
        broker.connection.settimeout(5)
        broker.send(*[mqtt5.PubAckPacket(each.packet_id or 0) for each in pair])
    assert [each.result(5) for each in promised] == [None] * 20


def test_nobody_waits_for_a_publication_when_the_connection_goes_and_none_is_kept_while_it_is_away(
    broker: PlayedBroker, listener: Listener, session: BackgroundSession
) -> None:
    early = session.publish("fan/alarms/5", b"a")
    with pytest.raises(BrokerAway, match="not connected yet"):
        early.result(5)
    welcomed(broker, listener)
    on_its_way = session.publish("fan/alarms/5", b"a")
    broker.next_publish()
    broker.connection.close()
    with pytest.raises(BrokerAway, match="connection was lost"):
        on_its_way.result(5)
    assert session.listening_since is None
    with pytest.raises(BrokerAway, match="connection was lost"):
        session.publish_and_wait("fan/alarms/5", b"a", 5)


def test_a_mistake_in_handling_what_came_ends_the_connection_and_not_the_thread(
    broker: PlayedBroker, listener: Listener, session: BackgroundSession, clock: Steered
) -> None:
    number = welcomed(broker, listener)
    listener.fails = True
    broker.send(reading(1))
    gone, change = listener.next()
    assert change == ConnectionChange(up=False)
    assert gone > number
    with pytest.raises(ConnectionError):
        broker.next()
    clock.ahead += 5
    session.acknowledge(number, [1])  # as a sleeper is woken; the connection is gone
    assert welcomed(broker, listener) > gone
    broker.send(reading(1))
    assert isinstance(listener.next()[1], Delivery)


def test_a_broker_that_says_nothing_is_complained_of_although_the_connection_stands(
    broker: PlayedBroker, listener: Listener, session: BackgroundSession, clock: Steered
) -> None:
    welcomed(broker, listener)
    assert session.complaint() is None
    clock.ahead += 6
    assert session.complaint() == "no answer from the broker for 6 s"


def test_a_stop_acknowledges_what_is_safe_says_goodbye_and_leaves_nobody_waiting(
    broker: PlayedBroker, listener: Listener
) -> None:
    session = BackgroundSession(broker.options(), listener, Steered())
    session.start()
    number = welcomed(broker, listener)
    broker.send(reading(1))
    listener.next()
    waits = session.publish("fan/alarms/5", b"a")
    broker.next_publish()
    session.acknowledge(number, [1])
    packet = broker.next()
    assert isinstance(packet, mqtt5.PubAckPacket)
    stop = threading.Thread(target=session.stop)
    stop.start()
    goodbye = broker.next_publish()
    assert goodbye.payload == b"offline"
    broker.send(mqtt5.PubAckPacket(goodbye.packet_id or 0))
    assert isinstance(broker.next(), mqtt5.DisconnectPacket)
    stop.join()
    with pytest.raises(BrokerAway, match="closed"):
        waits.result(5)
    session.acknowledge(number, [2])  # as of a thread that has not heard of the end
    with pytest.raises(BrokerAway):
        session.publish_and_wait("fan/alarms/5", b"a", 5)
