"""The MQTT session: one thread sends, waits and reads, and what came is told as a list of events.

MQTT 5 (OASIS standard, 2019): section 3.1.2.10 on keep alive, 4.1 on sessions, 4.4 on redelivery, 4.6 on the order of
acknowledgements. What is published on a connection that breaks before the broker confirms it is not sent again: its
reading was not acknowledged either, so the broker sends that again and the verdict with it.
"""

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import mqtt5
import structlog

from contract.status import OFFLINE, ONLINE, ServiceStatus
from contract.topics import Topics
from predictor.acknowledgement import AcknowledgementWindow
from predictor.settings import PredictorSettings
from predictor.wire import ConnectionLost, Wire

_LOG = structlog.get_logger()
_AT_LEAST_ONCE: Final = mqtt5.QoS.AT_LEAST_ONCE
_LAST_MID: Final = 65_535

KEEP_ALIVE_S: Final = 30
"""Told to the broker, which cuts off who was silent for one and a half times that."""
PING_AFTER_S: Final = 3
"""Silence in either direction after which the broker is asked for a sign of life."""
ANSWER_WITHIN_S: Final = 5
"""How long it may take over its answer; a connection cut without a word is found out after both."""
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A reading arrived."""

    mid: int | None
    """The packet identifier to acknowledge; None for a reading sent at QoS 0."""
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The broker answered for something that was published."""

    mid: int
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionChange:
    """The connection came or went."""

    up: bool
    receive_maximum: int = 0
    """How many messages the broker takes ahead of acknowledging them; MQTT 5 section 3.2.2.3.3."""


Event = Delivery | Confirmation | ConnectionChange


class RefusedByBroker(RuntimeError):  # noqa: N818 - it names what happened
    """The broker refused a subscription or a verdict: its configuration does not fit the predictor."""


