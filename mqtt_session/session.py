"""The MQTT session: one thread sends, waits and reads, and what came is told as a list of events.

MQTT 5 (OASIS standard, 2019): section 3.1.2.10 on keep alive, 4.1 on sessions, 4.4 on redelivery, 4.6 on the order of
acknowledgements. What is published on a connection that breaks before the broker confirms it is not sent again, and
what was not acknowledged is sent again by the broker: whoever publishes because of what arrived acknowledges it after
the Confirmation.
"""

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import mqtt5
import structlog
from pydantic import SecretStr

from mqtt_session.wire import ConnectionLost, Wire

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """Where the broker is, who we are there, and what we want of it."""

    host: str
    port: int
    client_id: str
    """Names the session that the broker keeps while we are away."""
    username: str | None
    password: SecretStr | None
    session_expiry_s: int
    """How long it keeps that."""
    receive_maximum: int
    """How many messages it sends ahead of acknowledgements; MQTT 5 section 3.1.2.11.3."""
    subscriptions: tuple[str, ...]
    """Topic filters, all at QoS 1."""
    status_topic: str
    """Where we say, retained, that we are there; our last will says that we are not."""
    online: bytes
    offline: bytes


class Delivery(NamedTuple):
    """A message arrived."""

    mid: int | None
    """The packet identifier to acknowledge; None for a message sent at QoS 0."""
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
    session_kept: bool = False
    """Whether the broker has kept what arrived for us while we were away."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The broker answered for the subscriptions."""

    refused: tuple[str, ...] = ()
    """Its reasons, if it refused any."""


Event = Delivery | Confirmation | ConnectionChange | Subscribed


