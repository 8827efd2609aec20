"""Replay: recorded readings through the monitor's own core, and the alarms that it would have raised."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from contract.rejection import Reason, Rejection
from contract.timestamp import format_timestamp
from evaluation.recorded import Recorded
from monitor.diagnosis.core import Diagnosis
from monitor.diagnosis.knowledge import Knowledge
from monitor.findings import Finding, FindingKind

_PROGRESS_ROWS = 20_000

LifeCycle = Callable[[Sequence[Finding], float], Sequence[Finding]]
"""Findings at a moment (seconds since 1970 UTC) into what is announced then: the alarms' on and off delay. Asked at
each finding and each tick, with an empty sequence when there is none."""


class ReplayClock:
    """Both hands stand where the recording is."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        """Seconds since 1970 UTC."""
        return self.at

    def elapsed(self) -> float:
        """The same: in a recording no clock is set."""
        return self.at


@dataclass(slots=True)
class RaisedAlarm:
    """One alarm; times in seconds since 1970 UTC, ``cleared`` is None while it stands at the end."""

    device: str
    kind: FindingKind
    raised: float
    cleared: float | None
    signals: tuple[str, ...]
    why: str
    inspect: str


@dataclass
class Alarms:
    """Findings that begin and end become alarms."""

    found: list[RaisedAlarm] = field(default_factory=list)
    _open: dict[tuple[str, FindingKind], RaisedAlarm] = field(default_factory=dict)

    def take(self, findings: Sequence[Finding]) -> None:
        """Note what changed."""
        for finding in findings:
            key = (finding.device_id, finding.kind)
            moment = finding.at.timestamp()
            if finding.present:
                alarm = RaisedAlarm(
                    finding.device_id,
                    finding.kind,
                    moment,
                    None,
                    tuple(part.signal for part in finding.contributions if part.share > 0.05),
                    finding.why,
                    finding.inspect,
                )
                self._open[key] = alarm
                self.found.append(alarm)
            elif key in self._open:
                self._open.pop(key).cleared = moment


def replay(
    recorded: Recorded,
    probabilities: npt.NDArray[np.float64],
    knowledge: Knowledge,
    *,
    plausible: Sequence[tuple[float, float] | None],
    life_cycle: LifeCycle | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> list[RaisedAlarm]:
    """Tell the core every reading at the moment at which it was measured.

    Args:
        recorded: The readings.
        probabilities: [n], of each of them.
        knowledge: Of the machine; its signals are those of the recording, in the same order.
        plausible: [k] what each signal can be; a reading outside, or with a gap, is refused as the predictor would.
        life_cycle: On and off delay; None announces every finding at once.
        progress: Told now and then how many readings more are done.
    """
    clock = ReplayClock()
    diagnosis = Diagnosis(clock, knowledge, max_devices=len(recorded.devices))
    alarms = Alarms()

    def announce(findings: Sequence[Finding]) -> None:
        alarms.take(findings if life_cycle is None else life_cycle(findings, clock.at))

    good = usable(recorded.signals, plausible).tolist()
    done = 0
    for number, (device, at, probability, values) in enumerate(_rows(recorded, probabilities)):
        while diagnosis.next_deadline < at:
            clock.at = diagnosis.next_deadline
            announce(diagnosis.tick())
        clock.at = at
        if good[number]:
            findings = diagnosis.take(device, at, probability, values, "recorded", number)
        else:
            findings = diagnosis.take_rejection(_refusal(device, at, values, knowledge, plausible))
        if findings or life_cycle is not None:
            announce(findings)
        if number - done >= _PROGRESS_ROWS:
            progress(number - done)
            done = number
    progress(len(recorded) - done)
    return alarms.found


def _rows(
    recorded: Recorded, probabilities: npt.NDArray[np.float64]
) -> Iterator[tuple[str, float, float, tuple[float, ...]]]:
    """Plain Python values, a slice at a time: a million rows of them at once would take 300 MB."""
    for begin in range(0, len(recorded), _PROGRESS_ROWS):
        part = slice(begin, begin + _PROGRESS_ROWS)
        yield from zip(
            (recorded.devices[index] for index in recorded.device[part].tolist()),
            recorded.times[part].tolist(),
            probabilities[part].tolist(),
            map(tuple, recorded.signals[part].tolist()),
            strict=True,
        )


def usable(
    rows: npt.NDArray[np.float64], plausible: Sequence[tuple[float, float] | None]
) -> npt.NDArray[np.bool_]:
    """Which rows [n, k] the predictor would accept: complete, finite and plausible."""
    accepted = np.isfinite(rows).all(axis=1)
    for column, bounds in zip(rows.T, plausible, strict=True):
        if bounds is not None:
            accepted &= (column >= bounds[0]) & (column <= bounds[1])
    return np.asarray(accepted)


def _refusal(
    device: str,
    at: float,
    values: Sequence[float],
    knowledge: Knowledge,
    plausible: Sequence[tuple[float, float] | None],
) -> Rejection:
    """What the predictor says of such a reading."""
    gaps = [name for name, value in zip(knowledge.names, values, strict=True) if not np.isfinite(value)]
    details = [f"{name}: no number" for name in gaps] + [
        f"{name}: got {value:g}, expected {bounds[0]:g} to {bounds[1]:g}"
        for name, value, bounds in zip(knowledge.names, values, plausible, strict=True)
        if bounds is not None and np.isfinite(value) and not bounds[0] <= value <= bounds[1]
    ]
    return Rejection.of(
        b"",
        topic="recorded",
        reason=Reason.SIGNAL_MISSING if gaps else Reason.OUT_OF_RANGE,
        detail="; ".join(details),
        rejected_at=format_timestamp(datetime.fromtimestamp(at, UTC)),
        device_id=device,
    )
