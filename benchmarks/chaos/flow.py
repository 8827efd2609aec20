"""Numbered readings at a steady rate, sent again until acknowledged, and what the broker acknowledged of them."""

import queue
import random
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from benchmarks.chaos.ledger import Key, Sent
from contract.reading import Reading
from contract.timestamp import format_timestamp, parse_timestamp

DEVICES = 20
BROKEN = 4
"""The number of the device whose every reading is faulty; the others are healthy."""

_IN_FLIGHT = 500
"""paho sends everything that it holds again at a reconnection, at once; the broker takes 1,000."""
_LAST_TURN_BYTES = 4096
"""What the broker reads of one sender in one turn of its loop, and then on to the end of the packet that it has begun
(Mosquitto 2.1.2, lib/packet_mosq.c; mosquitto/mosquitto.conf says more)."""
_TICK_S = 0.01
_SESSION_S = 3600
_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where and as whom to publish."""

    host: str
    port: int
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class _Acknowledgement:
    mid: int
    refusal: str | None


@dataclass(frozen=True, slots=True)
class _ConnectionLost:
    pass


class Flow:
    """One publisher of DEVICES devices, named prefix-0 and so on. Its methods may be called from any thread.

    Args:
        broker: Where it publishes.
        prefix: Begins every device's name; also the client's id.
        per_second: Readings a second, over all devices.
    """

    def __init__(self, broker: BrokerAddress, prefix: str, per_second: float) -> None:
        self.prefix = prefix
        self.last_turns: set[Key] = set()
        self.refusals: list[str] = []
        self.disconnections = 0
        self._broker = broker
        self._per_second = per_second
        self._sent: dict[Key, Sent] = {}
        self._acknowledged: dict[Key, int] = {}  # with the bytes of its packet, in order
        self._waiting: deque[tuple[Sent, str, bytes]] = deque()
        self._in_flight: dict[int, tuple[Sent, int]] = {}
        self._events: queue.SimpleQueue[_Acknowledgement | _ConnectionLost] = queue.SimpleQueue()
        self._made = 0
        self._random = random.Random(prefix)  # readings, no secrets
        self._running = threading.Event()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._client = self._make_client()
        self._thread = threading.Thread(target=self._run, name=f"flow {prefix}", daemon=True)

    @property
    def broken_device(self) -> str:
        """The one whose verdicts must all be faulty."""
        return f"{self.prefix}-{BROKEN}"

    @property
    def acknowledged(self) -> dict[Key, Sent]:
        """What the broker has acknowledged so far."""
        with self._lock:
            return {key: self._sent[key] for key in self._acknowledged}

    @property
    def unacknowledged(self) -> dict[Key, Sent]:
        """What has been made and not been acknowledged so far."""
        with self._lock:
            return {key: sent for key, sent in self._sent.items() if key not in self._acknowledged}

    @property
    def acknowledged_count(self) -> int:
        """How many readings the broker has acknowledged so far."""
        return len(self._acknowledged)

    @property
    def newest_acknowledged_ns(self) -> int:
        """The sensor's time of the reading that was acknowledged last; 0 before the first."""
        with self._lock:
            return self._sent[next(reversed(self._acknowledged))].time_ns if self._acknowledged else 0

    def add(self, count: int) -> None:
        """So many readings more, as fast as the broker takes them."""
        with self._lock:
            for _ in range(count):
                self._make()

    def pause(self) -> None:
        """No new readings for now; those made already are still sent until acknowledged."""
        self._running.clear()

    def go_on(self) -> None:
        """New readings again, at the rate."""
        self._running.set()

    def all_acknowledged(self) -> bool:
        """Whether the broker has answered for everything; after pause() this stays so."""
        with self._lock:
            return not self._waiting and not self._in_flight

    def __enter__(self) -> Self:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = _SESSION_S
        self._client.connect(
            self._broker.host, self._broker.port, 10, clean_start=False, properties=properties
        )
        self._client.loop_start()
        self._running.set()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, self.prefix, protocol=mqtt.MQTTv5)
        client.username_pw_set(self._broker.username, self._broker.password)
        client.reconnect_delay_set(min_delay=1, max_delay=1)
        client.max_queued_messages_set(0)
        client.max_inflight_messages_set(_IN_FLIGHT)
        client.on_publish = self._on_publish
        client.on_disconnect = lambda *_: self._events.put(_ConnectionLost())
        return client

    def _on_publish(
        self, _client: mqtt.Client, _data: object, mid: int, reason: ReasonCode, _properties: object
    ) -> None:
        self._events.put(_Acknowledgement(mid, str(reason) if reason.is_failure else None))

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            now = time.monotonic()
            with self._lock:
                while due <= now:
                    due += 1 / self._per_second
                    if self._running.is_set():
                        self._make()
                self._note_events()
                self._hand_over()
            time.sleep(_TICK_S)

    def _make(self) -> None:
        device, seq = f"{self.prefix}-{self._made % DEVICES}", self._made // DEVICES
        broken = self._made % DEVICES == BROKEN
        self._made += 1
        stamp = format_timestamp(datetime.now(UTC))
        signals = draw_signals(self._random, broken=broken)
        rotation = signals["rotation"]
        reading = Reading(deviceID=device, timeStamp=stamp, seq=seq, bootID="chaos", **signals)
        milliseconds = round(parse_timestamp(stamp).timestamp() * 1000)
        sent = Sent(Key(device, seq), milliseconds * 1_000_000 + seq % 1_000_000, rotation, int(broken))
        self._sent[sent.key] = sent
        self._waiting.append((sent, f"fan/messages/{device}", reading.to_json()))

    def _hand_over(self) -> None:
        while self._waiting and len(self._in_flight) < _IN_FLIGHT:
            sent, topic, body = self._waiting.popleft()
            mid = self._client.publish(topic, body, qos=1).mid
            self._in_flight[mid] = (sent, len(topic) + len(body) + _HEADER_BYTES)

    def _note_events(self) -> None:
        for event in _drain(self._events):
            if isinstance(event, _ConnectionLost):
                self.disconnections += 1
                self.last_turns |= last_turn(self._acknowledged)
                continue
            sent, size = self._in_flight.pop(event.mid)
            if event.refusal is None:
                self._acknowledged[sent.key] = size
            else:
                self.refusals.append(event.refusal)


