"""The load: publishes readings, takes the results, and notes when each came.

It must not be the limit of what is measured, so packets are made beforehand, by mqtt5, and many go out in one write and
come in with one read. measures/load_alone.py shows how fast it is without a contestant.
"""

import contextlib
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import mqtt5
import numpy as np
import numpy.typing as npt
import orjson

from benchmarks.speed.load import Message
from testbed.waiting import wait_until

_READ_BYTES = 1 << 20
_ANSWER_S = 10
_SILENCE_S = 30
"""So long without a result, and the run has failed."""
WINDOW = 1000
"""Messages on their way at most when a run sends as fast as it can: as many as our Mosquitto takes ahead."""


User = tuple[str, str]
"""Name and password at a broker that asks for them."""


class BenchmarkError(RuntimeError):
    """The benchmark cannot run here, or a contestant failed; with what to do."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What became of one run's messages, by seq; seconds of one monotonic clock."""

    due: npt.NDArray[np.float64]
    arrived: npt.NDArray[np.float64]
    duplicates: int
    generator_cpu_s: float
    started: float
    """When the first message was sent."""

    @property
    def per_second(self) -> float:
        """Results a second, from the first to the last."""
        first, last = self.arrived.min(), self.arrived.max()
        return float((len(self.arrived) - 1) / (last - first))

    @property
    def latencies_ms(self) -> npt.NDArray[np.float64]:
        """From the moment when each message was due to its result, milliseconds."""
        milliseconds: npt.NDArray[np.float64] = (self.arrived - self.due) * 1000
        return milliseconds


