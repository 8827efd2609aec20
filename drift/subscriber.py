"""The broker: every verdict goes to the follower, in paho's network thread.

MQTT 5 (OASIS standard, 2019) with a persistent session, so that a restart misses no verdict. A message is acknowledged
when it has been looked at; one that comes twice after a loss of the connection weighs twice in a window of hundreds,
which is nothing.
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

from contract.status import OFFLINE, ONLINE, ServiceStatus
from contract.topics import Topics
from contract.verdict import Verdict
from drift.following import Follower
from drift.metrics import DriftMetrics
from drift.settings import DriftSettings

_LOG = structlog.get_logger()
_QOS = 1
_SERVICE = "drift"
_FRESH_S = 2.0
_KEEPALIVE_S = 15


class BrokerAway(RuntimeError):  # noqa: N818 - it names the state
    """The broker did not confirm a message in time."""


class Subscriber:
    """Feeds the follower; starts and stops a network thread of paho's.

    Args:
        settings: Where the broker is.
        follower: Takes the verdicts.
        metrics: Count what is wrong.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        settings: DriftSettings,
        follower: Follower,
        metrics: DriftMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._topics = Topics(settings.topic_root)
        self._follower = follower
        self._metrics = metrics
        self._clock = clock
        self._progress = clock()
        self._trouble: str | None = "not connected yet"
        self._probe = threading.Lock()
        self._client = self._make_client()

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
        """Say goodbye and disconnect; the session stays."""
        if self._client.is_connected():
            with suppress(BrokerAway):  # it may be stopping too; then the last will says the same
                self._confirm(self._announce(OFFLINE), timeout_s=1)
        self._client.disconnect()
        self._client.loop_stop()

    def complaint(self, timeout_s: float = 2.0) -> str | None:
        """Why nothing arrives, or None when all is well.

        A dead network thread leaves paho's is_connected() true for ever. So when nothing has moved lately, the broker
        is asked something and has to answer through that very thread.
        """
        if self._trouble is not None:
            return self._trouble
        with self._probe:
            if self._clock() - self._progress < _FRESH_S:
                return None
            try:
                self._confirm(self._announce(ONLINE), timeout_s)
            except BrokerAway as away:
                return str(away)
        return self._trouble

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
        _flags: object,
        reason: ReasonCode,
        _properties: object,
    ) -> None:
        if reason.is_failure:
            self._trouble = f"the broker refused the connection: {reason}"
            return
        self._progress = self._clock()
        self._trouble = "connected, not subscribed yet"
        client.subscribe(self._topics.all_anomalies, _QOS)
        self._announce(ONLINE)

    def _on_subscribe(
        self, _client: mqtt.Client, _data: object, _mid: int, reasons: list[ReasonCode], _properties: object
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        self._progress = self._clock()
        self._trouble = f"the broker refused the subscription: {', '.join(refused)}" if refused else None
        self._metrics.connected.set(0 if refused else 1)
        _LOG.info("subscribed", host=self._settings.mqtt_host, refused=refused)

    def _on_disconnect(
        self, _client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        self._trouble = f"the broker connection was lost: {reason}"
        self._metrics.connected.set(0)
        _LOG.info("disconnected", reason=str(reason))

    def _on_connect_fail(self, _client: mqtt.Client, _data: object) -> None:
        self._trouble = f"no broker at {self._settings.mqtt_host}:{self._settings.mqtt_port}"

    def _on_publish(
        self, _client: mqtt.Client, _data: object, _mid: int, _reason: ReasonCode, _properties: object
    ) -> None:
        self._progress = self._clock()

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        try:
            self._follower.take(Verdict.from_json(bytes(message.payload)))
        except (ValidationError, KeyError):
            self._metrics.invalid.inc()
        except Exception:  # noqa: BLE001 - see above: the thread must live
            self._metrics.failures.inc()
            _LOG.exception("message_failed", topic=message.topic[:200])
        self._progress = self._clock()
