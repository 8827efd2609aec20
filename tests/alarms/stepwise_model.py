"""The same life cycle, second by second and by a table of states: slow, and written without the other."""

from dataclasses import dataclass, field

# ISA-18.2's diagram for what nobody hides: (state, event) -> state, for an alarm that latches and one that does not.
PLAIN = {
    ("A", "raise"): "B",
    ("B", "ack"): "C",
    ("B", "clear"): "D",
    ("B", "close"): "C",
    ("C", "clear"): "A",
    ("C", "close"): "C",
    ("D", "raise"): "B",
    ("D", "ack"): "A",
    ("D", "close"): "A",
}
LATCHING = {
    **PLAIN,
    ("B", "clear"): "E",
    ("C", "clear"): "F",
    ("E", "raise"): "B",
    ("E", "ack"): "F",
    ("E", "close"): "A",
    ("F", "raise"): "B",
    ("F", "reset"): "A",
    ("F", "close"): "A",
}


@dataclass
class ModelAlarm:
    on: int
    off: int
    latching: bool
    deceivers: tuple[str, ...] = ()
    mind_stop: bool = False
    condition: bool = False
    changed: int = -(10**9)
    active: bool = False
    letter: str = "A"
    """The state below whatever hides it."""
    shown: bool = False
    closed: bool = False
    shelf: int | None = None
    out: bool = False
    raised: int = 0

    def event(self, name: str) -> None:
        table = LATCHING if self.latching and not self.closed else PLAIN
        self.letter = table[self.letter, name]


@dataclass
class ModelDevice:
    alarms: dict[str, ModelAlarm]
    now: int = 0
    stopped: bool = False
    windows: list[tuple[int, int]] = field(default_factory=list)

    def tick_to(self, at: int) -> None:
        while self.now < at:
            self.now += 1
            self.due()

    def due(self) -> None:
        for alarm in self.alarms.values():
            if alarm.shelf is not None and alarm.shelf <= self.now:
                alarm.shelf = None
            self.show()
            if alarm.condition and not alarm.active and self.now - alarm.changed >= alarm.on:
                alarm.active = True
                if alarm.letter == "A":
                    alarm.raised += 1
                    alarm.shown = alarm.closed = False
                alarm.event("raise")
            elif alarm.active and not alarm.condition and self.now - alarm.changed >= alarm.off:
                alarm.active = False
                if alarm.shown:
                    alarm.event("clear")
                else:
                    alarm.letter = "A"
        self.show()

    def show(self) -> None:
        for alarm in self.alarms.values():
            if self.display(alarm) in "BC":
                alarm.shown = True

    def suppressed(self, alarm: ModelAlarm) -> bool:
        if any(start <= self.now < end for start, end in self.windows):
            return True
        if alarm.shown and alarm.letter != "A":
            return False
        deceived = any(self.alarms[name].condition or self.alarms[name].active for name in alarm.deceivers)
        return deceived or (self.stopped and alarm.mind_stop)

    def display(self, alarm: ModelAlarm) -> str:
        if alarm.out:
            return "I"
        if alarm.letter != "A" and self.suppressed(alarm):
            return "H"
        return "G" if alarm.shelf is not None else alarm.letter