class _Client:
    """One MQTT 5 connection; its socket does not block."""

    def __init__(self, port: int, client_id: str, user: User | None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._inbound = b""
        name, password = user or (None, None)
        self.socket.sendall(
            mqtt5.ConnectPacket(
                client_id,
                clean_start=True,
                username=name,
                password=None if password is None else password.encode(),
            ).write()
        )
        answer = self.next_packet()
        if not isinstance(answer, mqtt5.ConnAckPacket) or answer.reason_code.value:
            raise BenchmarkError(f"the broker did not let the load generator in: {answer}")
        self.takes_ahead = answer.receive_max

    def next_packet(self) -> mqtt5.Packet:
        """Wait for one; while the socket still blocks."""
        while True:
            packets = self.read()
            if packets:
                return packets[0]

    def subscribe(self, topic: str, qos: mqtt5.QoS) -> None:
        """Subscribe and wait for the answer."""
        self.socket.sendall(mqtt5.SubscribePacket(1, [mqtt5.TopicFilter(topic, max_qos=qos)]).write())
        self.next_packet()

    def read(self) -> list[mqtt5.Packet]:
        """The packets that one read gives; none when nothing is there."""
        try:
            data = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        if not data:
            raise BenchmarkError("the broker closed a connection of the load generator; see its log")
        self._inbound += data
        packets: list[mqtt5.Packet] = []
        with memoryview(self._inbound) as view:
            position = 0
            with contextlib.suppress(IndexError):  # the last one is not whole yet
                while position < len(view):
                    packet, length = mqtt5.read(view[position:])
                    packets.append(packet)
                    position += length
            self._inbound = bytes(view[position:])
        return packets


class LoadGenerator:
    """One connection that publishes and one that subscribes to the results.

    Args:
        port: The broker's, on loopback.
        results: Where the results come out.
        user: Who publishes.
        reader: Who subscribes.
    """

    def __init__(
        self,
        port: int,
        results: str = "fan/anomaly/#",
        *,
        user: User | None = None,
        reader: User | None = None,
    ) -> None:
        self._sender = _Client(port, "bench-sender", user)
        self._receiver = _Client(port, "bench-receiver", reader)
        self._receiver.subscribe(results, mqtt5.QoS.AT_LEAST_ONCE)
        for client in (self._sender, self._receiver):
            client.socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in (self._sender, self._receiver):
            client.socket.setblocking(True)
            client.socket.sendall(mqtt5.DisconnectPacket().write())
            client.socket.close()

    def send_and_leave(self, messages: Sequence[Message]) -> None:
        """Publish at QoS 1 as fast as the broker takes it, and wait until it has acknowledged all."""
        packets = _packets(messages, 1)
        sent = acknowledged = 0
        outbound = b""
        while acknowledged < len(packets):
            ready = min(len(packets), acknowledged + self._sender.takes_ahead) - sent
            outbound += b"".join(packets[sent : sent + ready])
            sent += ready
            readable, _, _ = select.select(
                [self._sender.socket], [self._sender.socket] if outbound else [], [], _SILENCE_S
            )
            outbound = _write(self._sender.socket, outbound)
            if readable:
                acknowledged += len(self._sender.read())

    def run(
        self,
        messages: Sequence[Message],
        *,
        qos: int = 1,
        per_second: float | None = None,
        window: int = WINDOW,
        first_seq: int = 0,
        expect: int | None = None,
    ) -> Passage:
        """Send messages and wait for every result.

        Args:
            messages: Numbered by seq, from first_seq.
            qos: 0 or 1.
            per_second: Open loop: each message is due at its time whatever became of those before it. None: as fast as
                results come, with at most window messages on their way.
            window: See per_second.
            first_seq: Number of the first message.
            expect: How many results to wait for, when they are not those of the messages sent here.

        Raises:
            BenchmarkError: Results stay away.
        """
        packets = _packets(messages, qos)
        total, to_send = expect or len(packets), len(packets)
        arrived = np.zeros(total)
        count = duplicates = sent = acknowledged = 0
        outbound, acks = b"", b""
        cpu = time.process_time()
        started = heard = time.monotonic()
        due = started + np.arange(total) / per_second if per_second else np.full(total, started)
        sender, receiver = self._sender.socket, self._receiver.socket
        while count < total:
            now = time.monotonic()
            allowed = count + window if per_second is None else int((now - started) * per_second) + 1
            allowed = min(allowed, to_send)
            if qos:
                allowed = min(allowed, acknowledged + self._sender.takes_ahead)
            if allowed > sent:
                outbound += b"".join(packets[sent:allowed])
                sent = allowed
            outbound, acks = _write(sender, outbound), _write(receiver, acks)
            pause = 1.0
            if per_second is not None and sent < to_send:
                pause = min(pause, max(0.0, started + sent / per_second - time.monotonic()))
            writing = [s for s, data in ((sender, outbound), (receiver, acks)) if data]
            readable, _, _ = select.select([sender, receiver], writing, [], pause)
            now = time.monotonic()
            if sender in readable:
                acknowledged += len(self._sender.read())
            if receiver in readable:
                results = self._receiver.read()
                acks += _acknowledgements(results)
                for packet in results:
                    if not isinstance(packet, mqtt5.PublishPacket):
                        continue
                    seq = orjson.loads(packet.payload)["seq"] - first_seq
                    if arrived[seq]:
                        duplicates += 1
                    else:
                        arrived[seq] = now
                        count += 1
                heard = now
            if now - heard > _SILENCE_S:
                raise BenchmarkError(f"{count} of {total} results came, then none for {_SILENCE_S} s")
        _write(receiver, acks)
        return Passage(due, arrived, duplicates, time.process_time() - cpu, started)

    def _acknowledge(self, packets: Sequence[mqtt5.Packet]) -> None:
        self._receiver.socket.sendall(_acknowledgements(packets))

    def drain(self, silence_s: float = 0.5) -> None:
        """Take and acknowledge results until none has come for a while: those of an earlier run."""
        while select.select([self._receiver.socket], [], [], silence_s)[0]:
            self._acknowledge(self._receiver.read())

    def first_result(self, message: Message, every_s: float = 0.05, within_s: float = 120) -> float:
        """Publish the same message again and again until a result comes; when it came, monotonic seconds."""
        packet = _packets([message], 0)[0]

        def came() -> bool:
            self._sender.socket.sendall(packet)
            select.select([self._receiver.socket], [], [], every_s)
            packets = self._receiver.read()
            self._acknowledge(packets)
            return any(isinstance(packet, mqtt5.PublishPacket) for packet in packets)

        wait_until(came, within_s=within_s, what="a first result")
        return time.monotonic()


def _acknowledgements(packets: Sequence[mqtt5.Packet]) -> bytes:
    return b"".join(
        mqtt5.PubAckPacket(packet.packet_id).write()
        for packet in packets
        if isinstance(packet, mqtt5.PublishPacket) and packet.packet_id is not None
    )


def _packets(messages: Sequence[Message], qos: int) -> list[bytes]:
    level = mqtt5.QoS.AT_LEAST_ONCE if qos else mqtt5.QoS.AT_MOST_ONCE
    return [
        mqtt5.PublishPacket(
            message.topic, message.payload, qos=level, packet_id=index % 65_535 + 1 if qos else None
        ).write()
        for index, message in enumerate(messages)
    ]


def _write(connection: socket.socket, data: bytes) -> bytes:
    """Write what the connection takes now; what is left."""
    if not data:
        return data
    with contextlib.suppress(BlockingIOError):
        return data[connection.send(data) :]
    return data
