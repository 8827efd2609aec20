"""The broker: what arrives goes to the fleet at once and into an inbox, and commands go out.

A persistent session with manual acknowledgement (mqtt_session). Whoever empties the inbox acknowledges, in the order of
arrival (MQTT 5, section 4.6), when messages are safe; what was not acknowledged comes again, after a loss of the
connection as after a kill. The session's thread never waits for that, so that no sign of life is late.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from contract.command import FanCommand
from contract.rejection import Rejection
from contract.status import OFFLINE, ONLINE, ServiceStatus
from contract.topics import Topics
from contract.verdict import Verdict
from monitor.clock import Clock
from monitor.fleet import Fleet
from monitor.metrics import MonitorMetrics
from monitor.settings import MonitorSettings
from mqtt_session.background import BackgroundSession, BrokerAway
from mqtt_session.session import ConnectionChange, Delivery, Event, SessionOptions, Subscribed

_LOG = structlog.get_logger()
_MOST_SERVICES = 32
_QOS0_BACKLOG = 20_000
"""Messages sent at QoS 0 know no back-pressure: beyond so many that wait the newest is dropped."""


class Arrived(NamedTuple):
    """A message that waits to be taken, and then to be acknowledged."""

    connection: int
    mid: int | None
    """None for a message sent at QoS 0."""
    body: bytes
    content: Verdict | Rejection | None
    """None where it tells nothing of a machine."""


class Subscriber:
    """Feeds the fleet and the inbox from the broker; starts and stops the session's thread."""

    def __init__(
        self,
        settings: MonitorSettings,
        fleet: Fleet,
        clock: Clock,
        on_model: Callable[[str], None],
    ) -> None:
        self._topics = topics = Topics(settings.topic_root)
        self._fleet = fleet
        self._on_model = on_model
        self._inbox: deque[Arrived] = deque()
        self._arrival = threading.Condition()
        self._offline: frozenset[str] = frozenset()
        self._session = BackgroundSession(
            SessionOptions(
                host=settings.mqtt_host,
                port=settings.mqtt_port,
                client_id=settings.client_id,
                username=settings.mqtt_username,
                password=settings.mqtt_password,
                session_expiry_s=settings.session_expiry_s,
                receive_maximum=settings.receive_maximum,
                subscriptions=(topics.all_anomalies, topics.rejected, topics.all_statuses),
                status_topic=topics.status_of("monitor"),
                online=ONLINE.to_json(),
                offline=OFFLINE.to_json(),
            ),
            self._on_events,
            clock.elapsed,
        )
        self.metrics = MonitorMetrics(fleet, self._session.progress_age_s, self._inbox.__len__)

    @property
    def listening_since(self) -> int | None:
        """Numbers the subscription that stands; None while there is none."""
        return self._session.listening_since

    @property
    def offline(self) -> frozenset[str]:
        """Services whose last status is offline; all of it is retained, so that a new connection learns it again."""
        return self._offline

    def take(self, most: int, timeout_s: float) -> list[Arrived]:
        """Wait for a message, and take what else is there already, at most ``most``, in the order of arrival."""
        with self._arrival:
            if not self._inbox:
                self._arrival.wait(timeout_s)
            return [self._inbox.popleft() for _ in range(min(most, len(self._inbox)))]

    def acknowledge(self, arrived: Sequence[Arrived]) -> None:
        """What was taken is safe, or there is nothing about it to be kept.

        What is of an earlier connection is left alone: the broker sends it again.
        """
        if arrived:
            newest = arrived[-1].connection
            mids = [each.mid for each in arrived if each.mid is not None and each.connection == newest]
            self._session.acknowledge(newest, mids)
            self.metrics.acknowledged.inc(len(arrived))

    @property
    def session(self) -> BackgroundSession:
        """The session at the broker, for others who publish."""
        return self._session

    @property
    def trouble(self) -> str | None:
        """Why nothing arrives, or None while the subscription stands."""
        return self._session.trouble

    def start(self) -> None:
        """Begin to connect, and keep connecting: a broker that is away is waited for."""
        self._session.start()

    def stop(self) -> None:
        """Say goodbye and disconnect."""
        self._session.stop()

    def complaint(self) -> str | None:
        """Why nothing arrives, or None when all is well."""
        return self._session.complaint()

    def command(self, device_id: str, command: FanCommand, timeout_s: float = 2.0) -> None:
        """Tell a simulated machine what to do.

        Raises:
            BrokerAway: There is no connection, or no confirmation came in time.
        """
        if self.trouble is not None:
            raise BrokerAway(self.trouble)
        payload = command.model_dump_json(exclude_none=True).encode()
        self._session.publish_and_wait(self._topics.command_of(device_id), payload, timeout_s)
        self.metrics.commands.labels(command.condition.value).inc()

    # -- in the session's thread -------------------------------------------------------------------------

    def _on_events(self, connection: int, events: Sequence[Event]) -> None:
        arrived: list[Arrived] = []
        kinds: Counter[str] = Counter()
        for event in events:
            if isinstance(event, Delivery):
                if event.mid is None and len(self._inbox) + len(arrived) > _QOS0_BACKLOG:
                    self.metrics.dropped.inc()
                    continue
                kind = event.topic.split("/", 2)[1]
                kinds[kind] += 1
                arrived.append(Arrived(connection, event.mid, event.payload, self._content(kind, event)))
            elif isinstance(event, ConnectionChange):
                if (
                    event.up and not event.session_kept
                ):  # the broker has kept nothing for us while we were away
                    self._fleet.begin_anew()
                if not event.up:
                    self.metrics.connected.set(0)
            elif isinstance(event, Subscribed):
                self.metrics.connected.set(0 if event.refused else 1)
        for kind, count in kinds.items():
            self.metrics.messages.labels(kind).inc(count)
        if arrived:
            with self._arrival:
                self._inbox.extend(arrived)
                self._arrival.notify()

    def _content(self, kind: str, message: Delivery) -> Verdict | Rejection | None:
        """Show a message on the page, at once; what it tells of a machine."""
        content: Verdict | Rejection | ServiceStatus | None = None
        try:
            content = _read(kind, message.payload)
            self._show(message.topic, content)
        except ValueError:  # pydantic's is one; so is a time that is none
            self.metrics.invalid.labels(kind).inc()
        except Exception:  # noqa: BLE001 - what cannot be shown may still be diagnosed, and stops nothing behind it
            self.metrics.failures.inc()
            _LOG.exception("message_failed", topic=message.topic[:200])
        return None if isinstance(content, ServiceStatus) else content

    def _show(self, topic: str, content: Verdict | Rejection | ServiceStatus | None) -> None:
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


def _read(kind: str, body: bytes) -> Verdict | Rejection | ServiceStatus | None:
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
