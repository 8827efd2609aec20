"""The diagnosis of one device: its verdicts, refusals and silences in, findings out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contract.rejection import Rejection
from monitor.diagnosis.evidence import Health
from monitor.diagnosis.health import machine_health
from monitor.diagnosis.history import History
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.measured_order import MeasuredOrder
from monitor.diagnosis.mode import Mode, ModeWatch
from monitor.diagnosis.plant import EvidenceKind
from monitor.diagnosis.replay_window import SeenReadings
from monitor.diagnosis.sensors import Sensors
from monitor.diagnosis.standing import NOTHING, Standing
from monitor.diagnosis.time_left import TimeLeft, about_words
from monitor.diagnosis.wear import Wear
from monitor.findings import Finding, FindingKind

_FORMAT = 1
_SET_BACK_READINGS = 8
_SET_BACK_S = 30.0
_LOOK_AT_LINK = "its power, its network and its user at the broker"


@dataclass(frozen=True, slots=True)
class Status:
    """What a page may show of a device."""

    health: Health
    mode: Mode | None
    """None where the plant names no signal that tells it, or nothing was read yet."""
    standing: frozenset[FindingKind]
    in_maintenance: bool


class DeviceDiagnosis:
    """One device. Times are seconds since 1970 UTC: ``at`` by the sensor's clock, ``now`` by ours.

    Every call returns what changed, mostly nothing. The same calls in the same order give the same findings, so that a
    snapshot and the calls after it restore the state to the last reading.
    """

    __slots__ = (
        "_advanced",
        "_behind",
        "_health",
        "_held",
        "_knowledge",
        "_last",
        "_maintenance",
        "_mode",
        "_newest",
        "_order",
        "_seen",
        "_sensors",
        "_standing",
        "_wear",
        "device_id",
        "history",
    )

    def __init__(self, device_id: str, knowledge: Knowledge) -> None:
        plant = knowledge.plant
        self.device_id = device_id
        self.history = History(len(knowledge.signals), plant.trend.readings_per_bucket)
        """What the signals did; to be read."""
        self._knowledge = knowledge
        self._maintenance = plant.maintenance_of(device_id)
        self._standing = Standing(device_id)
        self._seen = SeenReadings()
        self._sensors = Sensors(knowledge, self._standing)
        self._health = machine_health(knowledge, self._standing, self._maintenance)
        gathers = plant.health.evidence is EvidenceKind.GATHERING
        self._order = MeasuredOrder() if gathers else None
        """Gathering asks for readings in order; to the sequential test a late one is as good as any."""
        self._wear = Wear(knowledge, self._standing)
        self._mode = None if plant.mode is None else ModeWatch(plant.mode)
        self._newest = float("-inf")
        self._advanced = 0.0
        self._behind = 0
        self._last: tuple[float, ...] = ()
        self._held: tuple[float, float, tuple[float, ...]] | None = None
        """Probability, time and values of a reading that may be a spike: the next one tells."""

    @property
    def health(self) -> Health:
        """What the evidence says of the machine."""
        return self._health.health

    @property
    def is_stopped(self) -> bool:
        """Whether the machine stands still."""
        return self._mode is not None and self._mode.mode is Mode.STOPPED

    def status(self, now: float) -> Status:
        """Health, mode and what stands."""
        mode = None if self._mode is None else self._mode.mode
        standing = frozenset(self._standing.kinds)
        return Status(self._health.health, mode, standing, self.in_maintenance(now))

    def time_left(self) -> TimeLeft | None:
        """The trend towards the limits of wear, as of the newest reading; None is "no trend"."""
        return self._knowledge.wear.estimate(self.history, self._newest)

    def in_maintenance(self, at: float) -> bool:
        """Whether maintenance is planned for that moment."""
        return any(window.covers(at) for window in self._maintenance)

    def on_verdict(
        self,
        at: float,
        now: float,
        probability: float,
        values: tuple[float, ...] | None,
        boot: str | None = None,
        seq: int | None = None,
    ) -> Sequence[Finding]:
        """A verdict arrived, late or twice or in order.

        Args:
            at: When the sensor measured.
            now: When it arrived.
            probability: Calibrated, of a fault.
            values: The plant's signals [k], in its order; None when the reading lacks one.
            boot: bootID of the reading.
            seq: seq of the reading.
        """
        if not self._seen.is_new(boot, seq, at, values or (probability,)):
            return NOTHING
        if self._standing.kinds:
            self._standing.end(FindingKind.SILENCE, now, "Readings arrive again.")
        in_order = self._is_newest(at, now)
        self._sensors.accept(at, now)
        if self._order is None:
            self._weigh(probability, at, now, values, in_order=in_order)
        else:
            for told in self._order.take(boot, seq, at, now, probability, values):
                self._weigh(told.probability, told.at, now, told.values, in_order=True)
        return self._standing.changes()

    def on_rejection(self, rejection: Rejection, now: float) -> Sequence[Finding]:
        """A reading of the device was refused."""
        self._standing.end(FindingKind.SILENCE, now, "Readings arrive again, and are refused.")
        if not self.in_maintenance(now):
            self._sensors.refuse(rejection, now)
        return self._standing.changes()

    def on_silence(self, now: float, silent_s: float) -> Sequence[Finding]:
        """Nothing was heard of the device for so long.

        A machine that was switched off may take its sensors with it, and maintenance does so as a rule.
        """
        if self._order is not None:
            for told in self._order.release():
                self._weigh(told.probability, told.at, now, told.values, in_order=True)
        if self._is_expected_to_speak(now):
            why = f"Nothing was heard for {about_words(silent_s)}."
            self._standing.begin(FindingKind.SILENCE, now, why, _LOOK_AT_LINK)
        return self._standing.changes()

    def would_be_silent(self, now: float) -> bool:
        """Whether a silence would be news of it, and a finding."""
        return self._is_expected_to_speak(now) and FindingKind.SILENCE not in self._standing.kinds

    def _is_expected_to_speak(self, now: float) -> bool:
        return not self.is_stopped and not self.in_maintenance(now)

    def _is_newest(self, at: float, now: float) -> bool:
        """Whether a reading is the newest so far; bears a clock that was set back, as the fleet does.

        One late reading, or a backlog beside newer ones, is no such case: it takes several, and nothing newer for a
        while.
        """
        if at >= self._newest:
            self._newest, self._advanced, self._behind = at, now, 0
            return True
        self._behind += 1
        if self._behind <= _SET_BACK_READINGS or now - self._advanced <= _SET_BACK_S:
            return False
        self._newest, self._advanced, self._behind = at, now, 0
        self._health.forget_times()
        if self._order is not None:
            self._order.forget_times()
        self.history.restart_at(at)
        return True

    def _weigh(
        self, probability: float, at: float, now: float, values: tuple[float, ...] | None, *, in_order: bool
    ) -> None:
        if self._maintenance and self.in_maintenance(at):
            self._rest()
        elif values is None or not in_order:
            self._weigh_alone(probability, at, now, values, in_order=in_order)
        elif self._mode is None:
            self._weigh_running(probability, at, now, values)
        elif not self._mode.take(values[self._knowledge.mode_index], at):
            self._held = None
        elif self._mode.mode is Mode.STOPPED:
            self._weigh_stopped(probability, at, now, values)
        else:
            self._weigh_running(probability, at, now, values)

    def _weigh_alone(
        self, probability: float, at: float, now: float, values: tuple[float, ...] | None, *, in_order: bool
    ) -> None:
        """A reading out of its row tells nothing of modes and sensors, but is evidence all the same."""
        if not self._standing.values_are_doubtful and not self.is_stopped:
            self._health.count(probability, at, now, values, in_order=in_order)

    def _weigh_running(self, probability: float, at: float, now: float, values: tuple[float, ...]) -> None:
        was_spike = self._sensors.look_at(values, now)
        held, self._held = self._held, None
        # One signal may well show the same number twice; several do so when a measurement is sent again.
        repeated, self._last = len(values) > 1 and values == self._last, values
        if self._standing.values_are_doubtful:
            # What a broken sensor says of its machine is no evidence, neither way.
            self._health.restart()
            return
        if self.history.take(at, values):
            self._wear.look_at(self.history, at, now)
        if held is not None and not was_spike:
            self._health.count(held[0], held[1], now, held[2], in_order=True)
        if repeated:
            return
        # Only a machine that is known to be well gets the benefit of the doubt.
        if self._sensors.newest_may_be_spike and self._health.health is Health.HEALTHY:
            self._held = probability, at, values
        else:
            self._health.count(probability, at, now, values, in_order=True)

    def _weigh_stopped(self, probability: float, at: float, now: float, values: tuple[float, ...]) -> None:
        """A machine that stands still was switched off, unless it is hot or loud: then it is stuck."""
        self._last, self._held = (), None
        self._sensors.pause()
        is_hot = any(values[index] > high for index, high in self._knowledge.hot_above)
        if is_hot and not self._standing.values_are_doubtful:
            self._health.count(probability, at, now, values, in_order=True)
        else:
            self._health.restart()

    def _rest(self) -> None:
        """In maintenance nothing that is measured counts."""
        self._last, self._held = (), None
        self._sensors.pause()
        self._health.restart()

    def snapshot(self) -> dict[str, Any]:
        """The whole state, as JSON can hold it."""
        return {
            "format": _FORMAT,
            "signals": list(self._knowledge.names),
            "standing": sorted(self._standing.kinds),
            "seen": self._seen.snapshot(),
            "order": None if self._order is None else self._order.snapshot(),
            "sensors": self._sensors.snapshot(),
            "health": self._health.snapshot(),
            "wear": self._wear.snapshot(),
            "mode": None if self._mode is None else self._mode.snapshot(),
            "history": self.history.snapshot(),
            "newest": None if self._newest == float("-inf") else self._newest,
            "advanced": self._advanced,
            "behind": self._behind,
            "last": list(self._last),
            "held": None if self._held is None else [self._held[0], self._held[1], list(self._held[2])],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot's state.

        Where the plant's file names other signals than it did, what was learned of the old ones is left behind; health
        and the other findings stay.

        Raises:
            ValueError: It is of another format.
        """
        if state["format"] != _FORMAT:
            raise ValueError(
                f"snapshot of device {self.device_id} is of format {state['format']}, expected {_FORMAT}; "
                "it was written by another version of the monitor"
            )
        same = state["signals"] == list(self._knowledge.names)
        self._standing.kinds = {FindingKind(kind) for kind in state["standing"]}
        self._seen.restore(state["seen"])
        self._sensors.restore(state["sensors"], same_signals=same)
        self._health.restore(state["health"], same_signals=same)
        self._newest = float("-inf") if state["newest"] is None else float(state["newest"])
        self._advanced, self._behind = float(state["advanced"]), int(state["behind"])
        if self._mode is not None and state["mode"] is not None:
            self._mode.restore(state["mode"])
        if not same:
            return
        if self._order is not None and state.get("order") is not None:
            self._order.restore(state["order"])
        self._wear.restore(state["wear"])
        self.history.restore(state["history"])
        self._last = tuple(state["last"])
        held = state["held"]
        self._held = None if held is None else (float(held[0]), float(held[1]), tuple(held[2]))
