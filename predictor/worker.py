"""The worker: takes what has gathered, has it judged, publishes, acknowledges; one batch after the other."""

import threading
import time
from collections.abc import Callable
from datetime import datetime

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

from predictor.broker import BrokerSession, Confirmation, ConnectionChange, Delivery, Event
from predictor.health import Progress
from predictor.judgement import Judge, Message, Outcome
from predictor.metrics import PredictorMetrics
from predictor.scoring import ScoringUnavailable

_LOG = structlog.get_logger()


class Worker:
    """Owns the flow of one predictor; everything but request_stop() belongs to one thread."""

    def __init__(
        self,
        session: BrokerSession,
        judge: Judge,
        progress: Progress,
        metrics: PredictorMetrics,
        *,
        max_batch: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._session = session
        self._judge = judge
        self._progress = progress
        self._metrics = metrics
        self._max_batch = max_batch
        self._clock = clock
        self._stop = threading.Event()
        self._published: dict[int, Outcome] = {}
        self._scoring_is_down = False
        self._until_scored = Retrying(
            retry=retry_if_exception_type(ScoringUnavailable),
            wait=wait_exponential_jitter(initial=0.1, max=5),
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
            self._handle(self._session.take(self._max_batch))
        deadline = time.monotonic() + stop_s
        while self._session.unconfirmed and (left := deadline - time.monotonic()) > 0:
            # Readings that still arrive are left unacknowledged: the broker keeps them for the next start.
            self._note(self._session.take(self._max_batch, timeout_s=left))

    def _handle(self, events: list[Event]) -> None:
        deliveries = [delivery for delivery in self._note(events) if self._session.is_current(delivery)]
        self._metrics.pending.set(len(deliveries) + self._session.waiting)
        if not deliveries:
            return
        self._metrics.received.inc(len(deliveries))
        self._metrics.batch_readings.observe(len(deliveries))
        self._progress.busy()
        messages = [Message(delivery.topic, delivery.payload) for delivery in deliveries]
        try:
            with self._metrics.scoring_seconds.time():
                outcomes = self._until_scored(self._judge.judge, messages)
        except RetryError:
            return  # stopped while scoring is away: nothing was acknowledged, the broker sends it again
        if self._scoring_is_down:
            self._scoring_is_down = False
            _LOG.info("scoring_is_back")
        for delivery, outcome in zip(deliveries, outcomes, strict=True):
            if self._session.is_current(delivery):
                mid = self._session.publish(delivery, outcome.topic, outcome.body)
                self._published[mid] = outcome

    def _note(self, events: list[Event]) -> list[Delivery]:
        """Act on every event but the deliveries, which are returned: those of a connection that still stands."""
        deliveries: list[Delivery] = []
        for event in events:
            if isinstance(event, Delivery):
                deliveries.append(event)
            elif isinstance(event, Confirmation):
                self._confirm(event)
            elif isinstance(event, ConnectionChange):
                deliveries.clear()
                self._session.forget()
                self._progress.connection(up=event.up)
                self._metrics.connected.set(event.up)
        return deliveries

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