def last_turn(acknowledged: dict[Key, int]) -> set[Key]:
    """What the broker may have acknowledged and not committed: one read of a sender, to the end of the packet it cuts.

    Args:
        acknowledged: The bytes of each packet, in the order of the acknowledgements.
    """
    found: set[Key] = set()
    left = _LAST_TURN_BYTES
    for key in reversed(acknowledged):
        if left <= 0:
            break
        left -= acknowledged[key]
        found.add(key)
    return found


# Spread as the model learned it, or the drift watch would rightly say that all fans have drifted; without the outer
# two per cent on either side, where the model calls one reading in a thousand faulty.
_HEALTHY_FAN = {
    "rotation": (504.0, 696.0),
    "temperature": (35.2, 44.8),
    "vibration": (102.0, 198.0),
    "sound": (45.14, 51.86),
}
_BROKEN_FAN = {
    "rotation": (410.0, 450.0),
    "temperature": (53.0, 54.0),
    "vibration": (240.0, 241.0),
    "sound": (58.0, 59.0),
}


def draw_signals(generator: random.Random, *, broken: bool) -> dict[str, float]:
    """The signals of one reading, to one decimal, whose verdict is certain: faulty of the broken fan, else healthy."""
    ranges = _BROKEN_FAN if broken else _HEALTHY_FAN
    return {name: round(generator.uniform(*bounds), 1) for name, bounds in ranges.items()}


def _drain(
    events: "queue.SimpleQueue[_Acknowledgement | _ConnectionLost]",
) -> Iterable[_Acknowledgement | _ConnectionLost]:
    while True:
        try:
            yield events.get_nowait()
        except queue.Empty:
            return
