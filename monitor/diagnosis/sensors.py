"""The sensors of one device as findings: values that stand still, jump, or are refused, and a clock that is off."""

from collections.abc import Sequence
from typing import Any

from contract.rejection import Reason, Rejection
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.quality import FlatLines, Spikes
from monitor.diagnosis.sensor_clock import SensorClock
from monitor.diagnosis.standing import Standing
from monitor.diagnosis.time_left import about_words
from monitor.findings import Contribution, FindingKind

_REFUSED_VALUES = frozenset({Reason.OUT_OF_RANGE, Reason.NOT_FINITE, Reason.SIGNAL_MISSING})
_REFUSED_TIMES = frozenset({Reason.TIME_AHEAD, Reason.TIME_TOO_OLD})
_LOOK_AT_SENSOR = "the sensor and its wiring"
_LOOK_AT_CLOCK = "the device's clock"
_DETAIL = 200


class Sensors:
    """Turns what is wrong with a device's sensors into findings, present or not."""

    __slots__ = ("_clock", "_flat", "_good", "_knowledge", "_refusals", "_spikes", "_standing")

    def __init__(self, knowledge: Knowledge, standing: Standing) -> None:
        quality = knowledge.plant.quality
        self._knowledge = knowledge
        self._standing = standing
        self._clock = SensorClock(quality)
        self._flat = FlatLines(knowledge.quality)
        self._spikes = Spikes(knowledge.quality)
        self._refusals = 0
        self._good = 0

    @property
    def newest_may_be_spike(self) -> bool:
        """Whether only the next reading tells what the newest was."""
        return self._spikes.holds

    def accept(self, at: float, now: float) -> None:
        """A reading was accepted, measured at ``at`` by the sensor's clock."""
        if self._clock.take(at, now):
            self._tell_clock(now)
        if self._refusals:
            self._good += 1
            if self._good >= self._knowledge.plant.quality.good_after_refusals:
                self._refusals = self._good = 0
                self._standing.end(FindingKind.OUT_OF_RANGE, now, "Its readings are accepted again.")

    def refuse(self, rejection: Rejection, now: float) -> None:
        """A reading was refused."""
        detail = rejection.detail[:_DETAIL]
        if rejection.reason in _REFUSED_TIMES:
            if self._clock.refused():
                self._standing.begin(FindingKind.CLOCK_SKEW, now, detail, _LOOK_AT_CLOCK)
        elif rejection.reason in _REFUSED_VALUES:
            self._good = 0
            self._refusals += 1
            if self._refusals >= self._knowledge.plant.quality.refusals:
                why = f"Its readings are refused: {detail}"
                self._standing.begin(FindingKind.OUT_OF_RANGE, now, why, _LOOK_AT_SENSOR)

    def look_at(self, values: tuple[float, ...], now: float) -> bool:
        """Judge the next reading's values [k], of a machine that runs.

        Returns:
            Whether the reading before this one turns out to have been a spike.
        """
        if self._flat.take(values):
            self._tell_flat(values, now)
        was_spike, changed = self._spikes.take(values)
        if changed:
            self._tell_spikes(now)
        return was_spike

    def pause(self) -> None:
        """The machine stands still, or is being worked on: its values may stand still too."""
        self._flat.pause()
        self._spikes.pause()

    def _tell_flat(self, values: Sequence[float], now: float) -> None:
        flat = sorted(self._flat.flat)
        if not flat:
            self._standing.end(FindingKind.FLAT_LINE, now, "Its values move again.")
            return
        parts = self._parts({index: values[index] for index in flat})
        told = self._knowledge.reasons.values_of(parts)
        why = f"The same value again and again: {told}."
        self._standing.begin(FindingKind.FLAT_LINE, now, why, _LOOK_AT_SENSOR, parts)

    def _tell_spikes(self, now: float) -> None:
        spiking = self._spikes.spiking
        if not spiking:
            self._standing.end(FindingKind.SPIKES, now, "Its values no longer jump.")
            return
        parts = self._parts(spiking)
        told = self._knowledge.reasons.values_of(parts)
        why = f"Single values jump far out of the usual range and back: {told}."
        self._standing.begin(FindingKind.SPIKES, now, why, _LOOK_AT_SENSOR, parts)

    def _parts(self, values: dict[int, float]) -> tuple[Contribution, ...]:
        reasons = self._knowledge.reasons
        return tuple(reasons.contribution(i, value, 1 / len(values)) for i, value in values.items())

    def _tell_clock(self, now: float) -> None:
        if not self._clock.skewed:
            self._standing.end(FindingKind.CLOCK_SKEW, now, "Its clock is right again.")
            return
        off = self._clock.off_s
        why = f"Its clock is {about_words(abs(off))} {'ahead' if off > 0 else 'behind'}."
        self._standing.begin(FindingKind.CLOCK_SKEW, now, why, _LOOK_AT_CLOCK)

    def snapshot(self) -> dict[str, Any]:
        """The state, as JSON can hold it."""
        return {
            "clock": self._clock.snapshot(),
            "flat": self._flat.snapshot(),
            "spikes": self._spikes.snapshot(),
            "refusals": self._refusals,
            "good": self._good,
        }

    def restore(self, state: dict[str, Any], *, same_signals: bool) -> None:
        """Take up a snapshot's state; that of the single signals only while they are the same."""
        self._clock.restore(state["clock"])
        self._refusals, self._good = int(state["refusals"]), int(state["good"])
        if same_signals:
            self._flat.restore(state["flat"])
            self._spikes.restore(state["spikes"])
