"""The current alarm of each device, retained on fan/alarms/<deviceID>, and the journal beside it; at QoS 1."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from typing import Protocol

from monitor.alarms.courier import Sent
from monitor.alarms.outbox import Outgoing
from mqtt_session.background import BrokerAway

_CONFIRMED_WITHIN_S = 5.0


class Connection(Protocol):
    """As much of the session at the broker as this needs."""

    def publish(self, topic: str, body: bytes, *, retain: bool = False) -> "Future[None]":
        """Send at QoS 1, and tell when the broker has it."""


class AlarmPublisher:
    """Sends in order and believes nothing but the broker's confirmation.

    What it did not confirm is sent again, in its order: a retained alarm may be said twice and is never older than
    one that was said before.

    Args:
        connection: To the broker.
        topic_of: The topic of a device.
        retain: Whether a subscriber of later gets the last.
    """

    def __init__(self, connection: Connection, topic_of: Callable[[str], str], *, retain: bool) -> None:
        self._connection = connection
        self._topic_of = topic_of
        self._retain = retain

    def send(self, batch: Sequence[Outgoing]) -> Sent:
        """Publish a batch, and wait for the broker to have all of it."""
        promised = [
            self._connection.publish(self._topic_of(each.device_id), each.body.encode(), retain=self._retain)
            for each in batch
        ]
        arrived: list[int] = []
        for each, promise in zip(batch, promised, strict=True):
            try:
                promise.result(_CONFIRMED_WITHIN_S)
            except BrokerAway as away:
                return Sent(tuple(arrived), why_not=str(away))
            except NotInTime:
                return Sent(tuple(arrived), why_not=f"no confirmation within {_CONFIRMED_WITHIN_S:g} s")
            arrived.append(each.number)
        return Sent(tuple(arrived))
