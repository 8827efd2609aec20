"""Follows the model that gives the verdicts: after a safe update the new version is compared with its own reference.

Which version is in use is told by the verdicts themselves, so that nobody has to be asked and a roll-back is seen as
quickly as an update. A new version counts once it has given so many verdicts in a row: while several processes change
over, verdicts of both come mixed.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from contract.verdict import Verdict
from drift.findings import Finding, Kind
from drift.trained import NoReference, Trained
from drift.watch import Watch, WatchLimits
from drift.yardstick import Distance

_LOG = structlog.get_logger()
_IN_A_ROW = 20
_AGAIN_AFTER_S = 30.0
"""Until a reference that could not be read is tried again."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known at one moment.

    Attributes:
        model: The version that is watched; None before its reference was read.
        trouble: Why nothing is compared, if so.
        findings: What has drifted.
        distances: Of the fleet, by signal.
        signals: Of the model.
        compared: Readings in the fleet's window that the model calls healthy.
        devices: Devices that are remembered.
        seen: Readings taken since the start, of whatever version.
        of_another: Readings left out because another version or another model gave the verdict.
        switches: So often another version was taken up.
    """

    model: str | None
    trouble: str | None
    findings: tuple[Finding, ...]
    distances: dict[str, Distance]
    signals: tuple[str, ...]
    compared: int
    devices: int
    seen: int
    of_another: int
    switches: int


class Follower:
    """Takes every verdict; safe for several threads.

    Args:
        model_name: Verdicts of other models are left alone.
        read: Gives what a version learned. Raises NoReference.
        limits: How much is looked at.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        model_name: str,
        read: Callable[[str], Trained],
        limits: WatchLimits,
        clock: Callable[[], float],
    ) -> None:
        self._name = model_name
        self._read = read
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._watch: Watch | None = None
        self._trouble: str | None = "no verdict has come yet"
        self._next: str | None = None
        self._in_a_row = 0
        self._failed: tuple[str, float] | None = None
        self._told: dict[tuple[Kind, str | None], Finding] = {}
        self._seen = 0
        self._of_another = 0
        self._switches = 0

    def take(self, verdict: Verdict) -> None:
        """One more verdict.

        Raises:
            KeyError: It lacks one of the model's signals.
        """
        with self._lock:
            self._seen += 1
            if not self._is_of_the_model_in_use(verdict.model):
                self._of_another += 1
                return
            watch = self._watch
            if watch is None:
                return
            before = watch.findings
            watch.take(
                verdict.device_id,
                verdict.signals,
                probability=verdict.probability,
                healthy=verdict.fault == 0,
            )
            if watch.findings is not before:
                self._tell(watch.findings)

    def snapshot(self) -> Snapshot:
        """What is known now."""
        with self._lock:
            watch = self._watch
            return Snapshot(
                model=None if watch is None else watch.model_id,
                trouble=self._trouble,
                findings=() if watch is None else watch.findings,
                distances={} if watch is None else watch.distances(),
                signals=() if watch is None else watch.signals,
                compared=0 if watch is None else watch.readings_compared,
                devices=0 if watch is None else watch.devices,
                seen=self._seen,
                of_another=self._of_another,
                switches=self._switches,
            )

    def _is_of_the_model_in_use(self, model: str) -> bool:
        if self._watch is not None and model == self._watch.model_id:
            self._in_a_row = 0
            return True
        if model.partition(":")[0] != self._name:
            return False
        self._in_a_row = self._in_a_row + 1 if model == self._next else 1
        self._next = model
        return self._in_a_row >= _IN_A_ROW and self._take_up(model)

    def _take_up(self, model: str) -> bool:
        now = self._clock()
        if self._failed is not None and self._failed[0] == model and now < self._failed[1] + _AGAIN_AFTER_S:
            return False
        try:
            trained = self._read(model)
        except NoReference as error:
            if self._trouble != str(error):
                _LOG.error("no_reference", model=model, error=str(error))
            self._failed, self._trouble = (model, now), str(error)
            # The version before is not in use any more: what was found of it holds no longer.
            self._watch = None
            self._tell(())
            return False
        before = None if self._watch is None else self._watch.model_id
        self._watch = Watch(trained, self._limits, self._clock)
        self._trouble, self._failed, self._in_a_row = None, None, 0
        self._switches += 1
        self._tell(())
        _LOG.info("model_taken_up", model=model, before=before, trained_rows=trained.reference.rows)
        return True

    def _tell(self, findings: tuple[Finding, ...]) -> None:
        """One line when something begins and one when it is over."""
        now = {(finding.kind, finding.device_id): finding for finding in findings}
        for key, finding in now.items():
            if key not in self._told:
                _LOG.warning(
                    "drift_began", kind=finding.kind.value, device=finding.device_id, words=finding.words
                )
        for key, finding in self._told.items():
            if key not in now:
                _LOG.info("drift_ended", kind=finding.kind.value, device=finding.device_id)
        self._told = now
