"""Replay: recorded readings through the monitor's own core, and the alarms that it would have raised."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from contract.rejection import Reason, Rejection
from contract.timestamp import format_timestamp
from evaluation.announced import AnnouncedAlarms, RaisedAlarm
from evaluation.recorded import Recorded
from monitor.alarms.policy import AlarmPolicy
from monitor.diagnosis.core import Diagnosis
from monitor.diagnosis.knowledge import Knowledge

_PROGRESS_ROWS = 20_000


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


def replay(
    recorded: Recorded,
    probabilities: npt.NDArray[np.float64],
    knowledge: Knowledge,
    *,
    plausible: Sequence[tuple[float, float] | None],
    policy: AlarmPolicy,
    progress: Callable[[int], object] = lambda _: None,
) -> list[RaisedAlarm]:
    """Tell the core every reading at the moment at which it was measured.

    Args:
        recorded: The readings.
        probabilities: [n], of each of them.
        knowledge: Of the machine; its signals are those of the recording, in the same order.
        plausible: [k] what each signal can be; a reading outside, or with a gap, is refused as the predictor would.
        policy: The alarms' rules: their delays, and what suppresses what.
        progress: Told now and then how many readings more are done.
    """
    clock = ReplayClock()
    diagnosis = Diagnosis(clock, knowledge, max_devices=len(recorded.devices))
    alarms = AnnouncedAlarms(policy)
    told = [0] * len(recorded.devices)
    stopped: set[str] = set()
    good = usable(recorded.signals, plausible).tolist()
    done = 0
    for number, (index, at, probability, values) in enumerate(_rows(recorded, probabilities)):
        while (due := min(diagnosis.next_deadline, alarms.next_deadline)) < at:
            clock.at = due
            alarms.take(diagnosis.tick(), due)
        clock.at = at
        device = recorded.devices[index]
        if good[number]:
            findings = diagnosis.take(device, at, probability, values, "recorded", told[index])
            told[index] += 1
        else:
            findings = diagnosis.take_rejection(_refusal(device, at, values, knowledge, plausible))
        if knowledge.plant.mode is not None:
            watched = diagnosis.device(device)
            stands_still = watched is not None and watched.is_stopped
            if stands_still is not (device in stopped):
                (stopped.add if stands_still else stopped.discard)(device)
                alarms.set_stopped(device, stands_still, at)
        if findings:
            alarms.take(findings, at)
        if number - done >= _PROGRESS_ROWS:
            progress(number - done)
            done = number
    alarms.advance(clock.at)
    progress(len(recorded) - done)
    return alarms.found


def _rows(
    recorded: Recorded, probabilities: npt.NDArray[np.float64]
) -> Iterator[tuple[int, float, float, tuple[float, ...]]]:
    """Plain Python values, a slice at a time: a million rows of them at once would take 300 MB."""
    for begin in range(0, len(recorded), _PROGRESS_ROWS):
        part = slice(begin, begin + _PROGRESS_ROWS)
        yield from zip(
            recorded.device[part].tolist(),
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
