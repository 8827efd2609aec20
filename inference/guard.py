"""The guard: watches a new champion for its first minutes, and gives it up when it does not keep to its limits."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from inference.probation import Probation, ProbationLimits
from inference.runtimes import Rows
from inference.service import Scored, ServedModel

GiveUp = Callable[[ServedModel, ServedModel, str], None]
"""Told once of a champion that is not good enough, of the one before it, and why."""


@dataclass(frozen=True, slots=True)
class _Trial:
    champion: ServedModel
    before: ServedModel
    probation: Probation


class Guard:
    """A witness of the service: its methods are called by every thread that answers requests.

    Args:
        limits: What a new champion must keep to.
        clock: Seconds, never set back.
    """

    def __init__(self, limits: ProbationLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._trial: _Trial | None = None
        self._give_up: GiveUp | None = None

    def on_giving_up(self, give_up: GiveUp) -> None:
        """Who is told, in a thread that answers a request."""
        self._give_up = give_up

    def watch(self, champion: ServedModel, before: ServedModel | None) -> None:
        """A new champion; without one before it there is no way back, and nothing to watch for."""
        with self._lock:
            self._trial = None
            if before is not None:
                self._trial = _Trial(champion, before, Probation(self._limits, self._clock()))

    def scored(self, rows: Rows, scored: Scored, seconds: float) -> None:  # noqa: ARG002 - as every witness
        """It has scored rows."""
        trial = self._current()
        if trial is not None and scored.model is trial.champion:
            self._note(trial, seconds, failed=False)

    def failed(self, model: ServedModel, rows: Rows, seconds: float) -> Scored | None:
        """It gave no probabilities: on its trial the model before answers, and names itself.

        Rows that this one cannot score either are the caller's fault.
        """
        trial = self._current()
        if (
            trial is None
            or model is not trial.champion
            or trial.before.manifest.signals != model.manifest.signals
        ):
            return None
        try:
            instead = Scored(trial.before, *trial.before.score(rows))
        except Exception:  # noqa: BLE001 - whatever it was, both do it
            return None
        self._note(trial, seconds, failed=True)
        return instead

    def _current(self) -> _Trial | None:
        trial = self._trial
        if trial is not None and trial.probation.is_over(self._clock()):
            with self._lock:
                if self._trial is trial:
                    self._trial = None
            return None
        return trial

    def _note(self, trial: _Trial, seconds: float, *, failed: bool) -> None:
        with self._lock:
            if trial is not self._trial:
                return
            why = trial.probation.note(seconds, failed=failed)
            if why is None:
                return
            self._trial = None
        if self._give_up is not None:
            self._give_up(trial.champion, trial.before, why)
