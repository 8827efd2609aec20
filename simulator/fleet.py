"""Any number of fans in one process: when each is read, and what its message looks like."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

from contract.command import FanCommand
from contract.reading import Reading
from contract.timestamp import format_timestamp
from contract.topics import Topics
from simulator.clock import Clock
from simulator.fan import Fan
from simulator.pacing import Pacer
from simulator.truth import TruthLog


class Generation(IntEnum):
    """How a fan talks."""

    FIRST = 1
    """Flat topic, no seq, "YYYY-MM-DD HH:MM:SS" in UTC. At more than one reading a second times repeat."""
    SECOND = 2
    """Its own topic, seq and bootID, RFC 3339 with milliseconds."""


@dataclass(frozen=True, slots=True)
class Message:
    """One reading as it goes to the broker."""

    topic: str
    payload: bytes


class Voice:
    """Turns signals into messages, and counts each device's readings.

    seq begins at 0 for every device with every bootID, and has no gaps: what is never sent has no number.
    """

    def __init__(self, topics: Topics, generation: Generation, boot_id: str) -> None:
        self.boot_id = boot_id
        self._topics = topics
        self._generation = generation
        self._next: dict[str, int] = {}

    def next_seq(self, device_id: str) -> int:
        """The number that the device's next reading gets."""
        return self._next.get(device_id, 0)

    def say(self, device_id: str, moment: datetime, signals: dict[str, float]) -> Message:
        """The message of one reading."""
        seq = self.next_seq(device_id)
        self._next[device_id] = seq + 1
        if self._generation is Generation.FIRST:
            text = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
            reading = Reading(deviceID=device_id, timeStamp=text, **signals)  # type: ignore[arg-type] # as below
            return Message(self._topics.messages, reading.to_json())
        reading = Reading(
            deviceID=device_id,
            timeStamp=format_timestamp(moment),
            seq=seq,
            bootID=self.boot_id,
            **signals,
        )
        return Message(self._topics.messages_of(device_id), reading.to_json())


class Fleet:
    """Reads its fans in turn, evenly spread over the period, so that a large fleet makes no bursts.

    Args:
        fans: At least one, with unique deviceIDs.
        rate: Readings a second of each fan.
        voice: Makes the messages.
        clock: Paces the fleet and stamps its readings.
        truth: Where the ground truth is kept, if anywhere.
    """

    def __init__(
        self, fans: Sequence[Fan], *, rate: float, voice: Voice, clock: Clock, truth: TruthLog | None = None
    ) -> None:
        self._fans = list(fans)
        self._by_id = {fan.device_id: fan for fan in fans}
        if not self._fans or len(self._by_id) != len(self._fans):
            raise ValueError("a fleet needs at least one fan, and no deviceID twice")
        self._voice = voice
        self._clock = clock
        self._truth = truth
        self._pacer = Pacer(1 / (rate * len(self._fans)), clock.monotonic())

    @property
    def skipped(self) -> int:
        """Readings that were left out because this machine could not keep up."""
        return self._pacer.skipped

    def obey(self, device_id: str, command: FanCommand) -> bool:
        """Put a fan into a condition from its next reading on; False when it is not one of ours."""
        fan = self._by_id.get(device_id)
        if fan is None:
            return False
        fan.obey(command, self._clock.monotonic())
        return True

    def due(self) -> Iterator[Message]:
        """The messages that are due by now, and no later ones; a silent fan has none."""
        now_s = self._clock.monotonic()
        while (tick := self._pacer.take(now_s)) is not None:
            fan = self._fans[tick % len(self._fans)]
            signals = fan.measure(now_s)
            if signals is None:
                continue
            if self._truth is not None:
                self._truth.record(
                    fan.device_id,
                    self._voice.boot_id,
                    self._voice.next_seq(fan.device_id),
                    fan.condition.value,
                    fan.label(now_s),
                )
            yield self._voice.say(fan.device_id, self._clock.now(), signals)

    def wait_s(self) -> float:
        """Seconds until the next reading is due."""
        return self._pacer.wait_s(self._clock.monotonic())
