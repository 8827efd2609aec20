"""The broker: what arrives goes to the fleet, and commands go out.

MQTT 5 (OASIS standard, 2019) through paho. The session outlives a short loss of the connection, but not the
process: the page shows the present, and a new process has no use for an old backlog.
"""

import threading
from collections.abc import Callable
from contextlib import suppress

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import ValidationError

from contract.command import FanCommand
from contract.rejection import Rejection
from contract.status import OFFLINE, ONLINE, ServiceStatus
from contract.topics import Topics
from contract.verdict import Verdict
from monitor.clock import Clock
from monitor.condition_watch import ConditionWatch
from monitor.fleet import Fleet
from monitor.metrics import MonitorMetrics
from monitor.settings import MonitorSettings

_LOG = structlog.get_logger()
_QOS = 1
_SERVICE = "monitor"
_SESSION_EXPIRY_S = 300
_FRESH_S = 2.0


class BrokerAway(RuntimeError):  # noqa: N818 - it names the state, as in "while the broker is away"
    """Nothing can be sent, or the broker did not confirm it in time."""


class Subscriber:
    """Feeds the fleet from the broker; starts and stops a network thread of paho's."""

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
        self._watch: ConditionWatch | None = None
        self.metrics = MonitorMetrics(fleet, self.progress_age_s)
        self._client = self._make_client()

    def also_tell(self, watch: ConditionWatch) -> None:
        """Tell the diagnosis too of what arrives; before the start."""
        self._watch = watch

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
        properties.SessionExpiryInterval = _SESSION_EXPIRY_S
        self._client.connect_async(
            self._settings.mqtt_host,
            self._settings.mqtt_port,
            keepalive=15,
            clean_start=mqtt.MQTT_CLEAN_START_FIRST_ONLY,
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
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=settings.client_id, protocol=mqtt.MQTTv5)
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
        try:
            self._take(message.topic, bytes(message.payload))
        except Exception:  # noqa: BLE001 - see above: the thread must live
            self.metrics.failures.inc()
            _LOG.exception("message_failed", topic=message.topic[:200])
        self._progress = self._clock.elapsed()

    def _take(self, topic: str, payload: bytes) -> None:
        kind = topic.split("/")[1]
        self.metrics.messages.labels(kind).inc()
        try:
            if kind == "anomaly":
                verdict = Verdict.from_json(payload)
                self._fleet.take_verdict(verdict)
                self._on_model(verdict.model)
                if self._watch is not None:
                    self._watch.take_verdict(verdict)
            elif kind == "rejected":
                rejection = Rejection.model_validate_json(payload)
                self._fleet.take_rejection(rejection)
                if self._watch is not None:
                    self._watch.take_rejection(rejection)
            elif payload:  # an empty retained message takes a status back
                status = ServiceStatus.model_validate_json(payload)
                self._fleet.take_status(topic.split("/")[2][:64], status.status)
        except (ValidationError, ValueError):
            self.metrics.invalid.labels(kind).inc()
