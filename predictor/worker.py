"""The worker: takes what has gathered, has it judged, publishes, acknowledges; one batch after the other."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from typing import Final, Protocol

import structlog
from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception_type,
    wait_exponential_jitter,
)

from mqtt_session.session import Confirmation, ConnectionChange, Delivery, Event, Subscribed
from predictor.health import Progress
from predictor.judgement import Judge, Message, Outcome
from predictor.metrics import PredictorMetrics
from predictor.scoring import ScoringUnavailable

_LOG = structlog.get_logger()
_STATUS_MESSAGES: Final = 2
"""Our own online and offline may be on their way beside the verdicts."""
QOS0_BACKLOG: Final = 20_000
"""Readings sent at QoS 0 know no back-pressure: beyond this many that wait the newest is dropped."""


class Session(Protocol):
    """What the worker needs of a broker; BrokerSession says what each means."""

    @property
    def unconfirmed(self) -> int:
        """Readings that may not be acknowledged yet."""

    def take(self, timeout_s: float | None = None) -> list[Event]:
        """Send what is to be sent and wait for events."""

    def wake(self) -> None:
        """Let take() return."""

    def publish(self, delivery: Delivery, topic: str, body: bytes) -> int:
        """Publish what was decided on a reading."""

    def confirm(self, confirmation: Confirmation) -> None:
        """Acknowledge what a confirmation sets free."""


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
        self._batch: list[Delivery] = []  # at the scoring service; emptied when the connection goes
        self._published: dict[int, Outcome] = {}  # by packet identifier, until the broker confirms
        self._window = 0
        self._scoring_is_down = False
        metrics.pending.set_function(self._waiting.__len__)
        self._until_scored = Retrying(
            retry=retry_if_exception_type(ScoringUnavailable),
            wait=wait_exponential_jitter(multiplier=0.1, max=5),
            stop=lambda _: self._stop.is_set(),
            sleep=self._serve,
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
            self._note(self._session.take(0 if batch_waits else None))
            size = min(len(self._waiting), self._max_batch, self._room())
            self._batch = list(islice(self._waiting, size))
            if self._batch:
                self._handle(self._batch)
        deadline = time.monotonic() + stop_s
        while self._session.unconfirmed and (left := deadline - time.monotonic()) > 0:
            # Readings that still arrive are left unacknowledged: the broker keeps them for the next start.
            self._note(self._session.take(left))

    def _serve(self, seconds: float) -> None:
        """Go on with everything but scoring: the broker cuts off who is silent, and confirms what was on its way."""
        deadline = time.monotonic() + seconds
        while self._batch and not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
            self._note(self._session.take(left))

    def _room(self) -> int:
        """How many more messages may be published before one is confirmed; more, and the broker cuts us off."""
        return max(0, self._window - len(self._published))

    def _handle(self, batch: list[Delivery]) -> None:
        self._metrics.received.inc(len(batch))
        self._metrics.batch_readings.observe(len(batch))
        self._progress.busy()
        messages = [Message(delivery.topic, delivery.payload) for delivery in batch]
        started = time.perf_counter()
        try:
            outcomes = self._judged(messages)
        except RetryError:
            return  # stopped while scoring is away: nothing was acknowledged, the broker sends it again
        seconds = time.perf_counter() - started
        if self._batch is not batch:
            return  # the connection went while scoring was away: likewise
        if self._scoring_is_down:
            self._scoring_is_down = False
            _LOG.info("scoring_is_back")
        for delivery, outcome in zip(batch, outcomes, strict=True):
            self._waiting.popleft()
            self._published[self._session.publish(delivery, outcome.topic, outcome.body)] = outcome
        self._metrics.scoring_seconds.observe(seconds)

    def _judged(self, messages: list[Message]) -> list[Outcome]:
        """Outcomes, however long it takes; tenacity (0.1 ms on an idle machine) is asked only when there is a failure.

        Raises:
            RetryError: Stopped, or the connection went, while scoring was away.
        """
        try:
            return self._judge.judge(messages)
        except ScoringUnavailable as error:
            failures = [error]

        def attempt() -> list[Outcome]:
            if failures:  # tenacity counts it, notes it and pauses after it as after any other
                raise failures.pop()
            return self._judge.judge(messages)

        return self._until_scored(attempt)

    def _note(self, events: Sequence[Event]) -> None:
        """Act on what happened; readings join those that wait."""
        confirmed = False
        for event in events:
            if isinstance(event, Delivery):
                self._accept(event)
            elif isinstance(event, Confirmation):
                confirmed = True
                self._confirm(event)
            elif isinstance(event, ConnectionChange):
                self._change(event)
            elif isinstance(event, Subscribed):
                self._progress.subscribed()
        if confirmed:
            self._progress.moved(still_waiting=self._session.unconfirmed > 0)

    def _change(self, change: ConnectionChange) -> None:
        """The broker sends again what was not acknowledged, and the verdicts on their way are nobody's now."""
        self._waiting.clear()
        self._batch = []
        self._published.clear()
        self._window = min(self._receive_maximum, change.receive_maximum) - _STATUS_MESSAGES
        self._progress.connection(up=change.up)
        self._metrics.connected.set(change.up)

    def _accept(self, delivery: Delivery) -> None:
        if delivery.mid is None and len(self._waiting) >= QOS0_BACKLOG:
            self._metrics.dropped.inc()
        else:
            self._waiting.append(delivery)

    def _confirm(self, confirmation: Confirmation) -> None:
        self._session.confirm(confirmation)
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
