"""From verdicts to alarms: hands what the broker brings to the diagnosis, and its findings to the alarms' desk.

The diagnosis is for one thread, and the pages ask from many: a lock makes them take turns.
"""

import threading

import structlog

from contract.rejection import Rejection
from contract.verdict import Verdict
from monitor.alarms.database import StoreError
from monitor.alarms.desk import AlarmDesk
from monitor.clock import Clock
from monitor.diagnosis.core import Diagnosis
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.time_left import TimeLeft
from monitor.prognosis import Prognosis

_LOG = structlog.get_logger()
_TICK_S = 1.0
_TREND_KEPT_S = 10.0


class ConditionWatch:
    """The diagnosis of a running monitor.

    Args:
        diagnosis: Of the whole fleet; used here alone.
        knowledge: What it was made with.
        desk: Takes the findings.
        clock: The monitor's.
    """

    def __init__(self, diagnosis: Diagnosis, knowledge: Knowledge, desk: AlarmDesk, clock: Clock) -> None:
        self._diagnosis = diagnosis
        self._knowledge = knowledge
        self._desk = desk
        self._clock = clock
        self._lock = threading.Lock()
        self._trends: dict[str, tuple[float, TimeLeft | None]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="condition-watch", daemon=True)

    def start(self) -> None:
        """Begin to look for silence."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_TICK_S + 1)

    def take_verdict(self, verdict: Verdict) -> None:
        """A verdict arrived.

        Raises:
            ValueError: Its time is none.
            StoreError: The disk did not take what it amounts to.
        """
        with self._lock:
            self._desk.on_findings(self._diagnosis.take_verdict(verdict))

    def take_rejection(self, rejection: Rejection) -> None:
        """A reading was refused.

        Raises:
            StoreError: The disk did not take what it amounts to.
        """
        with self._lock:
            self._desk.on_findings(self._diagnosis.take_rejection(rejection))

    def prognosis(self, device_id: str) -> Prognosis:
        """The diagnosis of one device, whether it was ever heard or not."""
        now = self._clock.now()
        with self._lock:
            device = self._diagnosis.device(device_id)
            status = None if device is None else device.status(now)
        plant = self._knowledge.plant
        return Prognosis(status, plant.signals, self.time_left(device_id), plant.trend.confidence, now)

    def time_left(self, device_id: str) -> TimeLeft | None:
        """The trend of one device; a fit takes a millisecond, so it is made once for many who ask."""
        now = self._clock.elapsed()
        with self._lock:
            made, left = self._trends.get(device_id, (float("-inf"), None))
            if now - made < _TREND_KEPT_S:
                return left
            device = self._diagnosis.device(device_id)
            left = None if device is None else device.time_left()
            if device is not None:
                self._trends[device_id] = now, left
            if len(self._trends) > len(self._diagnosis):
                self._trends = {
                    known: kept for known, kept in self._trends.items() if self._diagnosis.device(known)
                }
        return left

    def _run(self) -> None:
        while not self._stopping.wait(_TICK_S):
            try:
                with self._lock:
                    self._desk.on_findings(self._diagnosis.tick())
            except StoreError as error:
                _LOG.error("findings_not_stored", why=str(error))
