"""The current alarm of each device, retained on fan/alarms/<deviceID>, and the journal beside it; at QoS 1."""

from collections.abc import Callable, Sequence
from typing import Protocol

import paho.mqtt.client as mqtt

from monitor.alarms.courier import Sent
from monitor.alarms.outbox import Outgoing

_QOS = 1
_CONFIRMED_WITHIN_S = 5.0


class Connection(Protocol):
    """As much of paho's client as this needs; its network loop runs elsewhere."""

    def is_connected(self) -> bool:
        """Whether the broker has accepted the connection."""

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> mqtt.MQTTMessageInfo:
        """Send, and answer with what tells of the confirmation."""


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
        if (
            not self._connection.is_connected()
        ):  # paho would keep every attempt in memory and send them all later
            return Sent(why_not="no connection to the broker")
        infos = [
            self._connection.publish(
                self._topic_of(each.device_id), each.body.encode(), qos=_QOS, retain=self._retain
            )
            for each in batch
        ]
        arrived: list[int] = []
        for each, info in zip(batch, infos, strict=True):
            try:
                info.wait_for_publish(_CONFIRMED_WITHIN_S)
            except (RuntimeError, ValueError) as error:  # the connection was lost, or paho's queue is full
                return Sent(tuple(arrived), why_not=f"the broker took nothing more: {error}")
            if not info.is_published():
                return Sent(tuple(arrived), why_not=f"no confirmation within {_CONFIRMED_WITHIN_S:g} s")
            arrived.append(each.number)
        return Sent(tuple(arrived))
