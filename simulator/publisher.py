"""The edge to the broker: MQTT 5, QoS 1, a bounded queue, and resending until acknowledged.

What has been handed to paho and not been acknowledged is sent again by paho itself at each reconnection, marked as a
duplicate. But paho then sends *all* it holds at once, whatever its limit of in-flight messages (2.2.0), and a broker
ends a connection that exceeds its receive maximum. So paho only ever gets as much as the broker takes in flight, and
the rest waits here, in a queue that is bounded: beyond its capacity the oldest reading goes, because the newest say
how a fan is now. What goes is counted and logged.

Only the thread of the caller publishes readings, so they leave in order; paho's thread only counts acknowledgements.
"""

import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from contract.status import OFFLINE, ONLINE
from contract.topics import Topics
from simulator.encryption import trusting
from simulator.fleet import Message
from simulator.metrics import Metrics
from simulator.settings import SimulatorSettings

MAX_IN_FLIGHT = 200
SESSION_EXPIRY_S = 7 * 86400
KEEPALIVE_S = 30
DROP_LOG_INTERVAL_S = 10.0

log = structlog.get_logger()

OnCommand = Callable[[str, bytes], None]
"""Called in paho's thread with the topic and the payload of a message on fan/commands/+; must not raise."""


class Publisher:
    """One connection to the broker.

    Args:
        settings: Where the broker is, who we are, and the queue's capacity.
        client_id: Who we are, unless the settings say otherwise.
        service: The name under fan/status that says whether we are there; None for what is no service.
        metrics: Counts what happens to readings.
        on_command: Where commands go; None subscribes to none.

    Raises:
        OSError: The file of the certificate authority cannot be read.
        ValueError: It holds no certificate.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        *,
        client_id: str,
        metrics: Metrics,
        service: str | None = None,
        on_command: OnCommand | None = None,
    ) -> None:
        self._settings = settings
        self._topics = Topics(settings.topic_root)
        self._status_topic = None if service is None else self._topics.status_of(service)
        self._metrics = metrics
        self._on_command = on_command
        self._queue: deque[Message] = deque()
        self._changed = threading.Condition()
        self._connected = False
        self._window = MAX_IN_FLIGHT
        self._in_flight = 0
        self._status_mids: set[int] = set()
        self._leaving = False
        self._refusals: set[str] = set()
        self._dropped_unlogged = 0
        self._dropped_logged_s = float("-inf")
        self._client = self._make_client(settings.client_id or client_id)

    def start(self) -> None:
        """Connect in the background, and keep connecting whenever the broker is away."""
        self._metrics.last_acknowledgement.set(time.time())
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        self._client.connect_async(
            self._settings.mqtt_host,
            self._settings.mqtt_port,
            keepalive=KEEPALIVE_S,
            clean_start=False,
            properties=properties,
        )
        self._client.loop_start()

    def send(self, message: Message) -> None:
        """Queue one reading, and pass on what the broker takes."""
        if len(self._queue) >= self._settings.queue_readings:
            self._queue.popleft()
            self._metrics.dropped.inc()
            self._dropped_unlogged += 1
            self._log_drops(at_most_every_s=DROP_LOG_INTERVAL_S)
        self._queue.append(message)
        self.pump()

    def pump(self) -> None:
        """Pass on queued readings as far as the broker's window allows; never blocks on the network."""
        while self._queue:
            with self._changed:
                if not self._connected or self._in_flight >= self._window:
                    break
                self._in_flight += 1
            message = self._queue.popleft()
            # A connection lost at this very moment is no loss: paho has taken the message and resends it.
            self._client.publish(message.topic, message.payload, qos=1)
            self._metrics.published.inc()
        self._metrics.unacknowledged.set(self.unacknowledged)

    def wait(self, timeout_s: float) -> None:
        """Wait for timeout_s, or less when queued readings may go on."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._queue) and self._can_send(), timeout_s)

    @property
    def has_room(self) -> bool:
        """Whether another reading would be queued without dropping one."""
        return len(self._queue) < self._settings.queue_readings

    @property
    def unacknowledged(self) -> int:
        """Readings queued or in flight."""
        return len(self._queue) + self._in_flight

    def finish(self, timeout_s: float) -> int:
        """Send and await what is left, say goodbye, disconnect.

        Returns:
            How many readings the broker had not acknowledged when timeout_s had passed.
        """
        deadline = time.monotonic() + timeout_s
        while self.unacknowledged and (left := deadline - time.monotonic()) > 0:
            self.pump()
            with self._changed:
                self._changed.wait_for(
                    lambda: not self.unacknowledged or (bool(self._queue) and self._can_send()), left
                )
        lost = self.unacknowledged
        self._log_drops(at_most_every_s=0)
        self._leaving = True
        if self._connected and self._status_topic is not None:
            farewell = self._client.publish(self._status_topic, OFFLINE.to_json(), qos=1, retain=True)
            try:
                farewell.wait_for_publish(1.0)
            except RuntimeError:  # the connection went just now: the last will says the same
                log.info("status_not_sent", topic=self._status_topic)
        self._client.disconnect()
        self._client.loop_stop()
        return lost

    def _make_client(self, client_id: str) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        if self._settings.mqtt_username is not None:
            password = self._settings.mqtt_password
            client.username_pw_set(
                self._settings.mqtt_username, None if password is None else password.get_secret_value()
            )
        if self._settings.mqtt_ca_file is not None:
            client.tls_set_context(trusting(self._settings.mqtt_ca_file))
        if self._status_topic is not None:
            client.will_set(self._status_topic, OFFLINE.to_json(), qos=1, retain=True)
        client.max_inflight_messages_set(0)  # the window is kept here, see above
        client.reconnect_delay_set(min_delay=1, max_delay=5)
        client.on_socket_open = _send_at_once
        client.on_connect = self._connected_now
        client.on_connect_fail = self._not_reached
        client.on_disconnect = self._disconnected
        client.on_publish = self._acknowledged
        client.on_message = self._message
        return client

    def _can_send(self) -> bool:
        return self._connected and self._in_flight < self._window

    def _log_drops(self, *, at_most_every_s: float) -> None:
        now_s = time.monotonic()
        if self._dropped_unlogged and now_s - self._dropped_logged_s >= at_most_every_s:
            log.warning(
                "readings_dropped",
                count=self._dropped_unlogged,
                queue_readings=self._settings.queue_readings,
                why="the queue is full and the broker does not take more; the oldest readings went",
            )
            self._dropped_unlogged = 0
            self._dropped_logged_s = now_s

    # What follows runs in paho's thread, and must not raise: paho's thread would die and seem connected.

    def _connected_now(
        self,
        client: mqtt.Client,
        _userdata: object,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            log.warning("broker_refused_connection", reason=str(reason), host=self._settings.mqtt_host)
            return
        receive_maximum = int(getattr(properties, "ReceiveMaximum", 65535))
        if self._on_command is not None:
            client.subscribe(self._topics.all_commands, qos=1)
        if self._status_topic is not None:
            status = client.publish(self._status_topic, ONLINE.to_json(), qos=1, retain=True)
            self._status_mids.add(status.mid)
        with self._changed:
            self._connected = True
            # One place is left for the status, which is in flight as well.
            self._window = max(1, min(MAX_IN_FLIGHT, receive_maximum - 1))
            self._changed.notify_all()
        log.info("broker_connected", session_present=flags.session_present, window=self._window)

    def _not_reached(self, _client: mqtt.Client, _userdata: object) -> None:
        # paho calls this while it handles the exception, which says more than paho does: a certificate, a name.
        log.warning(
            "broker_not_reached",
            host=self._settings.mqtt_host,
            port=self._settings.mqtt_port,
            why=str(sys.exc_info()[1]),
        )

    def _disconnected(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._changed:
            self._connected = False
            self._changed.notify_all()
        log.info("broker_disconnected", reason=str(reason), unacknowledged=self.unacknowledged)

    def _acknowledged(
        self,
        _client: mqtt.Client,
        _userdata: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if mid in self._status_mids or self._leaving:
            self._status_mids.discard(mid)
            return
        if reason.is_failure:
            # An error is an answer: MQTT 5 (section 4.4) sends nothing twice that has one. Logged once a reason.
            if str(reason) not in self._refusals:
                self._refusals.add(str(reason))
                log.error("broker_refuses_readings", reason=str(reason))
            self._metrics.refused.inc()
        else:
            self._metrics.acknowledged.inc()
            self._metrics.last_acknowledgement.set(time.time())
        with self._changed:
            self._in_flight -= 1
            if self._queue or not self._in_flight:
                self._changed.notify_all()

    def _message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        if self._on_command is not None:
            self._on_command(message.topic, bytes(message.payload))


def _send_at_once(_client: mqtt.Client, _userdata: object, connection: Any) -> None:  # noqa: ANN401 - paho's type
    """Without it a reading may wait 40 ms for the acknowledgement of the packet before it (Nagle's algorithm)."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
