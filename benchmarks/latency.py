"""How long a message takes at a given rate, open loop: a late answer does not slow the sender, queueing counts."""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.processes import BenchmarkError, Contestant
from contract.reading import Reading

_ANSWER_S = 60


@dataclass(frozen=True)
class Latency:
    """One measurement; milliseconds from the moment the message was due to the arrival of its result."""

    contestant: str
    per_second: int
    messages: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    p999_ms: float


def measure_latency(
    port: int, contestant: Contestant, readings: Sequence[Reading], per_second: int
) -> Latency:
    """Send the readings on a fixed schedule.

    Raises:
        BenchmarkError: A result is missing a minute after the last message.
    """
    due = np.zeros(len(readings))
    arrived = np.zeros(len(readings))
    complete, subscribed = threading.Event(), threading.Event()
    count = 0

    def on_message(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        nonlocal count
        arrived[json.loads(message.payload)["seq"]] = time.perf_counter()
        count += 1
        if count >= len(readings):
            complete.set()

    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        client.subscribe("fan/anomaly/#", 0)
        if not subscribed.wait(_ANSWER_S):
            raise BenchmarkError("the broker does not answer a subscription")
        start = time.perf_counter()
        for index, reading in enumerate(readings):
            due[index] = start + index / per_second
            time.sleep(max(0.0, due[index] - time.perf_counter()))
            client.publish(f"fan/messages/{reading.device_id}", reading.to_json(), 1)
        if not complete.wait(_ANSWER_S):
            raise BenchmarkError(
                f"{contestant.name} at {per_second}/s: {count} of {len(readings)} results came"
            )
    finally:
        client.disconnect()
        client.loop_stop()
    p50, p95, p99, p999 = np.percentile((arrived - due) * 1000, [50, 95, 99, 99.9])
    return Latency(
        contestant.name, per_second, len(readings), float(p50), float(p95), float(p99), float(p999)
    )
