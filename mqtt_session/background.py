"""A session that a thread of its own serves, so that neither a slow disk nor a slow page costs a sign of life.

What arrives is handed over as it was read, many messages at once, and so come acknowledgements back: a hand-over from
thread to thread costs more than everything else that happens to a message here.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime

import structlog

from mqtt_session.session import (
    PING_AFTER_S,
    Confirmation,
    ConnectionChange,
    Event,
    Session,
    SessionOptions,
)

_LOG = structlog.get_logger()
_STALE_S = PING_AFTER_S + 2
"""The broker is asked for a sign of life before that; older is its last word only if it or our thread is stuck."""
_STOP_WITHIN_S = 8


class BrokerAway(RuntimeError):  # noqa: N818 - it names the state, as in "while the broker is away"
    """Nothing can be sent, or the broker did not confirm it."""


class BackgroundSession:
    """Tells what happens at the broker, and publishes and acknowledges for any thread.

    Args:
        options: Of the session.
        on_events: Called in the session's thread with the number of the connection and what happened on it. What it
            raises gives the connection up, so that what arrived comes again.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        options: SessionOptions,
        on_events: Callable[[int, Sequence[Event]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = Session(options, clock)
        self._clock = clock
        self._on_events = on_events
        self._connection = 0  # numbers the connections; written by the session's thread only
        self._room = 0
        self._lock = threading.Lock()
        self._outgoing: deque[tuple[str, bytes, bool, Future[None]]] = deque()
        self._safe: deque[tuple[int, Sequence[int]]] = deque()
        self._confirming: dict[int, Future[None]] = {}  # by packet identifier; of the session's thread
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    @property
    def listening_since(self) -> int | None:
        """Numbers the connection whose subscriptions stand; None while there is none."""
        return self._connection if self._session.trouble is None else None

    @property
    def trouble(self) -> str | None:
        """Why nothing arrives, or None while the subscriptions stand."""
        return self._session.trouble

    def progress_age_s(self) -> float:
        """Seconds since the broker last answered or sent something."""
        return self._clock() - self._session.heard_at

    def complaint(self) -> str | None:
        """Why nothing arrives, or None when all is well.

        That the connection stands is not enough: the broker may be frozen, or our own thread be stuck or dead. Each of
        them ends the progress.
        """
        age = self.progress_age_s()
        if self.trouble is None and age > _STALE_S:
            return f"no answer from the broker for {age:.0f} s"
        return self.trouble

    def start(self) -> None:
        """Begin to connect, and keep connecting: a broker that is away is waited for."""
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye and disconnect; the broker keeps the session."""
        self._stopping = True
        if self._thread.is_alive():
            self._session.wake()
            self._thread.join(_STOP_WITHIN_S)
        elif self._thread.ident is None:
            self._session.close()

    def acknowledge(self, connection: int, mids: Sequence[int]) -> None:
        """Messages are safe; in their order. Of an earlier connection they are left alone: they come again."""
        self._safe.append((connection, mids))
        self._session.wake()

    def publish(self, topic: str, body: bytes, *, retain: bool = False) -> "Future[None]":
        """Publish at QoS 1, in the order of the calls.

        Returns:
            Done when the broker has it; raises BrokerAway when it has not taken it, or the connection went before
            it said so.
        """
        promised: Future[None] = Future()
        with self._lock:
            if self._room:
                self._outgoing.append((topic, body, retain, promised))
            else:
                promised.set_exception(BrokerAway(self.trouble or "no connection to the broker"))
        self._session.wake()
        return promised

    def publish_and_wait(self, topic: str, body: bytes, timeout_s: float) -> None:
        """Publish, and wait until the broker has it.

        Raises:
            BrokerAway: It has not, or did not say so in time.
        """
        try:
            self.publish(topic, body).result(timeout_s)
        except NotInTime as error:
            raise BrokerAway(f"no answer from the broker within {timeout_s:g} s") from error

    # -- the thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._send()
                events = self._session.take()
                self._note(events)
                if events:
                    self._on_events(self._connection, events)
            except BaseException:  # noqa: BLE001 - the thread must live; a panic of the codec in Rust is no Exception
                _LOG.exception("broker_session_failed", action="connects anew")
                events = self._session.drop("an error of our own, see the log")
                self._note(events)
                self._on_events(self._connection, events)
        self._send()
        self._session.close()
        self._fail("the connection to the broker was closed")

    def _send(self) -> None:
        """Hand to the session what others have left for it."""
        while self._safe:
            connection, mids = self._safe.popleft()
            if connection == self._connection:
                for mid in mids:
                    self._session.acknowledge(mid)
        while self._outgoing and len(self._confirming) < self._room:
            topic, body, retain, promised = self._outgoing.popleft()
            self._confirming[self._session.publish(topic, body, retain=retain)] = promised

    def _note(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Confirmation):
                promised = self._confirming.pop(event.mid, None)
                if event.failure is not None:
                    _LOG.warning("broker_refused_message", reason=event.failure)
                if promised is None:
                    continue
                if event.failure is None:
                    promised.set_result(None)
                else:
                    promised.set_exception(BrokerAway(f"the broker refused it: {event.failure}"))
            elif isinstance(event, ConnectionChange):
                self._connection += 1
                # One place is kept for the status, which goes its own way.
                self._room = max(1, event.receive_maximum - 1) if event.up else 0
                if not event.up:
                    self._fail(self._session.trouble or "the broker connection was lost")

    def _fail(self, why: str) -> None:
        """The connection is gone: nobody is to wait for what was on its way, or to be sent."""
        with self._lock:
            self._room = 0
            unsent = [promised for *_, promised in self._outgoing]
            self._outgoing.clear()
        for promised in [*self._confirming.values(), *unsent]:
            promised.set_exception(BrokerAway(why))
        self._confirming.clear()
