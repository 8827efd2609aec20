"""The MQTT session: everything that happens on the wire becomes an event in one queue.

The network thread only puts events; the worker alone owns the acknowledgement window, so nothing needs a lock.
MQTT 5 (OASIS standard, 2019): section 4.1 on sessions, 4.4 on redelivery, 4.6 on the order of acknowledgements.
"""

import contextlib
import queue
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from contract.status import OFFLINE, ONLINE, ServiceStatus
from contract.topics import Topics
from predictor.acknowledgement import AcknowledgementWindow
from predictor.settings import PredictorSettings

_LOG = structlog.get_logger()
_QOS = 1
QOS0_BACKLOG = 20_000
"""Readings sent at QoS 0 know no back-pressure: beyond this many that wait the newest is dropped."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A reading arrived."""

    connection: int
    mid: int
    qos: int
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The broker answered for something that was published."""

    mid: int
    failure: str | None


@dataclass(frozen=True, slots=True)
class ConnectionChange:
    """The connection came or went."""

    up: bool
    receive_maximum: int = 0
    """How many messages the broker takes ahead of acknowledging them; MQTT 5 section 3.2.2.3.3."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Somebody wants the worker to look up: a stop, or a failure of the network thread."""


Event = Delivery | Confirmation | ConnectionChange | Wake


class RefusedByBroker(RuntimeError):  # noqa: N818 - it names what happened
    """The broker refused a subscription or a verdict: its configuration does not fit the predictor."""


