"""How a fleet is described in words: ``--fans 6 --fault 5,6 --condition 4=wearing:600``."""

from collections.abc import Sequence
from dataclasses import dataclass

from contract.command import Condition, FanCommand
from simulator.fan import Fan


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """Which fans there are, and how each begins.

    Args:
        count: Number of fans; they are named prefix1, prefix2 and so on.
        prefix: Begins each name.
        faulty: Names, or numbers, of the fans that are broken from the start.
        conditions: Words like ``5=wearing:600``: a name or number, a condition, and for wearing the seconds.
    """

    count: int
    prefix: str = ""
    faulty: Sequence[str] = ()
    conditions: Sequence[str] = ()

    def build(self, *, seed: int, now_s: float) -> list[Fan]:
        """The fans.

        Raises:
            ValueError: A fan is named that is not there, or a word cannot be read.
        """
        begins = {
            f"{self.prefix}{number}": FanCommand(condition=Condition.HEALTHY) for number in self._numbers
        }
        for name in self.faulty:
            begins[self._known(name, begins)] = FanCommand(condition=Condition.FAULTY)
        for word in self.conditions:
            name, command = _read_condition(word)
            begins[self._known(name, begins)] = command
        return [
            Fan(
                device_id,
                seed=seed,
                condition=command.condition,
                duration_s=command.duration_s,
                now_s=now_s,
            )
            for device_id, command in begins.items()
        ]

    @property
    def _numbers(self) -> range:
        return range(1, self.count + 1)

    def _known(self, name: str, begins: dict[str, FanCommand]) -> str:
        for candidate in (name, f"{self.prefix}{name}"):
            if candidate in begins:
                return candidate
        raise ValueError(
            f"there is no fan {name!r}: the fans are {self.prefix}1 to {self.prefix}{self.count}"
        )


def _read_condition(word: str) -> tuple[str, FanCommand]:
    name, equals, rest = word.partition("=")
    kind, _, seconds = rest.partition(":")
    conditions = ", ".join(condition.value for condition in Condition)
    if not equals or kind not in list(Condition):
        raise ValueError(f"{word!r}: expected FAN=CONDITION or FAN=wearing:SECONDS, with one of {conditions}")
    if seconds and kind != Condition.WEARING:
        raise ValueError(f"{word!r}: only wearing takes a time")
    try:
        return name, FanCommand(condition=Condition(kind), duration_s=float(seconds) if seconds else None)
    except ValueError:
        raise ValueError(f"{word!r}: {seconds!r} is no number of seconds above 0") from None
