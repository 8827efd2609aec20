"""What comes out on fan/rejected while a case runs."""

import json
import threading
from collections import Counter
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from benchmarks.chaos.flow import BrokerAddress
from benchmarks.chaos.ledger import Key

_SESSION_S = 3600
_ANSWER_WITHIN_S = 20


class DeadLetters:
    """Reads fan/rejected in a session of its own, so that it misses none while the broker is away.

    Args:
        broker: Where, and as whom.
        name: The session's.
    """

    def __init__(self, broker: BrokerAddress, name: str) -> None:
        self._broker = broker
        self._rejections: list[dict[str, Any]] = []
        self._subscribed = threading.Event()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5)
        client.username_pw_set(broker.username, broker.password)
        client.reconnect_delay_set(min_delay=1, max_delay=1)
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_message = self._on_message
        self._client = client

    def reasons(self, device: str) -> Counter[str]:
        """How many rejections of one device came, by reason."""
        return Counter(one["reason"] for one in self._rejections if one["deviceID"] == device)

    @property
    def count(self) -> int:
        """How many came."""
        return len(self._rejections)

    def keys(self, prefix: str) -> set[Key]:
        """The readings among them, of devices that begin so."""
        found = set()
        for one in self._rejections:
            if (one["deviceID"] or "").startswith(prefix):
                body = json.loads(one["payload"])
                found.add(Key(body["deviceID"], body["seq"]))
        return found

    def __enter__(self) -> Self:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = _SESSION_S
        self._client.connect(
            self._broker.host, self._broker.port, 30, clean_start=False, properties=properties
        )
        self._client.loop_start()
        if not self._subscribed.wait(_ANSWER_WITHIN_S):
            raise TimeoutError("the broker does not answer a subscription to fan/rejected")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.unsubscribe("fan/rejected")
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe("fan/rejected", 1)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        self._rejections.append(json.loads(message.payload))
