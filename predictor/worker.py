"""The worker: takes what has gathered, has it judged, publishes, acknowledges; one batch after the other."""

import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import structlog
from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception_type,
    stop_when_event_set,
    wait_exponential_jitter,
)
from tenacity.nap import sleep_using_event

from predictor.broker import QOS0_BACKLOG, Confirmation, ConnectionChange, Delivery, Event
from predictor.health import Progress
from predictor.judgement import Judge, Message, Outcome
from predictor.metrics import PredictorMetrics
from predictor.scoring import ScoringUnavailable

_LOG = structlog.get_logger()
_STATUS_MESSAGES = 2
"""Our own online and offline may be on their way beside the verdicts."""


class Session(Protocol):
    """What the worker needs of a broker; BrokerSession says what each means."""

    @property
    def waiting(self) -> int:
        """Events not yet taken."""

    @property
    def unconfirmed(self) -> int:
        """Readings that may not be acknowledged yet."""

    def take(self, most: int, timeout_s: float | None = None) -> list[Event]:
        """Wait for events."""

    def wake(self) -> None:
        """Let take() return."""

    def is_current(self, delivery: Delivery) -> bool:
        """Whether its connection still stands."""

    def publish(self, delivery: Delivery, topic: str, body: bytes) -> int:
        """Publish what was decided on a reading."""

    def confirm(self, confirmation: Confirmation) -> None:
        """Acknowledge what a confirmation sets free."""

    def forget(self) -> None:
        """The connection is gone."""


class Worker:
    """Owns the flow of one predictor; everything but request_stop() belongs to one thread."""

    def __init__(
        self,
        session: Session,
        judge: Judge,
        progress: Progress,
        metrics: PredictorMetrics,
        *,
        max_batch: int,
        receive_maximum: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._session = session
        self._judge = judge
        self._progress = progress
        self._metrics = metrics
        self._max_batch = max_batch
        self._receive_maximum = receive_maximum
        self._clock = clock
        self._stop = threading.Event()
        self._waiting: deque[Delivery] = deque()
        self._published: dict[int, Outcome] = {}  # by packet identifier, until the broker confirms
        self._window = 0
        self._scoring_is_down = False
        self._until_scored = Retrying(
            retry=retry_if_exception_type(ScoringUnavailable),
            wait=wait_exponential_jitter(multiplier=0.1, max=5),
            stop=stop_when_event_set(self._stop),
            sleep=sleep_using_event(self._stop),
            before_sleep=self._note_scoring_failure,
        )

    def request_stop(self) -> None:
        """Finish what is in flight and return from run(); safe in a signal handler."""
        self._stop.set()
        self._session.wake()

    def run(self, stop_s: float) -> None:
        """Work until a stop is asked for, then wait at most stop_s seconds for what is still unconfirmed.

        Raises:
            RefusedByBroker: The broker's configuration does not fit; a supervisor should restart the predictor.
        """
        while not self._stop.is_set():
            batch_waits = bool(self._waiting) and self._room() > 0
            self._note(self._session.take(self._max_batch, timeout_s=0 if batch_waits else None))
            self._metrics.pending.set(len(self._waiting) + self._session.waiting)
            batch = [
                self._waiting.popleft() for _ in range(min(len(self._waiting), self._max_batch, self._room()))
            ]
            if batch:
                self._handle(batch)
        deadline = time.monotonic() + stop_s
        while self._session.unconfirmed and (left := deadline - time.monotonic()) > 0:
            # Readings that still arrive are left unacknowledged: the broker keeps them for the next start.
            self._note(self._session.take(self._max_batch, timeout_s=left))

    def _room(self) -> int:
        """How many more messages may be published before one is confirmed.

        Verdicts that were on their way when a connection broke are sent again on the next one, all at once and
        whatever the broker takes; more than it takes, and it cuts the connection again.
        """
        return max(0, self._window - len(self._published))

    def _handle(self, batch: list[Delivery]) -> None:
        self._metrics.received.inc(len(batch))
        self._metrics.batch_readings.observe(len(batch))
        self._progress.busy()
        messages = [Message(delivery.topic, delivery.payload) for delivery in batch]
        try:
            with self._metrics.scoring_seconds.time():
                outcomes = self._until_scored(self._judge.judge, messages)
        except RetryError:
            return  # stopped while scoring is away: nothing was acknowledged, the broker sends it again
        if self._scoring_is_down:
            self._scoring_is_down = False
            _LOG.info("scoring_is_back")
        for delivery, outcome in zip(batch, outcomes, strict=True):
            if self._session.is_current(delivery):
                mid = self._session.publish(delivery, outcome.topic, outcome.body)
                self._published[mid] = outcome

    def _note(self, events: list[Event]) -> None:
        """Act on what happened; readings join those that wait."""
        for event in events:
            if isinstance(event, Delivery):
                self._accept(event)
            elif isinstance(event, Confirmation):
                self._confirm(event)
            elif isinstance(event, ConnectionChange):
                self._waiting.clear()  # the broker sends them again
                self._session.forget()
                self._window = min(self._receive_maximum, event.receive_maximum) - _STATUS_MESSAGES
                self._progress.connection(up=event.up)
                self._metrics.connected.set(event.up)

    def _accept(self, delivery: Delivery) -> None:
        if delivery.qos == 0 and len(self._waiting) >= QOS0_BACKLOG:
            self._metrics.dropped.inc()
        else:
            self._waiting.append(delivery)

    def _confirm(self, confirmation: Confirmation) -> None:
        self._session.confirm(confirmation)
        self._progress.moved(still_waiting=self._session.unconfirmed > 0)
        outcome = self._published.pop(confirmation.mid, None)
        if outcome is None:
            return
        if outcome.measured_at is not None:
            self._metrics.verdicts.inc()
            self._metrics.reading_to_verdict.observe((self._clock() - outcome.measured_at).total_seconds())
        elif outcome.reason is not None:
            self._metrics.rejected.labels(outcome.reason).inc()

    def _note_scoring_failure(self, attempt: RetryCallState) -> None:
        error = attempt.outcome.exception() if attempt.outcome else None
        self._metrics.scoring_failures.inc()
        self._progress.trouble(str(error))
        if not self._scoring_is_down:
            self._scoring_is_down = True
            _LOG.warning("scoring_is_away", error=str(error), action="readings are held until it answers")
