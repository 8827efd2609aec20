"""Reasons: why a finding was made, in numbers and in one sentence, and what to look at, from the plant's table."""

from collections.abc import Sequence

from monitor.diagnosis.gathering import Strayed
from monitor.diagnosis.plant import Plant, SignalPlan
from monitor.diagnosis.shapley import NotScored, Score, shapley_values
from monitor.diagnosis.time_left import TimeLeft
from monitor.findings import Contribution

_NAMED_SHARE = 0.15
_MOST_NAMED = 3
_MOST_CONTRIBUTIONS = 8
_LOOK_ANYWAY = "the machine"
_TOGETHER_UNUSUAL = "Each signal is near its level, but the model finds them unusual together"


class Reasons:
    """Explains readings of one kind of machine.

    Args:
        plant: Usual ranges, words and rules.
        score: The model; None explains by the distance from the usual ranges alone, as does one that cannot be asked.
    """

    def __init__(self, plant: Plant, score: Score | None) -> None:
        self._names = tuple(plant.signals)
        self._plans = tuple(plant.signals.values())
        # The rule with most conditions comes first; among equals the plant's order holds.
        self._rules = sorted(plant.inspect, key=lambda rule: -len(rule.when))
        self._score = score
        self._ranges = [plan.usual for plan in self._plans]

    def of_fault(self, values: Sequence[float]) -> tuple[str, str, tuple[Contribution, ...]]:
        """Why a reading [k] is a fault: one sentence, what to look at, and the contributions, largest first."""
        if not self._plans:
            return "The verdicts say that the machine is faulty.", _LOOK_ANYWAY, ()
        parts = sorted(
            (self.contribution(i, values[i], share) for i, share in enumerate(self._shares(values))),
            key=lambda part: -part.share,
        )
        named = [part for part in parts if part.share >= _NAMED_SHARE and _side(part)] or parts[:1]
        look_at = self._look_at(named)
        told = " and ".join(self._told(part) for part in named[:_MOST_NAMED])
        return f"{_capital(told)}: look at {look_at}.", look_at, tuple(parts[:_MOST_CONTRIBUTIONS])

    def of_strayed(
        self, strayed: Sequence[Strayed], smoothed: Sequence[float]
    ) -> tuple[str, str, tuple[Contribution, ...]]:
        """Why gathered evidence says fault, in the same form: which signals have left their own level of late.

        What is usual is here what is usual for this machine now, its level and how far it may stray from it. Where the
        model alone has strayed, the smoothed signals [k] are explained as a reading is.
        """
        named = [(one.signal, one) for one in strayed if one.signal is not None]
        whole = sum(one.by for _, one in named)
        parts = [
            Contribution(
                signal=self._names[index],
                value=one.value,
                unit=self._plans[index].unit,
                usual_low=one.level - one.limit,
                usual_high=one.level + one.limit,
                share=one.by / whole,
            )
            for index, one in named
        ]
        if not parts and any(map(excess, smoothed, self._plans)):
            return self.of_fault(smoothed)
        look_at = self._look_at(parts)
        if not parts:
            return f"{_TOGETHER_UNUSUAL}: look at {look_at}.", look_at, ()
        told = " and ".join(self._told(part) for part in parts[:_MOST_NAMED])
        return f"{_capital(told)}: look at {look_at}.", look_at, tuple(parts[:_MOST_CONTRIBUTIONS])

    def of_wear(self, estimate: TimeLeft, now: float) -> tuple[str, str, tuple[Contribution, ...]]:
        """Why wear is foreseen, in the same form."""
        plan = self._plans[estimate.signal]
        part = self.contribution(estimate.signal, estimate.level, 1.0)
        verb = "rising" if estimate.limit > plan.middle else "falling"
        # Wear shows before the usual range is left; what to look at is told by the side it goes to.
        side = "high" if estimate.limit > plan.middle else "low"
        look_at = self._look_at([part], {f"{self._names[estimate.signal]} {side}"})
        why = (
            f"{_capital(self._told(part))} is {verb} towards {with_unit(estimate.limit, plan.unit)}, "
            f"where it is worn out, in {estimate.words(now)}: look at {look_at}."
        )
        return why, look_at, (part,)

    def contribution(self, index: int, value: float, share: float) -> Contribution:
        """One signal's part."""
        plan = self._plans[index]
        return Contribution(
            signal=self._names[index],
            value=value,
            unit=plan.unit,
            usual_low=plan.usual[0],
            usual_high=plan.usual[1],
            share=share,
        )

    def values_of(self, parts: Sequence[Contribution]) -> str:
        """The signals' values as words: "sound 48.3 dB and rotation 612 r/min"."""
        return " and ".join(f"{self._label(part)} {with_unit(part.value, part.unit)}" for part in parts)

    def _label(self, part: Contribution) -> str:
        return self._plans[self._names.index(part.signal)].label or part.signal

    def _shares(self, values: Sequence[float]) -> list[float]:
        """Parts of the decision [k], 0 to 1, together 1."""
        parts: list[float] = []
        if self._score is not None:
            try:
                parts = [max(0.0, part) for part in shapley_values(self._score, values, self._ranges)]
            except NotScored:
                parts = []
        if not sum(parts):
            parts = [excess(value, plan) for value, plan in zip(values, self._plans, strict=True)]
        whole = sum(parts)
        return [part / whole for part in parts] if whole else [1 / len(parts)] * len(parts)

    def _told(self, part: Contribution) -> str:
        usual = f"{short(part.usual_low)} to {short(part.usual_high)}"
        return f"{self._label(part)} {with_unit(part.value, part.unit)} (usual {usual})"

    def _look_at(self, named: Sequence[Contribution], also: set[str] | None = None) -> str:
        shown = {f"{part.signal} {_side(part)}" for part in named} | (also or set())
        return next((rule.look_at for rule in self._rules if shown.issuperset(rule.when)), _LOOK_ANYWAY)


def excess(value: float, plan: SignalPlan) -> float:
    """How many widths of its usual range a value lies outside of it."""
    low, high = plan.usual
    return max(0.0, low - value, value - high) / plan.width


def short(value: float) -> str:
    """A number as people say it: four digits."""
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"


def with_unit(value: float, unit: str) -> str:
    """A number with its unit, where there is one."""
    return f"{short(value)} {unit}".rstrip()


def _side(part: Contribution) -> str:
    if part.value > part.usual_high:
        return "high"
    return "low" if part.value < part.usual_low else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
