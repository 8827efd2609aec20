"""Explains machine faults by the model itself, beside the way of the messages.

An alarm is raised with the reasons that its numbers give at once. What each signal adds to the model's probability
takes a few hundred rows of the scoring service, which may be slow or away: so it is asked in a thread of its own, and
the alarm's words are amended when the answer comes. Without an answer they stay as they are.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from monitor.diagnosis.plant import Plant
from monitor.diagnosis.reasons import Reasons
from monitor.diagnosis.shapley import NotScored, Score
from monitor.findings import Finding

_LOG = structlog.get_logger()
_MOST_WAITING = 1000
"""In a flood of alarms the later ones keep their first words."""
_LONGEST_REQUEST_S = 3.0


class Explainer:
    """Takes findings and gives them back in better words.

    Args:
        plant: Whose table the words are from.
        score: The scoring service; rows in the order of the model's signals.
        model_signals: Which signals the model takes, in its order; None while nobody knows.
    """

    def __init__(self, plant: Plant, score: Score, model_signals: Callable[[], Sequence[str] | None]) -> None:
        self._names = tuple(plant.signals)
        self._score = score
        self._model_signals = model_signals
        self._reasons = Reasons(plant, self._scored)
        self._waiting: queue.Queue[tuple[Finding, Callable[[Finding, Finding], None]] | None] = queue.Queue(
            _MOST_WAITING
        )
        self._thread = threading.Thread(target=self._run, name="explainer", daemon=True)
        self._stopping = False
        self.unexplained = 0
        """How many findings kept their first words since the start."""

    def start(self) -> None:
        """Begin to explain."""
        self._thread.start()

    def stop(self) -> None:
        """Stop explaining; a request in flight is waited for."""
        self._stopping = True
        with suppress(queue.Full):  # then the thread is awake anyway
            self._waiting.put_nowait(None)
        if self._thread.is_alive():
            self._thread.join(_LONGEST_REQUEST_S)

    def complaint(self) -> str | None:
        """Why no fault is explained any more, or None; for the health check, once started."""
        return None if self._thread.is_alive() else "nobody explains machine faults any more, see the log"

    def explain(self, finding: Finding, then: Callable[[Finding, Finding], None]) -> None:
        """Explain a finding that has a reading; ``then`` is called with it and its better words, if there are any."""
        try:
            self._waiting.put_nowait((finding, then))
        except queue.Full:
            self.unexplained += 1
            _LOG.warning("not_explained", device=finding.device_id, why="too many alarms at once")

    def explained(self, finding: Finding) -> Finding:
        """The finding in the words that the model's answer gives; its own where there is none."""
        why, inspect, parts = self._reasons.of_fault(finding.reading)
        return replace(finding, why=why, inspect=inspect, contributions=parts)

    def _run(self) -> None:
        while not self._stopping:
            asked = self._waiting.get()
            if asked is not None:
                finding, then = asked
                better = self.explained(finding)
                if better == finding:
                    self.unexplained += 1
                else:
                    then(finding, better)

    def _scored(self, rows: Sequence[Sequence[float]]) -> Sequence[float]:
        """Rows in the order of the plant's signals, asked in the order of the model's."""
        wanted = self._model_signals()
        if wanted is None or not set(wanted).issubset(self._names):
            raise NotScored(f"the plant's file describes {self._names}, the model takes {wanted}")
        order = [self._names.index(name) for name in wanted]
        return self._score([[row[index] for index in order] for row in rows])
