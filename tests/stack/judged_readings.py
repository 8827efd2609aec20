"""Readings at 500 a second, and which model has judged each of them."""

import json
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Self

from benchmarks.chaos.flow import BrokerAddress, Flow
from benchmarks.chaos.ledger import Key
from testbed.mosquitto import Connection, Mosquitto
from testbed.waiting import wait_until

PER_SECOND = 500
WITHIN_S = 120


class Verdicts:
    """Which models have judged each reading, in the order in which the verdicts came."""

    def __init__(self, watching: Connection) -> None:
        self.of: dict[Key, list[str]] = defaultdict(list)
        self.models: list[str] = []
        self.arrived: list[float] = []
        """Of each in models, by the monotonic clock, seconds."""
        self.rejected = 0
        self._watching = watching
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.is_set() or not self._watching.messages.empty():
            try:
                message = self._watching.messages.get(timeout=0.2)
            except queue.Empty:
                continue
            if message.topic == "fan/rejected":
                self.rejected += 1
                continue
            verdict = json.loads(message.payload)
            self.of[Key(verdict["deviceID"], verdict["seq"])].append(verdict["model"])
            self.models.append(verdict["model"])
            self.arrived.append(time.monotonic())

    def __enter__(self) -> Self:
        for topic in ("fan/anomaly/#", "fan/rejected"):
            self._watching.subscribe(topic)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)


def judge(broker: Mosquitto, prefix: str, story: Callable[[Verdicts], None]) -> Verdicts:
    """Let readings flow while something happens to the model; then wait for the last verdict.

    Each reading that the broker has acknowledged has one verdict, and none was refused.
    """
    address = BrokerAddress(broker.host, broker.port, "simulator", broker.site.mqtt_password("simulator"))
    with broker.connect("monitor") as watching, Verdicts(watching) as verdicts:
        with Flow(address, prefix, PER_SECOND) as flow:
            story(verdicts)
            flow.pause()
            wait_until(flow.all_acknowledged, within_s=WITHIN_S, what="every reading acknowledged")
        wait_until(
            lambda: flow.acknowledged.keys() <= verdicts.of.keys(), within_s=WITHIN_S, what="the last verdict"
        )
    assert verdicts.rejected == 0
    assert {len(models) for models in verdicts.of.values()} == {1}, "a reading has two verdicts"
    return verdicts


def await_verdicts(verdicts: Verdicts, model: str, count: int) -> None:
    """Wait for so many more verdicts of a model."""
    have = verdicts.models.count(model)
    wait_until(
        lambda: verdicts.models.count(model) >= have + count, within_s=WITHIN_S, what=f"verdicts of {model}"
    )
