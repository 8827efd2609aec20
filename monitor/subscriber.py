"""The broker: what arrives goes to the fleet at once and into an inbox, and commands go out.

MQTT 5 (OASIS standard, 2019) through paho: a persistent session with manual acknowledgement. Whoever empties the inbox
acknowledges, in the order of arrival (section 4.6), when a message is safe; what was not acknowledged comes again,
after a loss of the connection as after a kill. The network thread never waits for that, so that no heartbeat is late.
"""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from contract.command import FanCommand
from contract.rejection import Rejection
from contract.status import OFFLINE, ONLINE, ServiceStatus
from contract.topics import Topics
from contract.verdict import Verdict
from monitor.clock import Clock
from monitor.fleet import Fleet
from monitor.metrics import MonitorMetrics
from monitor.settings import MonitorSettings

_LOG = structlog.get_logger()
_QOS = 1
_SERVICE = "monitor"
_FRESH_S = 2.0
_KEEPALIVE_S = 10
"""A broker that froze is noticed within twice this: before its silence is taken for that of every machine."""
_MOST_SERVICES = 32
_QOS0_BACKLOG = 20_000
"""Messages sent at QoS 0 know no back-pressure: beyond so many that wait the newest is dropped."""


class BrokerAway(RuntimeError):  # noqa: N818 - it names the state, as in "while the broker is away"
    """Nothing can be sent, or the broker did not confirm it in time."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that waits to be taken, and then to be acknowledged."""

    connection: int
    mid: int
    qos: int
    body: bytes
    content: Verdict | Rejection | None
    """None where it tells nothing of a machine."""


