"""The predictor's side of its MQTT session: a reading is acknowledged when the broker has its verdict.

What is published on a connection that breaks before the broker confirms it is not sent again: its reading was not
acknowledged either, so the broker sends that again and the verdict with it.
"""

import time
from collections.abc import Callable

import structlog

from contract.status import OFFLINE, ONLINE
from contract.topics import Topics
from mqtt_session.session import (
    Confirmation,
    ConnectionChange,
    Delivery,
    Event,
    Session,
    SessionOptions,
    Subscribed,
)
from predictor.acknowledgement import AcknowledgementWindow
from predictor.settings import PredictorSettings

_LOG = structlog.get_logger()


class RefusedByBroker(RuntimeError):  # noqa: N818 - it names what happened
    """The broker refused a subscription or a verdict: its configuration does not fit the predictor."""


class BrokerSession:
    """The persistent session of one predictor; everything but wake() belongs to one thread.

    Args:
        settings: Where the broker is and who we are there.
        topics: What to subscribe to and where the status goes.
        clock: Monotonic seconds.
    """

    def __init__(
        self, settings: PredictorSettings, topics: Topics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._username = settings.mqtt_username
        self._window = AcknowledgementWindow()
        share = f"$share/{settings.share}/" if settings.share else ""
        self._session = Session(
            SessionOptions(
                host=settings.mqtt_host,
                port=settings.mqtt_port,
                client_id=settings.client_id,
                username=settings.mqtt_username,
                password=settings.mqtt_password,
                session_expiry_s=settings.session_expiry_s,
                receive_maximum=settings.receive_maximum,
                subscriptions=(share + topics.all_messages,),
                status_topic=topics.status_of(settings.client_id),
                online=ONLINE.to_json(),
                offline=OFFLINE.to_json(),
            ),
            clock,
        )

    @property
    def unconfirmed(self) -> int:
        """Readings whose verdict the broker has not confirmed yet."""
        return len(self._window)

    def take(self, timeout_s: float | None = None) -> list[Event]:
        """Send what is to be sent, wait until something happens, and say what, in order.

        Returns:
            No event when the time ran out, somebody woke us, or what came needs nobody's attention.

        Raises:
            RefusedByBroker: The broker refused the subscription.
        """
        events = self._session.take(timeout_s)
        for event in events:
            if isinstance(event, ConnectionChange):
                self._window.forget()
            elif isinstance(event, Subscribed) and event.refused:
                raise RefusedByBroker(f"the broker refused the subscription: {', '.join(event.refused)}")
        return events

    def wake(self) -> None:
        """Let take() return; safe in a signal handler."""
        self._session.wake()

    def publish(self, delivery: Delivery, topic: str, body: bytes) -> int:
        """Publish what was decided on a reading, which is acknowledged once the broker confirms it.

        Returns:
            The packet identifier that the Confirmation will carry.
        """
        mid = self._session.publish(topic, body)
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
                f"check its access list for user {self._username!r}"
            )
        for mid in self._window.confirm(confirmation.mid):
            self._session.acknowledge(mid)

    def close(self) -> None:
        """Say goodbye and disconnect; the broker keeps the session for the next start."""
        self._session.close()
