"""The simulator at work: a fleet or a recording on one side, the broker on the other, until told to stop."""

import queue
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Protocol

import structlog
from pydantic import ValidationError

from contract.command import FanCommand
from contract.topics import Topics
from simulator.clock import Clock
from simulator.fleet import Fleet, Voice
from simulator.metrics import Metrics
from simulator.publisher import Publisher
from simulator.recording import Recorded, rows_of
from simulator.truth import TruthLog

LONGEST_WAIT_S = 0.25
"""A signal is noticed after this at the latest: its handler only sets a flag, because it may interrupt any lock."""
SKIP_LOG_INTERVAL_S = 10.0

log = structlog.get_logger()


class Bar(Protocol):
    """A progress bar, as tqdm's."""

    def update(self, n: int) -> object:
        """Go on by n."""
        ...


class StopRequest:
    """Turns SIGTERM and SIGINT into a flag."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """Take the two signals over; call it in the main thread."""
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


class Inbox:
    """Commands on their way from paho's thread to the fleet's."""

    def __init__(self, topics: Topics, metrics: Metrics) -> None:
        self._prefix = topics.command_of("")
        self._metrics = metrics
        self._commands: queue.SimpleQueue[tuple[str, FanCommand]] = queue.SimpleQueue()

    def put(self, topic: str, payload: bytes) -> None:
        """Take one message from fan/commands/+; what is no command is counted and logged. Never raises."""
        device_id = topic.removeprefix(self._prefix)
        try:
            self._commands.put((device_id, FanCommand.model_validate_json(payload)))
        except ValidationError as error:
            self._metrics.bad_commands.inc()
            log.warning(
                "command_refused", topic=topic, errors=error.error_count(), payload=repr(payload[:200])
            )

    def deliver(self, fleet: Fleet) -> None:
        """Let the fleet obey what has arrived."""
        while True:
            try:
                device_id, command = self._commands.get_nowait()
            except queue.Empty:
                return
            known = fleet.obey(device_id, command)
            if known:
                self._metrics.commands.inc()
            log.info(
                "command",
                device=device_id,
                condition=command.condition.value,
                duration_s=command.duration_s,
                ours=known,
            )


def simulate(
    fleet: Fleet, publisher: Publisher, inbox: Inbox, metrics: Metrics, stop: StopRequest, finish_s: float
) -> None:
    """Publish what the fleet measures until stop is asked, then finish what is in flight, for finish_s at most."""
    publisher.start()
    skipped_logged = 0
    skipped_logged_s = float("-inf")
    while not stop.asked:
        metrics.last_round.set(time.time())
        inbox.deliver(fleet)
        for message in fleet.due():
            publisher.send(message)
        publisher.pump()
        new = fleet.skipped - skipped_logged
        if new and time.monotonic() - skipped_logged_s > SKIP_LOG_INTERVAL_S:
            metrics.skipped.inc(new)
            log.warning("readings_skipped", count=new, why="this machine cannot keep up with the rate")
            skipped_logged, skipped_logged_s = fleet.skipped, time.monotonic()
        publisher.wait(min(fleet.wait_s(), LONGEST_WAIT_S))
    finish(publisher, finish_s)


Schedule = Iterable[tuple[Recorded, float]]
"""Rows, each with the monotonic time at which it is due, seconds."""


def paced_by_rate(path: Path, rate: float, clock: Clock) -> Schedule:
    """The rows of a recording, rate of them a second, whatever their recorded times."""
    start_s = clock.monotonic()
    for number, row in enumerate(rows_of(path)):
        yield row, start_s + number / rate


def paced_by_time(path: Path, speed: float, clock: Clock) -> Schedule:
    """The rows of a recording that is in order of time, speed times as fast as it was recorded."""
    start_s = clock.monotonic()
    first = None
    for row in rows_of(path):
        first = first or row.moment
        yield row, start_s + (row.moment - first).total_seconds() / speed


def replay(
    schedule: Schedule,
    bar: Bar,
    *,
    keep_time: bool,
    voice: Voice,
    publisher: Publisher,
    clock: Clock,
    stop: StopRequest,
    truth: TruthLog | None = None,
) -> int:
    """Publish a recording, row by row; a full queue makes it wait, so no row is dropped.

    Args:
        schedule: The rows and when they are due.
        bar: Shows the progress.
        keep_time: Send the recorded times instead of the present one.
        voice: Makes the messages.
        publisher: Sends them.
        clock: Paces and stamps them.
        stop: Ends the replay early.
        truth: Where the labels are kept, if anywhere.

    Returns:
        How many rows were handed over; finish() then tells how many of them the broker did not answer.
    """
    publisher.start()
    sent = 0
    for row, due_s in schedule:
        while not stop.asked and ((wait_s := due_s - clock.monotonic()) > 0 or not publisher.has_room):
            publisher.pump()
            publisher.wait(min(wait_s, LONGEST_WAIT_S) if wait_s > 0 else LONGEST_WAIT_S)
        if stop.asked:
            break
        if truth is not None:
            seq = voice.next_seq(row.device_id)
            truth.record(row.device_id, voice.boot_id, seq, "recorded", row.fault)
        moment = row.moment if keep_time else clock.now()
        publisher.send(voice.say(row.device_id, moment, row.signals))
        sent += 1
        bar.update(1)
    return sent


def finish(publisher: Publisher, timeout_s: float) -> int:
    """Send what is queued and await what is in flight; how many readings stayed unanswered."""
    left = publisher.finish(timeout_s)
    if left:
        log.warning("stopped_with_unacknowledged_readings", count=left)
    log.info("stopped")
    return left
