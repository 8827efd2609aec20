"""Carries what is in the outbox to where it goes, and takes it out when it has arrived.

One courier for each channel, with a thread and a connection of its own: a mail server that does not answer holds up
nobody's alarms. It sleeps until something is put into the outbox or is due.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from monitor.alarms.database import AlarmDatabase, StoreError
from monitor.alarms.outbox import Outbox, Outgoing
from monitor.clock import Clock

_LOG = structlog.get_logger()
_BATCH = 500
_LONGEST_SLEEP_S = 3600.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a batch, by number; what is in none of these is tried again."""

    arrived: tuple[int, ...] = ()
    obsolete: tuple[int, ...] = ()
    """Nobody has to be told any more."""
    why_not: str = ""
    """Why the rest did not arrive, for the log; without anything secret."""


class Sender(Protocol):
    """One way out."""

    def send(self, batch: Sequence[Outgoing]) -> Sent:
        """Try to send a batch, in its order; errors of the way are told by Sent and not raised."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a channel is served.

    Args:
        gather: So long after the first thing of a batch, more is waited for.
        interval: The least time between two batches: what keeps a flood of alarms one message.
        first_retry: After a first failure; doubled with each further one.
        longest_retry: The most that it is doubled to.
        whole: Whether a failure holds up the whole channel (what keeps an order), or the failed thing alone.
    """

    gather: timedelta = timedelta(0)
    interval: timedelta = timedelta(0)
    first_retry: timedelta = timedelta(seconds=5)
    longest_retry: timedelta = timedelta(hours=1)
    whole: bool = False

    def retry(self, failures: int) -> timedelta:
        """How long to wait after so many failures in a row, at least one."""
        return min(self.longest_retry, self.first_retry * int(2 ** min(failures - 1, 20)))


class Courier:
    """Serves one channel of the outbox.

    Args:
        database: Used by this courier alone.
        channel: Which of the outbox's channels.
        sender: The way out.
        clock: Says what is due.
        pace: How often, and how soon again.
    """

    def __init__(
        self, database: AlarmDatabase, channel: str, sender: Sender, clock: Clock, pace: Pace
    ) -> None:
        self._database = database
        self._outbox = Outbox(database)
        self._channel = channel
        self._sender = sender
        self._clock = clock
        self._pace = pace
        self._failures = 0
        self._not_before: datetime | None = None
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"alarms-{channel}", daemon=True)

    def start(self) -> None:
        """Begin to carry."""
        self._thread.start()

    @property
    def channel(self) -> str:
        """Which of the outbox's channels it serves."""
        return self._channel

    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Something was put into the outbox, or the way may be free again."""
        self._wake.set()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop carrying; what is on its way is waited for, what is left waits for the next start."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self._database.close()

    def next_attempt(self) -> datetime | None:
        """When something is to be sent next; None when nothing waits."""
        due = self._outbox.next_due(self._channel)
        if due is None:
            return None
        sent = self._outbox.last_sent(self._channel)
        limits = (due + self._pace.gather, sent and sent + self._pace.interval, self._not_before)
        return max(limit for limit in limits if limit is not None)

    def carry(self) -> None:
        """Send what is due, once.

        Raises:
            StoreError: The outbox cannot be read, or did not take what became of the batch.
        """
        now = self._now()
        attempt = self.next_attempt()
        if attempt is None or attempt > now:
            return
        batch = self._outbox.due(self._channel, now, _BATCH)
        sent = self._sender.send(batch)
        done = {*sent.arrived, *sent.obsolete}
        failed = [each for each in batch if each.number not in done]
        now = self._now()
        with self._database.transaction():
            self._outbox.dropped(sent.obsolete)
            if sent.arrived:
                self._outbox.delivered(sent.arrived, self._channel, now)
            if not self._pace.whole:
                for each in failed:
                    self._outbox.postpone([each.number], now + self._pace.retry(each.attempts + 1))
        self._remember(failed, sent.why_not, now)

    def _remember(self, failed: list[Outgoing], why: str, now: datetime) -> None:
        if not failed:
            if self._failures:
                _LOG.info("delivery_works_again", channel=self._channel, after_failures=self._failures)
            self._failures, self._not_before = 0, None
            return
        self._failures += 1
        if self._failures == 1:
            _LOG.warning("delivery_failed", channel=self._channel, waiting=len(failed), why=why)
        if self._pace.whole:
            self._not_before = now + self._pace.retry(self._failures)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                self.carry()
                attempt = self.next_attempt()
            except StoreError as error:
                # The alarms themselves fail loudly when the disk does; this thread has to be there afterwards.
                _LOG.warning("outbox_failed", channel=self._channel, why=str(error))
                attempt = self._now() + self._pace.first_retry
            sleep_s = _LONGEST_SLEEP_S if attempt is None else (attempt - self._now()).total_seconds()
            if sleep_s > 0:
                self._wake.wait(min(sleep_s, _LONGEST_SLEEP_S))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)