class Subscriber:
    """Feeds the fleet and the inbox from the broker; starts and stops a network thread of paho's."""

    def __init__(
        self,
        settings: MonitorSettings,
        fleet: Fleet,
        clock: Clock,
        on_model: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._topics = Topics(settings.topic_root)
        self._fleet = fleet
        self._clock = clock
        self._on_model = on_model
        self._progress = clock.elapsed()
        self._trouble: str | None = "not connected yet"
        self._subscribed = False
        self._probe = threading.Lock()
        self._inbox: queue.SimpleQueue[Arrived] = queue.SimpleQueue()
        self._offline: frozenset[str] = frozenset()
        self._connection = 0  # numbers the connections; written by the network thread only
        self.metrics = MonitorMetrics(fleet, self.progress_age_s, self._inbox.qsize)
        self._client = self._make_client()

    @property
    def listening_since(self) -> int | None:
        """Numbers the subscription that stands; None while there is none."""
        return self._connection if self._trouble is None else None

    @property
    def offline(self) -> frozenset[str]:
        """Services whose last status is offline; all of it is retained, so that a new connection learns it again."""
        return self._offline

    def take(self, most: int, timeout_s: float) -> list[Arrived]:
        """Wait for a message, and take what else is there already, at most ``most``, in the order of arrival."""
        taken: list[Arrived] = []
        with suppress(queue.Empty):
            taken.append(self._inbox.get(timeout=timeout_s))
            while len(taken) < most:
                taken.append(self._inbox.get_nowait())
        return taken

    def acknowledge(self, arrived: Arrived) -> None:
        """What was taken is safe, or there is nothing about it to be kept.

        One of an earlier connection is left alone: the broker sends it again.
        """
        if arrived.qos and arrived.connection == self._connection:
            self._client.ack(arrived.mid, arrived.qos)
        self.metrics.acknowledged.inc()

    @property
    def connection(self) -> mqtt.Client:
        """The connection to the broker, for others who publish."""
        return self._client

    @property
    def trouble(self) -> str | None:
        """Why nothing arrives, or None while the subscription stands."""
        return self._trouble

    def progress_age_s(self) -> float:
        """Seconds since the broker last answered or sent something."""
        return self._clock.elapsed() - self._progress

    def start(self) -> None:
        """Begin to connect, and keep connecting: a broker that is away is waited for."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._settings.session_expiry_s
        properties.ReceiveMaximum = self._settings.receive_maximum
        self._client.connect_async(
            self._settings.mqtt_host,
            self._settings.mqtt_port,
            keepalive=_KEEPALIVE_S,
            clean_start=False,  # the default would wipe what waits at each start of the process
            properties=properties,
        )
        self._client.loop_start()

    def stop(self) -> None:
        """Say goodbye and disconnect."""
        if self._client.is_connected():
            with suppress(BrokerAway):  # it may be stopping too; then the last will says the same
                self._confirm(self._announce(OFFLINE), timeout_s=1)
        self._client.disconnect()
        self._client.loop_stop()

    def complaint(self, timeout_s: float = 2.0) -> str | None:
        """Why the monitor does not work, or None when it does.

        Being connected is not enough: a dead network thread leaves paho's is_connected() true for ever. So when
        nothing has moved lately, the broker is asked something and has to answer through that very thread.
        """
        if self._trouble is not None:
            return self._trouble
        with self._probe:
            if self.progress_age_s() < _FRESH_S:
                return None
            try:
                self._confirm(self._announce(ONLINE), timeout_s)
            except BrokerAway as away:
                return f"{away}; last progress {self.progress_age_s():.0f} s ago"
        return self._trouble

    def command(self, device_id: str, command: FanCommand, timeout_s: float = 2.0) -> None:
        """Tell a simulated machine what to do.

        Raises:
            BrokerAway: There is no connection, or no confirmation came in time.
        """
        if self._trouble is not None:
            raise BrokerAway(self._trouble)
        payload = command.model_dump_json(exclude_none=True)
        self._confirm(self._client.publish(self._topics.command_of(device_id), payload, qos=_QOS), timeout_s)
        self.metrics.commands.labels(command.condition.value).inc()

    def _announce(self, status: ServiceStatus) -> mqtt.MQTTMessageInfo:
        return self._client.publish(self._topics.status_of(_SERVICE), status.to_json(), qos=_QOS, retain=True)

    @staticmethod
    def _confirm(info: mqtt.MQTTMessageInfo, timeout_s: float) -> None:
        try:
            info.wait_for_publish(timeout=timeout_s)
        except (RuntimeError, ValueError) as error:  # not connected, or paho's queue is full
            raise BrokerAway(f"the broker took nothing: {error}") from error
        if not info.is_published():
            raise BrokerAway(f"no answer from the broker within {timeout_s:g} s")

    def _make_client(self) -> mqtt.Client:
        settings = self._settings
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            protocol=mqtt.MQTTv5,
            manual_ack=True,
        )
        if settings.mqtt_username is not None:
            password = settings.mqtt_password
            client.username_pw_set(
                settings.mqtt_username, None if password is None else password.get_secret_value()
            )
        client.will_set(self._topics.status_of(_SERVICE), OFFLINE.to_json(), qos=_QOS, retain=True)
        client.reconnect_delay_set(min_delay=1, max_delay=5)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_connect_fail = self._on_connect_fail
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    # The callbacks run in paho's network thread, which an exception would end for good while is_connected() stays
    # true. Those below therefore do next to nothing; the one that does more catches everything.

    def _on_connect(
        self,
        client: mqtt.Client,
        _data: object,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        _properties: object,
    ) -> None:
        if reason.is_failure:
            self._trouble = f"the broker refused the connection: {reason}"
            return
        self._connection += 1
        self._progress = self._clock.elapsed()
        if not flags.session_present:  # the broker has kept nothing for us while we were away
            self._fleet.begin_anew()
        self._trouble = "connected, not subscribed yet"
        client.subscribe(
            [
                (self._topics.all_anomalies, _QOS),
                (self._topics.rejected, _QOS),
                (self._topics.all_statuses, _QOS),
            ]
        )
        self._announce(ONLINE)

    def _on_subscribe(
        self, _client: mqtt.Client, _data: object, _mid: int, reasons: list[ReasonCode], _properties: object
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        self._progress = self._clock.elapsed()
        self._trouble = f"the broker refused the subscription: {', '.join(refused)}" if refused else None
        self.metrics.connected.set(0 if refused else 1)
        _LOG.info("subscribed", host=self._settings.mqtt_host, refused=refused)

    def _on_disconnect(
        self, _client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        self._connection += 1
        self._trouble = f"the broker connection was lost: {reason}"
        self.metrics.connected.set(0)
        _LOG.info("disconnected", reason=str(reason))

    def _on_connect_fail(self, _client: mqtt.Client, _data: object) -> None:
        self._trouble = f"no broker at {self._settings.mqtt_host}:{self._settings.mqtt_port}"

    def _on_publish(
        self, _client: mqtt.Client, _data: object, _mid: int, _reason: ReasonCode, _properties: object
    ) -> None:
        self._progress = self._clock.elapsed()

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        body = bytes(message.payload)
        if message.qos == 0 and self._inbox.qsize() > _QOS0_BACKLOG:
            self.metrics.dropped.inc()
            return
        content: Verdict | Rejection | ServiceStatus | None = None
        kind = message.topic.split("/")[1]
        self.metrics.messages.labels(kind).inc()
        try:
            content = _content(kind, body)
            self._show(message.topic, content)
        except ValueError:  # pydantic's is one; so is a time that is none
            self.metrics.invalid.labels(kind).inc()
        except Exception:  # noqa: BLE001 - see above: the thread must live
            self.metrics.failures.inc()
            _LOG.exception("message_failed", topic=message.topic[:200])
        told = None if isinstance(content, ServiceStatus) else content
        self._inbox.put(Arrived(self._connection, message.mid, message.qos, body, told))
        self._progress = self._clock.elapsed()

    def _show(self, topic: str, content: Verdict | Rejection | ServiceStatus | None) -> None:
        """Show a message on the page, at once."""
        if isinstance(content, Verdict):
            self._fleet.take_verdict(content)
            self._on_model(content.model)
        elif isinstance(content, Rejection):
            self._fleet.take_rejection(content)
        elif content is not None:
            service = topic.split("/")[2][:64]
            self._fleet.take_status(service, content.status)
            if content == ONLINE:
                self._offline -= {service}
            elif len(self._offline) < _MOST_SERVICES:
                self._offline |= {service}


def _content(kind: str, body: bytes) -> Verdict | Rejection | ServiceStatus | None:
    """What a message says.

    Raises:
        ValueError: It is not what its topic promises.
    """
    if kind == "anomaly":
        return Verdict.from_json(body)
    if kind == "rejected":
        return Rejection.model_validate_json(body)
    # An empty retained message takes a status back.
    return ServiceStatus.model_validate_json(body) if body else None
