"""What a case is: a fault, what must be true afterwards, and the tools that every case has."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from benchmarks.chaos.alarms import Alarms
from benchmarks.chaos.dead_letters import DeadLetters
from benchmarks.chaos.flow import Flow
from benchmarks.chaos.ledger import Key
from benchmarks.chaos.stack import Stack
from testbed.mosquitto import Connection
from testbed.waiting import wait_until

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Needs:
    """What a case needs of its stack, beyond what ships."""

    broker_volume_mb: int | None = None
    """The broker's data on a volume of so many megabytes."""


AS_IT_SHIPS = Needs()


@dataclass(slots=True)
class Bench:
    """What a case works with while it runs."""

    stack: Stack
    flow: Flow
    dead_letters: DeadLetters
    alarms: Alarms
    random: random.Random
    scale: float
    """How much of the full size is done, 0 to 1; see scaled()."""
    figures: dict[str, float | str] = field(default_factory=dict)
    """What the case did and measured, for the report."""
    failures: list[str] = field(default_factory=list)
    """What should have been so and was not, in sentences."""
    excused: dict[str, set[Key]] = field(default_factory=dict)
    """Readings for which the README makes no promise, by the sentence that says so; they are counted when lost."""

    def excuse_last_turns(self) -> None:
        """The broker was killed: what it acknowledged in its last turns is not promised (README)."""
        self.excused["acknowledged in a killed broker's last turn"] = self.flow.last_turns

    def newest_ns(self, measurement: str) -> int:
        """The sensor's time of the flow's newest point; 0 while there is none, or InfluxDB does not answer."""
        field_name = "fault" if measurement == "anomaly" else "rotation"
        try:
            rows = self.stack.query(f'SELECT last("{field_name}") FROM "{measurement}" {self._mine()}')
        except (OSError, ValueError):
            return 0
        return int(rows[0]["time"]) if rows else 0

    def verdict_of_a_reading_after(self, moment_ns: int) -> Callable[[], bool]:
        """A probe: whether a reading that was made after that moment has its verdict in InfluxDB."""
        return lambda: self.newest_ns("anomaly") > moment_ns

    def all_stored_until(self, moment_ns: int) -> Callable[[], bool]:
        """A probe: whether all that was made until a moment, and acknowledged by now, is stored with its verdict."""
        wanted = sum(sent.time_ns <= moment_ns for sent in self.flow.acknowledged.values())

        def stored() -> bool:
            counts = [
                self.stack.query(
                    f'SELECT count("seq") FROM "{measurement}" {self._mine()} AND time <= {moment_ns}'
                )
                for measurement in ("telemetry", "anomaly")
            ]
            return all(rows and rows[0]["count"] >= wanted for rows in counts)

        return stored

    def sender(self, user: str = "simulator", client_id: str = "") -> Connection:
        """Another client at the broker, for what the flow does not send; no session of that id outlives it."""
        to = self.stack.broker(user)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        return Connection(to.host, to.port, user, to.password, client_id, True, properties, manual_ack=False)

    def _mine(self) -> str:
        return f'WHERE "deviceID" =~ /^{self.flow.prefix}-[0-9]+$/'

    def scaled(self, full: int, least: int = 1) -> int:
        """So much of a full number as this run has time for."""
        return max(least, round(full * self.scale))

    def expect(self, is_so: bool, otherwise: str) -> None:
        """Notes a failure and goes on: the rest of the case is still worth seeing."""
        if not is_so:
            self.failures.append(otherwise)

    def within(self, seconds: float, probe: Callable[[], T | None], what: str) -> float:
        """Waits for something, at most three times as long as it may take; how long it took, seconds.

        A later coming is a failure of the case, and is measured; none at all is a failure too.
        """
        start = time.monotonic()
        try:
            wait_until(probe, within_s=3 * seconds, what=what)
        except TimeoutError:
            self.failures.append(f"{what}: not within {3 * seconds:.0f} s")
            return 3 * seconds
        took = time.monotonic() - start
        self.expect(took <= seconds, f"{what}: after {took:.1f} s, expected within {seconds:.0f} s")
        return took

    def pass_time(self, seconds: float) -> None:
        """Lets readings flow. The length of an outage is what a case is made of; nothing is awaited."""
        time.sleep(seconds)

    def somewhen(self, from_s: float, to_s: float) -> None:
        """Lets readings flow until a moment that the seed chooses."""
        self.pass_time(self.random.uniform(from_s, to_s))


class Case(Protocol):
    """One row of the table."""

    @property
    def number(self) -> int:
        """Its place in the table."""

    @property
    def name(self) -> str:
        """What is done to the stack, for the table."""

    @property
    def seconds(self) -> float:
        """About how long the fault phase takes at full size."""

    @property
    def needs(self) -> Needs:
        """What it needs of its stack."""

    @property
    def per_second(self) -> float:
        """Readings a second while it runs."""

    def run(self, bench: Bench) -> None:
        """The fault phase, and the case's own check. What was killed or hung must run again when it returns."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases run, and at which size."""

    cases: Sequence[Case]
    scale: float


def select(
    cases: Sequence[Case], numbers: Sequence[int] | None, duration_s: float | None, rest_s: float
) -> Selection:
    """Choose cases and scale them into a time.

    Args:
        cases: All there are.
        numbers: Which of them; None takes all.
        duration_s: How long all fault phases may take together; None does everything at full size.
        rest_s: What a case takes besides its fault phase.

    Raises:
        ValueError: There is no case of such a number.
    """
    known = {case.number: case for case in cases}
    unknown = sorted(set(numbers or ()) - known.keys())
    if unknown:
        raise ValueError(f"no case {unknown[0]}: there are {min(known)} to {max(known)}")
    chosen = [known[number] for number in numbers] if numbers else list(cases)
    if duration_s is None:
        return Selection(chosen, 1.0)
    left = duration_s - rest_s * len(chosen)
    return Selection(chosen, min(1.0, max(0.02, left / sum(case.seconds for case in chosen))))