class BrokerSession:
    """One persistent session at the broker, with manual acknowledgement."""

    def __init__(self, settings: PredictorSettings, topics: Topics, on_dropped: Callable[[], None]) -> None:
        self._settings = settings
        self._topics = topics
        self._on_dropped = on_dropped
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._window = AcknowledgementWindow()
        self._connection = 0  # numbers the connections; written by the network thread only
        self._failure: Exception | None = None
        self._client = self._make_client()

    @property
    def waiting(self) -> int:
        """Events not yet taken."""
        return self._events.qsize()

    @property
    def unconfirmed(self) -> int:
        """Readings whose verdict the broker has not confirmed yet."""
        return len(self._window)

    def open(self) -> None:
        """Begin to connect, and keep at it: a broker that is away is waited for."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._settings.session_expiry_s
        properties.ReceiveMaximum = self._settings.receive_maximum
        self._client.connect_async(
            self._settings.mqtt_host,
            self._settings.mqtt_port,
            keepalive=self._settings.mqtt_keepalive_s,
            clean_start=False,  # the default would wipe the waiting readings at each process start
            properties=properties,
        )
        self._client.loop_start()

    def take(self, most: int, timeout_s: float | None = None) -> list[Event]:
        """Wait for an event, and take what else is there already, at most ``most``, in order.

        Returns:
            No event when the time ran out.

        Raises:
            Exception: What went wrong in the network thread, if something did.
        """
        events: list[Event] = []
        with contextlib.suppress(queue.Empty):
            events.append(self._events.get(timeout=timeout_s))
            while len(events) < most:
                events.append(self._events.get_nowait())
        if self._failure is not None:
            raise self._failure
        return events

    def wake(self) -> None:
        """Let take() return; safe in a signal handler."""
        self._events.put(Wake())

    def is_current(self, delivery: Delivery) -> bool:
        """Whether a reading came on the connection that stands; the broker sends an older one again."""
        return delivery.connection == self._connection

    def publish(self, delivery: Delivery, topic: str, body: bytes) -> int:
        """Publish what was decided on a reading, which is acknowledged once the broker confirms it.

        Returns:
            The packet identifier that the Confirmation will carry.
        """
        mid = self._client.publish(topic, body, _QOS).mid
        if delivery.qos:
            self._window.add(delivery.mid, mid)
        return mid

    def confirm(self, confirmation: Confirmation) -> None:
        """Acknowledge the readings that a confirmation sets free.

        Raises:
            RefusedByBroker: The broker did not take what was published.
        """
        if confirmation.failure is not None and confirmation.mid not in self._window:
            _LOG.warning(
                "broker_refused_message", reason=confirmation.failure
            )  # our status, or a reading at QoS 0
            return
        if confirmation.failure is not None:
            raise RefusedByBroker(
                f"the broker refused a verdict: {confirmation.failure}; "
                f"check its access list for user {self._settings.mqtt_username!r}"
            )
        for mid in self._window.confirm(confirmation.mid):
            self._client.ack(mid, _QOS)

    def forget(self) -> None:
        """The connection is gone, and with it every acknowledgement that was owed on it."""
        self._window.forget()

    def close(self) -> None:
        """Say goodbye and disconnect; the broker keeps the session for the next start."""
        if self._client.is_connected():
            self._publish_status(OFFLINE).wait_for_publish(timeout=2)
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self) -> mqtt.Client:
        settings = self._settings
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, settings.client_id, protocol=mqtt.MQTTv5, manual_ack=True
        )
        if settings.mqtt_username is not None:
            password = settings.mqtt_password.get_secret_value() if settings.mqtt_password else None
            client.username_pw_set(settings.mqtt_username, password)
        client.reconnect_delay_set(min_delay=1, max_delay=5)
        client.max_inflight_messages_set(0)  # no limit: the worker holds the window, see Worker._room
        client.will_set(self._topics.status_of(settings.client_id), OFFLINE.to_json(), _QOS, retain=True)
        client.on_socket_open = self._guarded(_send_at_once)
        client.on_connect = self._guarded(self._on_connect)
        client.on_disconnect = self._guarded(self._on_disconnect)
        client.on_subscribe = self._guarded(self._on_subscribe)
        client.on_publish = self._guarded(self._on_publish)
        client.on_message = self._guarded(self._on_message)
        return client

    def _publish_status(self, status: ServiceStatus) -> mqtt.MQTTMessageInfo:
        topic = self._topics.status_of(self._settings.client_id)
        return self._client.publish(topic, status.to_json(), _QOS, retain=True)

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """An exception in a callback would end paho's thread in silence: hand it to the worker instead."""

        def guarded(*arguments: Any) -> None:  # noqa: ANN401 - paho's five callback signatures
            try:
                callback(*arguments)
            except Exception as error:  # noqa: BLE001 - take() raises it in the worker
                self._failure = error
                self.wake()

        return guarded

    def _on_connect(
        self,
        client: mqtt.Client,
        _data: object,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties,
    ) -> None:
        if reason.is_failure:
            _LOG.error("broker_refused_connection", reason=str(reason), user=self._settings.mqtt_username)
            return
        self._connection += 1
        self._events.put(
            ConnectionChange(up=True, receive_maximum=getattr(properties, "ReceiveMaximum", 65_535))
        )
        share = f"$share/{self._settings.share}/" if self._settings.share else ""
        client.subscribe(share + self._topics.all_messages, _QOS)
        self._publish_status(ONLINE)
        _LOG.info("broker_connected", session_kept=flags.session_present)

    def _on_disconnect(
        self, _client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _props: object
    ) -> None:
        self._connection += 1
        self._events.put(ConnectionChange(up=False))
        _LOG.warning("broker_disconnected", reason=str(reason))

    def _on_subscribe(
        self, _client: mqtt.Client, _data: object, _mid: int, reasons: list[ReasonCode], _props: object
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            raise RefusedByBroker(f"the broker refused the subscription: {', '.join(refused)}")

    def _on_publish(
        self, _client: mqtt.Client, _data: object, mid: int, reason: ReasonCode, _props: object
    ) -> None:
        self._events.put(Confirmation(mid, str(reason) if reason.is_failure else None))

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.qos == 0 and self._events.qsize() > QOS0_BACKLOG:
            self._on_dropped()
            return
        self._events.put(
            Delivery(self._connection, message.mid, message.qos, message.topic, bytes(message.payload))
        )


def _send_at_once(_client: mqtt.Client, _data: object, connection: socket.socket) -> None:
    """Nagle's algorithm would hold a small packet for the acknowledgement of the one before, up to 40 ms."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
