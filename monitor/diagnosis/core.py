"""The diagnosis of a fleet: every device's, and who has fallen silent.

No cost of a reading or a tick grows with the number of devices: silence is awaited in a heap of deadlines, one for
each device, which is moved on only when it comes due.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, tzinfo
from heapq import heappop, heappush, heapreplace
from typing import Any

from contract.rejection import Rejection
from contract.timestamp import parse_timestamp
from contract.verdict import Verdict
from monitor.clock import Clock
from monitor.diagnosis.device import DeviceDiagnosis
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.standing import NOTHING
from monitor.findings import Finding


class _Watched:
    """A device and when it was last heard, by the clock that is never set back."""

    __slots__ = ("contact", "diagnosis")

    def __init__(self, diagnosis: DeviceDiagnosis, contact: float) -> None:
        self.diagnosis = diagnosis
        self.contact = contact


class Diagnosis:
    """Verdicts, refusals and the passing of time in, findings out; for one thread.

    Args:
        clock: What the time is.
        knowledge: What is known of the plant's machines.
        naive_time_zone: Zone of a first-generation time, which names none.
        max_devices: Most devices kept; beyond it the longest unheard is forgotten, and counted in ``forgotten``.
    """

    def __init__(
        self,
        clock: Clock,
        knowledge: Knowledge,
        *,
        naive_time_zone: tzinfo = UTC,
        max_devices: int = 20_000,
    ) -> None:
        self._clock = clock
        self._knowledge = knowledge
        self._zone = naive_time_zone
        self._max = max_devices
        self._silent_after = knowledge.plant.quality.silent_after_s
        self._devices: OrderedDict[str, _Watched] = OrderedDict()
        """Longest unheard first."""
        self._deadlines: list[tuple[float, str]] = []
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._devices)

    def __iter__(self) -> Iterator[DeviceDiagnosis]:
        return (watched.diagnosis for watched in self._devices.values())

    @property
    def next_deadline(self) -> float:
        """When a tick may find something, by the clock's elapsed seconds; infinite when never."""
        return self._deadlines[0][0] if self._deadlines else float("inf")

    def device(self, device_id: str) -> DeviceDiagnosis | None:
        """The diagnosis of one device, if it was ever heard."""
        watched = self._devices.get(device_id)
        return None if watched is None else watched.diagnosis

    def take_verdict(self, verdict: Verdict) -> Sequence[Finding]:
        """A verdict arrived. Returns what changed.

        Raises:
            ValueError: Its time is none (the contract's pattern lets 2026-13-01 through).
        """
        at = parse_timestamp(verdict.time_stamp, self._zone).timestamp()
        signals = verdict.signals
        try:
            values: tuple[float, ...] | None = tuple([signals[name] for name in self._knowledge.names])
        except KeyError:
            values = None
        return self.take(verdict.device_id, at, verdict.probability, values, verdict.boot_id, verdict.seq)

    def take(
        self,
        device_id: str,
        at: float,
        probability: float,
        values: tuple[float, ...] | None,
        boot: str | None = None,
        seq: int | None = None,
    ) -> Sequence[Finding]:
        """The same, out of its parts; see DeviceDiagnosis.on_verdict."""
        return self._heard(device_id).on_verdict(at, self._clock.now(), probability, values, boot, seq)

    def take_rejection(self, rejection: Rejection) -> Sequence[Finding]:
        """A reading was refused. Returns what changed; nothing where no device is named."""
        if rejection.device_id is None:
            return NOTHING
        return self._heard(rejection.device_id).on_rejection(rejection, self._clock.now())

    def tick(self) -> Sequence[Finding]:
        """Time has passed: who is silent? Cheap enough to be called each second."""
        found: list[Finding] = []
        elapsed, deadlines = self._clock.elapsed(), self._deadlines
        while deadlines and deadlines[0][0] <= elapsed:
            device_id = deadlines[0][1]
            watched = self._devices.get(device_id)
            if watched is None:  # forgotten
                heappop(deadlines)
                continue
            due = watched.contact + self._silent_after
            if due <= elapsed:
                found.extend(watched.diagnosis.on_silence(self._clock.now(), elapsed - watched.contact))
                due = elapsed + self._silent_after  # maintenance may end, a stop may not
            heapreplace(deadlines, (due, device_id))
        return found

    def unheard(self, excused: Collection[str] = ()) -> int:
        """How many devices a tick would find silent now and has not yet. Costs a walk over the devices.

        Args:
            excused: Devices of which nothing is expected now.
        """
        latest, now = self._clock.elapsed() - self._silent_after, self._clock.now()
        return sum(
            watched.contact <= latest and watched.diagnosis.would_be_silent(now) and device_id not in excused
            for device_id, watched in self._devices.items()
        )

    def count_silence_anew(self) -> None:
        """We were deaf, or are only starting: nobody has been silent so far. Costs a walk over the devices."""
        elapsed = self._clock.elapsed()
        for watched in self._devices.values():
            watched.contact = elapsed

    def snapshot(self, device_id: str) -> dict[str, Any]:
        """The state of one device, as JSON can hold it.

        Raises:
            KeyError: It was never heard.
        """
        return self._devices[device_id].diagnosis.snapshot()

    def restore(self, device_id: str, state: dict[str, Any]) -> None:
        """Take up a device's state, as after a restart; its silence counts from now.

        Raises:
            ValueError: The snapshot is of a later format.
        """
        diagnosis = DeviceDiagnosis(device_id, self._knowledge)
        diagnosis.restore(state)
        self._watch(device_id, diagnosis)

    def forget(self, device_id: str) -> None:
        """A device was taken away."""
        self._devices.pop(device_id, None)

    def _heard(self, device_id: str) -> DeviceDiagnosis:
        watched = self._devices.get(device_id)
        if watched is None:
            return self._watch(device_id, DeviceDiagnosis(device_id, self._knowledge))
        watched.contact = self._clock.elapsed()
        self._devices.move_to_end(device_id)
        return watched.diagnosis

    def _watch(self, device_id: str, diagnosis: DeviceDiagnosis) -> DeviceDiagnosis:
        if device_id not in self._devices:
            heappush(self._deadlines, (self._clock.elapsed() + self._silent_after, device_id))
        self._devices[device_id] = _Watched(diagnosis, self._clock.elapsed())
        if len(self._devices) > self._max:
            self._devices.popitem(last=False)
            self.forgotten += 1
        return diagnosis
