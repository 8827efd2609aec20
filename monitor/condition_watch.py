"""From messages to alarms: one thread takes what has gathered, has it diagnosed, commits it, and acknowledges it.

Delivery is at least once and what comes of it exactly once: a message is acknowledged after the commit that holds its
entry in the log, its findings, the alarms that they make and what must go out of them (monitor/intake.py says why a
restart then knows everything). While one commit is on its way the next batch gathers; no timer, so an idle monitor
answers at once, and a slow disk makes larger batches. The broker's connection has a thread of its own, so that neither
a slow disk nor a slow scoring service costs a heartbeat.

The diagnosis is for one thread, and the pages ask from many: a lock makes them take turns. No commit happens under it.
"""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

import structlog

from contract.verdict import Verdict
from monitor.alarms.database import StoreError
from monitor.alarms.desk import AlarmDesk, ModeChange
from monitor.clock import Clock, HeldClock
from monitor.condition import Condition, condition_of, is_planned_stop
from monitor.diagnosis.core import Diagnosis
from monitor.diagnosis.device import DeviceDiagnosis, Status
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.time_left import TimeLeft
from monitor.explainer import Explainer
from monitor.findings import Finding, FindingKind
from monitor.intake import EntryKind, IntakeLog, Step
from monitor.prognosis import Prognosis
from monitor.resumption import resume
from monitor.silences import Silences
from monitor.subscriber import Arrived

_LOG = structlog.get_logger()
_MOST = 500
"""Messages of one batch: a few milliseconds, for which a page waits."""
_TICK_S = 1.0
_AGAIN_S = 1.0
_STALL_S = 30.0
_TREND_KEPT_S = 10.0


class Inbox(Protocol):
    """As much of the broker as this needs; Subscriber says what each means."""

    @property
    def listening_since(self) -> int | None:
        """Numbers the subscription that stands; None while there is none."""

    @property
    def offline(self) -> frozenset[str]:
        """Services whose last status is offline."""

    def take(self, most: int, timeout_s: float) -> list[Arrived]:
        """Wait for messages."""

    def acknowledge(self, arrived: Sequence[Arrived]) -> None:
        """Messages are safe."""


class ConditionBoard(Protocol):
    """Shows what the diagnosis makes of each device; Fleet is one."""

    def recall(self, conditions: Mapping[str, Condition]) -> None:
        """What is known of the last run, before anything is heard."""

    def take_conditions(self, conditions: Mapping[str, Condition]) -> None:
        """Devices that something was heard of, or that time has changed."""


