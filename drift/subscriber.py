"""The broker: every verdict goes to the follower, in the session's own thread.

A persistent session (mqtt_session), so that a restart misses no verdict. A message is acknowledged when it has been
looked at; one that comes twice after a loss of the connection weighs twice in a window of hundreds, which is nothing.
"""

from collections.abc import Callable, Sequence

import structlog
from pydantic import ValidationError

from contract.status import OFFLINE, ONLINE
from contract.topics import Topics
from contract.verdict import Verdict
from drift.following import Follower
from drift.metrics import DriftMetrics
from drift.settings import DriftSettings
from mqtt_session.background import BackgroundSession
from mqtt_session.session import ConnectionChange, Delivery, Event, SessionOptions, Subscribed

_LOG = structlog.get_logger()


class Subscriber:
    """Feeds the follower; starts and stops the session's thread.

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
        topics = Topics(settings.topic_root)
        self._follower = follower
        self._metrics = metrics
        self._session = BackgroundSession(
            SessionOptions(
                host=settings.mqtt_host,
                port=settings.mqtt_port,
                client_id=settings.client_id,
                username=settings.mqtt_username,
                password=settings.mqtt_password,
                session_expiry_s=settings.session_expiry_s,
                receive_maximum=settings.receive_maximum,
                subscriptions=(topics.all_anomalies,),
                status_topic=topics.status_of("drift"),
                online=ONLINE.to_json(),
                offline=OFFLINE.to_json(),
            ),
            self._on_events,
            clock,
        )

    def start(self) -> None:
        """Begin to connect, and keep connecting: a broker that is away is waited for."""
        self._session.start()

    def stop(self) -> None:
        """Say goodbye and disconnect; the session stays."""
        self._session.stop()

    def complaint(self) -> str | None:
        """Why nothing arrives, or None when all is well."""
        return self._session.complaint()

    def _on_events(self, connection: int, events: Sequence[Event]) -> None:
        looked_at: list[int] = []
        for event in events:
            if isinstance(event, Delivery):
                self._take(event)
                if event.mid is not None:
                    looked_at.append(event.mid)
            elif isinstance(event, ConnectionChange):
                if not event.up:
                    self._metrics.connected.set(0)
            elif isinstance(event, Subscribed):
                self._metrics.connected.set(0 if event.refused else 1)
        if looked_at:
            self._session.acknowledge(connection, looked_at)

    def _take(self, message: Delivery) -> None:
        try:
            self._follower.take(Verdict.from_json(message.payload))
        except (ValidationError, KeyError):
            self._metrics.invalid.inc()
        except Exception:  # noqa: BLE001 - one verdict must not stop those behind it
            self._metrics.failures.inc()
            _LOG.exception("message_failed", topic=message.topic[:200])