class BrokerSession:
    """One persistent session at the broker, with manual acknowledgement; everything but wake() belongs to one thread.

    Args:
        settings: Where the broker is and who we are there.
        topics: What to subscribe to and where the status goes.
        clock: Monotonic seconds.
    """

    def __init__(
        self, settings: PredictorSettings, topics: Topics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._clock = clock
        self._window = AcknowledgementWindow()
        self._wire: Wire | None = None
        self._connected = False
        self._last_mid = 0
        self._pause_s = _FIRST_PAUSE_S
        self._connect_at = clock()
        self._heard_at = self._sent_at = 0.0
        self._asked_at: float | None = None  # since when an answer is owed
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._woken, select.POLLIN)

    @property
    def unconfirmed(self) -> int:
        """Readings whose verdict the broker has not confirmed yet."""
        return len(self._window)

    def take(self, timeout_s: float | None = None) -> list[Event]:
        """Send what is to be sent, wait until something happens, and say what, in order.

        A broker that is away is tried again and again, at most every five seconds.

        Returns:
            No event when the time ran out, somebody woke us, or what came needs nobody's attention.

        Raises:
            RefusedByBroker: The broker refused the subscription.
        """
        try:
            if self._wire is None:
                self._connect(timeout_s)
                return []
            self._flush(self._wire)
            packets = self._wire.receive() if self._wait(self._wire, timeout_s) else []
            if packets:
                self._heard_at, self._asked_at = self._clock(), None
            events = [event for packet in packets for event in self._read(packet)]
            if self._wire is not None:
                self._stay_alive()
        except ConnectionLost as loss:
            return self._lose(str(loss))
        else:
            return events

    def wake(self) -> None:
        """Let take() return; safe in a signal handler."""
        with contextlib.suppress(BlockingIOError):
            self._waker.send(b"w")

    def publish(self, delivery: Delivery, topic: str, body: bytes) -> int:
        """Publish what was decided on a reading, which is acknowledged once the broker confirms it.

        Returns:
            The packet identifier that the Confirmation will carry.
        """
        mid = self._publish(topic, body)
        if delivery.mid is not None:
            self._window.add(delivery.mid, mid)
        return mid

    def confirm(self, confirmation: Confirmation) -> None:
        """Acknowledge the readings that a confirmation sets free.

        Raises:
            RefusedByBroker: The broker did not take what was published.
        """
        if confirmation.failure is not None:
            if confirmation.mid not in self._window:  # our status, or a reading at QoS 0
                _LOG.warning("broker_refused_message", reason=confirmation.failure)
                return
            raise RefusedByBroker(
                f"the broker refused a verdict: {confirmation.failure}; "
                f"check its access list for user {self._settings.mqtt_username!r}"
            )
        for mid in self._window.confirm(confirmation.mid):
            self._send(mqtt5.PubAckPacket(mid).write())

    def close(self) -> None:
        """Say goodbye and disconnect; the broker keeps the session for the next start."""
        if self._connected:
            mid = self._publish_status(OFFLINE)
            deadline = self._clock() + 2
            while self._connected and (left := deadline - self._clock()) > 0:
                if Confirmation(mid) in self.take(left):
                    break
        if self._wire is not None:
            self._send(mqtt5.DisconnectPacket().write())
            with contextlib.suppress(ConnectionLost):
                self._wire.flush()
            self._wire.close()
        self._woken.close()
        self._waker.close()

    # -- the connection ----------------------------------------------------------------------------------

    def _connect(self, timeout_s: float | None) -> None:
        pause = self._connect_at - self._clock()
        if pause > 0:
            self._wait(None, pause if timeout_s is None else min(pause, timeout_s))
            if self._clock() < self._connect_at:
                return
        settings = self._settings
        try:
            self._wire = Wire.open(settings.mqtt_host, settings.mqtt_port, ANSWER_WITHIN_S)
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        password = settings.mqtt_password.get_secret_value() if settings.mqtt_password else None
        self._heard_at = self._sent_at = self._asked_at = self._clock()
        self._send(
            mqtt5.ConnectPacket(
                settings.client_id,
                username=settings.mqtt_username,
                password=None if password is None else password.encode(),
                clean_start=False,  # true would wipe the waiting readings at each process start
                will=mqtt5.Will(
                    self._topics.status_of(settings.client_id),
                    payload=OFFLINE.to_json(),
                    qos=_AT_LEAST_ONCE,
                    retain=True,
                ),
                keep_alive=KEEP_ALIVE_S,
                session_expiry_interval=settings.session_expiry_s,
                receive_max=settings.receive_maximum,
            ).write()
        )
        self._flush(self._wire)

    def _lose(self, reason: str) -> list[Event]:
        """The connection is gone, and with it every acknowledgement that was owed on it."""
        was_connected = self._connected
        if self._wire is not None:
            with contextlib.suppress(KeyError):  # it may never have been waited for
                self._poll.unregister(self._wire)
            self._wire.close()
        if was_connected or self._pause_s == _FIRST_PAUSE_S:  # once an outage, not once an attempt
            _LOG.warning("broker_disconnected" if was_connected else "broker_is_away", reason=reason)
        self._wire, self._connected = None, False
        self._window.forget()
        self._connect_at = self._clock() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return [ConnectionChange(up=False)] if was_connected else []

    def _stay_alive(self) -> None:
        """Ask for a sign of life after a silence; without an answer the connection counts as lost."""
        now = self._clock()
        if self._asked_at is None:
            if now >= min(self._heard_at, self._sent_at) + PING_AFTER_S:
                self._asked_at = now
                self._send(mqtt5.PingReqPacket().write())
        elif now >= self._asked_at + ANSWER_WITHIN_S:
            raise ConnectionLost(f"the broker has not answered for {now - self._heard_at:.0f} s")

    def _wait(self, wire: Wire | None, timeout_s: float | None) -> bool:
        """Wait until something has come (true), more can be written, the connection wants looking after, or wake()."""
        if wire is not None:
            self._poll.register(wire, select.POLLIN | (select.POLLOUT if wire.has_more_to_write else 0))
            due = (
                min(self._heard_at, self._sent_at) + PING_AFTER_S
                if self._asked_at is None
                else self._asked_at + ANSWER_WITHIN_S
            ) - self._clock()
            timeout_s = due if timeout_s is None else min(timeout_s, due)
        ready = self._poll.poll(None if timeout_s is None else max(0.0, timeout_s * 1000))
        came = False
        for file, what in ready:
            if file == self._woken.fileno():
                self._woken.recv(4096)
            elif what & ~select.POLLOUT:
                came = True
        return came

    def _flush(self, wire: Wire) -> None:
        if wire.has_more_to_write:
            wire.flush()
            self._sent_at = self._clock()

    # -- packets -----------------------------------------------------------------------------------------

    def _read(self, packet: mqtt5.Packet) -> Iterator[Event]:
        if isinstance(packet, mqtt5.PublishPacket):
            yield Delivery(packet.packet_id, packet.topic, packet.payload)
        elif isinstance(packet, mqtt5.PubAckPacket):
            reason = packet.reason_code
            yield Confirmation(packet.packet_id, None if reason.value < 0x80 else reason.name)
        elif isinstance(packet, mqtt5.ConnAckPacket):
            yield self._welcome(packet)
        elif isinstance(packet, mqtt5.SubAckPacket):
            refused = [reason.name for reason in packet.reason_codes if reason.value >= 0x80]
            if refused:
                raise RefusedByBroker(f"the broker refused the subscription: {', '.join(refused)}")
            _LOG.info("broker_subscribed")  # from here on the broker keeps readings for us
        elif isinstance(packet, mqtt5.DisconnectPacket):
            raise ConnectionLost(f"the broker said goodbye: {packet.reason_str or packet.reason_code.name}")

    def _welcome(self, packet: mqtt5.ConnAckPacket) -> ConnectionChange:
        if packet.reason_code is not mqtt5.ConnAckReasonCode.SUCCESS:
            reason = packet.reason_str or packet.reason_code.name
            _LOG.error("broker_refused_connection", reason=reason, user=self._settings.mqtt_username)
            raise ConnectionLost(reason)
        self._connected = True
        self._pause_s = _FIRST_PAUSE_S
        share = f"$share/{self._settings.share}/" if self._settings.share else ""
        readings = mqtt5.TopicFilter(share + self._topics.all_messages, max_qos=_AT_LEAST_ONCE)
        self._send(mqtt5.SubscribePacket(self._next_mid(), [readings]).write())
        self._publish_status(ONLINE)
        _LOG.info("broker_connected", session_kept=packet.session_present)
        return ConnectionChange(up=True, receive_maximum=packet.receive_max)

    def _publish_status(self, status: ServiceStatus) -> int:
        topic = self._topics.status_of(self._settings.client_id)
        return self._publish(topic, status.to_json(), retain=True)

    def _publish(self, topic: str, body: bytes, *, retain: bool = False) -> int:
        mid = self._next_mid()
        self._send(mqtt5.PublishPacket(topic, body, qos=_AT_LEAST_ONCE, packet_id=mid, retain=retain).write())
        return mid

    def _next_mid(self) -> int:
        """The next packet identifier that is not on its way."""
        mid = self._last_mid % _LAST_MID + 1
        while mid in self._window:
            mid = mid % _LAST_MID + 1
        self._last_mid = mid
        return mid

    def _send(self, packet: bytes) -> None:
        """Put it behind what goes out with the next take()."""
        if self._wire is not None:  # on a connection that is gone nothing is owed
            self._wire.send(packet)