class ConditionWatch:
    """The diagnosis of a running monitor.

    Args:
        inbox: Where messages come from.
        knowledge: Of the plant's machines.
        desk: Takes the findings.
        clock: The monitor's.
        make_diagnosis: Makes the diagnosis of the fleet, by the clock that it is given.
        remembered: How many messages the broker sends ahead of acknowledgements.
        explainer: Finds better words for machine faults, if there is one.
        board: Where each device's condition is shown, if it is.
    """

    def __init__(
        self,
        inbox: Inbox,
        knowledge: Knowledge,
        desk: AlarmDesk,
        clock: Clock,
        *,
        make_diagnosis: Callable[[Clock], Diagnosis],
        remembered: int,
        explainer: Explainer | None = None,
        board: ConditionBoard | None = None,
    ) -> None:
        self._inbox = inbox
        self._knowledge = knowledge
        self._desk = desk
        self._clock = clock
        self._held = HeldClock(clock)
        self._diagnosis = make_diagnosis(self._held)
        self._silences = Silences(self._diagnosis, self._held, knowledge.plant.quality.silent_after_s)
        self._log = IntakeLog(remembered)
        self._explainer = explainer
        self._board = board
        self._on_failure: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._trends: dict[str, tuple[float, TimeLeft | None]] = {}
        self._stopped: set[str] = set()
        """Machines that stand still, as the desk was told."""
        self._maintenance: tuple[bool, ...] = ()
        """Which windows of the plant's file are open."""
        self._planned: frozenset[str] = frozenset()
        """Devices whose maintenance somebody has planned on a page goes on. The alarms are kept from view by the desk;
        the diagnosis goes on as ever, so that what it was told can be told again."""
        self._faults: dict[str, Finding] = {}
        """Machine faults as they were first told, while they last."""
        self._amended: deque[tuple[Finding, Finding]] = deque()
        self._busy_since: float | None = None
        self._trouble = "the state of the last run is not read yet"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="condition-watch", daemon=True)

    def start(self, on_failure: Callable[[], None]) -> None:
        """Take up the state of the last run and begin to take messages.

        Args:
            on_failure: Called when an error of our own ends the thread.
        """
        self._on_failure = on_failure
        self._busy_since = self._clock.elapsed()
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch under way; what waits stays with the broker."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_TICK_S + 5)

    def complaint(self) -> str | None:
        """Why verdicts do not become alarms, or None when they do."""
        since = self._busy_since
        if since is None or self._clock.elapsed() - since <= _STALL_S:
            return None
        return f"messages wait and nothing was finished for {self._clock.elapsed() - since:.0f} s. {self._trouble}"

    # -- what the pages ask ---------------------------------------------------------------------------

    @property
    def way_is_down(self) -> bool:
        """Whether no verdict of any machine arrives."""
        return self._silences.way_is_down

    def prognosis(self, device_id: str) -> Prognosis:
        """The diagnosis of one device, whether it was ever heard or not."""
        now = self._clock.now()
        with self._lock:
            device = self._diagnosis.device(device_id)
            status = None if device is None else self._status(device, now)
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

    # -- the thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._resume()
            while not self._stopping.is_set():
                self._work(self._inbox.take(_MOST, _TICK_S))
        except Exception:  # noqa: BLE001 - the thread would end in silence
            # An error of our own: what it left is unknown. A new process begins with what was committed.
            _LOG.exception("condition_watch_failed")
            self._trouble = "an error of our own, see the log"
            self._busy_since = self._busy_since or self._clock.elapsed()
            self._on_failure()

    def _resume(self) -> None:
        with self._lock, self._desk.kept() as kept:
            told = resume(self._diagnosis, self._held, self._log, kept)
            now = self._clock.now()
            self._planned = self._now_planned()
            statuses = {device.device_id: self._status(device, now) for device in self._diagnosis}
            self._stopped = {device_id for device_id, each in statuses.items() if is_planned_stop(each)}
        if self._board is not None:
            self._board.recall({device_id: condition_of(each) for device_id, each in statuses.items()})
        self._busy_since = None
        _LOG.info("diagnosis_resumed", devices=len(self._diagnosis), messages=told)

    def _work(self, arrived: Sequence[Arrived]) -> None:
        if arrived:
            self._busy_since = self._clock.elapsed()
        with self._lock:
            now = self._held.hold()
            findings: list[Finding] = []
            for each in arrived:
                if each.content is not None and not self._log.has(each.body):
                    self._take(each, now, findings)
            findings.extend(self._look_for_silences(now, arrived))
            findings.extend(self._amendments())
            modes, conditions = self._judge(self._touched(arrived, findings, now), now)
            step = self._log.step(self._state_of)
        if self._board is not None and conditions:
            self._board.take_conditions(conditions)
        if not self._commit(findings, modes, step):
            return  # stopped while the disk takes nothing: nothing was acknowledged, the broker sends it again
        self._inbox.acknowledge(arrived)
        self._busy_since = None
        self._ask_why(findings)

    def _take(self, each: Arrived, now: float, findings: list[Finding]) -> None:
        """Tell the diagnosis of one message, and write down that it was told."""
        content = each.content
        if isinstance(content, Verdict):
            try:
                findings.extend(self._diagnosis.take_verdict(content))
            except (
                ValueError
            ):  # its time is none (the contract's pattern lets 2026-02-31 through): counted already
                return
            self._log.add(content.device_id, now, EntryKind.VERDICT, each.body)
        elif content is not None and content.device_id is not None:
            findings.extend(self._diagnosis.take_rejection(content))
            self._log.add(content.device_id, now, EntryKind.REJECTION, each.body)

    def _touched(self, arrived: Sequence[Arrived], findings: Sequence[Finding], now: float) -> set[str]:
        """Devices that may be in another condition now."""
        planned, self._planned = self._planned, self._now_planned()
        windows = tuple(window.covers(now) for window in self._knowledge.plant.maintenance)
        if windows != self._maintenance:  # it begins and ends without a message
            self._maintenance = windows
            return {device.device_id for device in self._diagnosis}
        touched = {finding.device_id for finding in findings} | (planned ^ self._planned)
        touched.update(each.content.device_id for each in arrived if each.content and each.content.device_id)
        return touched

    def _judge(self, touched: Iterable[str], now: float) -> tuple[list[ModeChange], dict[str, Condition]]:
        """Who came to a planned standstill or runs again, and what the touched devices are like."""
        modes: list[ModeChange] = []
        conditions: dict[str, Condition] = {}
        for device_id in touched:
            device = self._diagnosis.device(device_id)
            if device is None:
                continue
            status = self._status(device, now)
            conditions[device_id] = condition_of(status)
            stopped = is_planned_stop(status)
            if stopped is not (device_id in self._stopped):
                (self._stopped.add if stopped else self._stopped.discard)(device_id)
                modes.append(ModeChange(device_id, stopped, datetime.fromtimestamp(now, UTC)))
        return modes, conditions

    def _now_planned(self) -> frozenset[str]:
        try:
            return self._desk.in_maintenance()
        except StoreError:  # the commit that follows says so
            return self._planned

    def _status(self, device: DeviceDiagnosis, now: float) -> Status:
        status = device.status(now)
        return replace(status, in_maintenance=True) if device.device_id in self._planned else status

    def _look_for_silences(self, now: float, arrived: Sequence[Arrived]) -> Sequence[Finding]:
        """Who is silent? What the diagnosis was told by that is written down, as every message is."""
        found = self._silences.look(
            self._inbox.listening_since,
            verdicts=any(isinstance(each.content, Verdict) for each in arrived),
            offline=self._inbox.offline,
            excused=self._planned,
        )
        for finding in found:
            if finding.kind is not FindingKind.SILENCE:
                continue
            body = json.dumps([finding.device_id, self._knowledge.plant.quality.silent_after_s]).encode()
            self._log.add(finding.device_id, now, EntryKind.SILENCE, body)
        return found

    def _amendments(self) -> list[Finding]:
        """Better words for faults that last."""
        found = []
        while self._amended:
            first, better = self._amended.popleft()
            if self._faults.get(first.device_id) is first:
                found.append(better)
        return found

    def _state_of(self, device_id: str) -> bytes | None:
        device = self._diagnosis.device(device_id)
        return None if device is None else json.dumps(device.snapshot(), separators=(",", ":")).encode()

    def _commit(self, findings: Sequence[Finding], modes: Sequence[ModeChange], step: Step | None) -> bool:
        """Write until the disk takes it; False when a stop came first."""
        failures = 0
        while True:
            try:
                self._desk.on_findings(findings, modes, step)
            except StoreError as error:
                if failures == 0:
                    _LOG.error(
                        "findings_not_stored", why=str(error), action="messages wait until the disk takes it"
                    )
                failures += 1
                self._trouble = str(error)
                self._busy_since = self._busy_since or self._clock.elapsed()
                if self._stopping.wait(_AGAIN_S):
                    return False
            else:
                if failures:
                    _LOG.info("findings_stored_again", after_failures=failures)
                return True

    def _ask_why(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            if finding.kind is not FindingKind.MACHINE_FAULT:
                continue
            if not finding.present:
                self._faults.pop(finding.device_id, None)
            elif finding.reading and finding.device_id not in self._faults and self._explainer is not None:
                self._faults[finding.device_id] = finding
                self._explainer.explain(finding, lambda *both: self._amended.append(both))