class Session:
    """One persistent session at the broker, with manual acknowledgement; everything but wake() belongs to one thread.

    Args:
        options: Where, who, and what of.
        clock: Monotonic seconds.
    """

    def __init__(self, options: SessionOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._wire: Wire | None = None
        self._connected = False
        self._trouble: str | None = "not connected yet"
        self._on_their_way: set[int] = set()
        self._last_mid = 0
        self._pause_s = _FIRST_PAUSE_S
        self._connect_at = clock()
        self._heard_at = self._sent_at = clock()
        self._asked_at: float | None = None  # since when an answer is owed
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._woken, select.POLLIN)

    @property
    def trouble(self) -> str | None:
        """Why nothing arrives, or None while the subscriptions stand."""
        return self._trouble

    @property
    def heard_at(self) -> float:
        """When the broker last said anything, by our clock; never older than a few seconds while all is well."""
        return self._heard_at

    def take(self, timeout_s: float | None = None) -> list[Event]:
        """Send what is to be sent, wait until something happens, and say what, in order.

        A broker that is away is tried again and again, at most every five seconds.

        Returns:
            No event when the time ran out, somebody woke us, or what came needs nobody's attention.
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
        """Let take() return; safe in a signal handler, and of no effect when the session is closed."""
        with contextlib.suppress(OSError):  # it is woken already, or closed
            self._waker.send(b"w")

    def publish(self, topic: str, body: bytes, *, retain: bool = False) -> int:
        """Publish at QoS 1.

        Returns:
            The packet identifier that the Confirmation will carry; none comes when the connection goes before it.

        Raises:
            RuntimeError: All 65,535 packet identifiers are on their way.
        """
        mid = self._next_mid()
        if self._connected:
            self._on_their_way.add(mid)
        self._send(mqtt5.PublishPacket(topic, body, qos=_AT_LEAST_ONCE, packet_id=mid, retain=retain).write())
        return mid

    def acknowledge(self, mid: int) -> None:
        """A message of this connection is safe; in the order in which they came (section 4.6)."""
        self._send(mqtt5.PubAckPacket(mid).write())

    def announce(self) -> int:
        """Say again that we are there."""
        return self.publish(self._options.status_topic, self._options.online, retain=True)

    def drop(self, reason: str) -> list[Event]:
        """Give the connection up, and connect anew after a pause: what was not acknowledged comes again."""
        return self._lose(reason)

    def close(self) -> None:
        """Say goodbye and disconnect; the broker keeps the session for the next start."""
        if self._connected:
            mid = self.publish(self._options.status_topic, self._options.offline, retain=True)
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
        options = self._options
        try:
            self._wire = Wire.open(options.host, options.port, ANSWER_WITHIN_S)
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        password = options.password
        self._heard_at = self._sent_at = self._asked_at = self._clock()
        self._send(
            mqtt5.ConnectPacket(
                options.client_id,
                username=options.username,
                password=None if password is None else password.get_secret_value().encode(),
                clean_start=False,  # true would wipe what waits at each start of the process
                will=mqtt5.Will(
                    options.status_topic, payload=options.offline, qos=_AT_LEAST_ONCE, retain=True
                ),
                keep_alive=KEEP_ALIVE_S,
                session_expiry_interval=options.session_expiry_s,
                receive_max=options.receive_maximum,
            ).write()
        )
        self._flush(self._wire)

    def _lose(self, reason: str) -> list[Event]:
        """The connection is gone, and with it every acknowledgement that was owed on it."""
        was_connected = self._connected
        place = f"{self._options.host}:{self._options.port}"
        self._trouble = (
            f"the broker connection was lost: {reason}"
            if was_connected
            else f"no connection to the broker at {place}: {reason}"
        )
        if self._wire is not None:
            with contextlib.suppress(KeyError):  # it may never have been waited for
                self._poll.unregister(self._wire)
            self._wire.close()
        if was_connected or self._pause_s == _FIRST_PAUSE_S:  # once an outage, not once an attempt
            _LOG.warning("broker_disconnected" if was_connected else "broker_is_away", reason=reason)
        self._wire, self._connected = None, False
        self._on_their_way.clear()
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
            self._on_their_way.discard(packet.packet_id)
            yield Confirmation(packet.packet_id, None if reason.value < 0x80 else reason.name)
        elif isinstance(packet, mqtt5.ConnAckPacket):
            yield self._welcome(packet)
        elif isinstance(packet, mqtt5.SubAckPacket):
            yield self._subscribed(packet)
        elif isinstance(packet, mqtt5.DisconnectPacket):
            raise ConnectionLost(f"the broker said goodbye: {packet.reason_str or packet.reason_code.name}")

    def _welcome(self, packet: mqtt5.ConnAckPacket) -> ConnectionChange:
        if packet.reason_code is not mqtt5.ConnAckReasonCode.SUCCESS:
            reason = packet.reason_str or packet.reason_code.name
            _LOG.error("broker_refused_connection", reason=reason, user=self._options.username)
            raise ConnectionLost(f"it refused us: {reason}")
        self._connected = True
        self._trouble = "connected, not subscribed yet"
        self._pause_s = _FIRST_PAUSE_S
        wanted = [mqtt5.TopicFilter(each, max_qos=_AT_LEAST_ONCE) for each in self._options.subscriptions]
        self._send(mqtt5.SubscribePacket(self._next_mid(), wanted).write())
        self.announce()
        _LOG.info("broker_connected", session_kept=packet.session_present)
        return ConnectionChange(
            up=True, receive_maximum=packet.receive_max, session_kept=packet.session_present
        )

    def _subscribed(self, packet: mqtt5.SubAckPacket) -> Subscribed:
        refused = tuple(reason.name for reason in packet.reason_codes if reason.value >= 0x80)
        if refused:
            self._trouble = f"the broker refused the subscription: {', '.join(refused)}"
            _LOG.error("broker_refused_subscription", reasons=refused, user=self._options.username)
        else:
            self._trouble = None
            _LOG.info("broker_subscribed")  # from here on the broker keeps messages for us
        return Subscribed(refused)

    def _next_mid(self) -> int:
        """The next packet identifier that is not on its way."""
        if len(self._on_their_way) == _LAST_MID:
            raise RuntimeError("all packet identifiers are on their way; wait for confirmations")
        mid = self._last_mid % _LAST_MID + 1
        while mid in self._on_their_way:
            mid = mid % _LAST_MID + 1
        self._last_mid = mid
        return mid

    def _send(self, packet: bytes) -> None:
        """Put it behind what goes out with the next take()."""
        if self._wire is not None:  # on a connection that is gone nothing is owed
            self._wire.send(packet)
