"""The measuring process: listens to the same broker as everybody, and says once a second how the stack does.

``python -m demo.measure`` runs beside the services. Its output is the demo's status line; at the end it writes the
figures to a file, for the demo to print last.
"""

import argparse
import json
import os
import select
import signal
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import ValidationError

from contract.rejection import Rejection
from contract.timestamp import parse_timestamp
from contract.topics import Topics
from contract.verdict import Verdict
from demo.ledger import Figures, Key, Ledger
from demo.ports import LOOPBACK
from demo.truth import Truth

LONG_QUIET_S = 5.0
DRAIN_S = 5.0
"""At the end the last readings get so many seconds for their verdicts."""


def key_of(payload: bytes | str) -> Key | None:
    """Which numbered reading a payload is, whether or not the rest of it is sound; None when it says no number."""
    try:
        body = json.loads(payload)
    except ValueError:
        return None
    match body:
        case {"deviceID": str(device_id), "bootID": str(boot_id), "seq": int(seq)} if seq >= 0:
            return device_id, boot_id, seq
        case _:
            return None


class Observer:
    """Feeds a ledger from the broker.

    Attributes:
        failure: What went wrong in paho's thread, if anything did.
    """

    def __init__(self, ledger: Ledger, topics: Topics) -> None:
        self.failure: Exception | None = None
        self._ledger = ledger
        self._topics = topics
        self._changed = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, "fanwatch-demo", protocol=mqtt.MQTTv5)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message

    def start(self, port: int) -> None:
        """Connect in the background, as soon as the broker is there."""
        self._client.connect_async(LOOPBACK, port, keepalive=30)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def figures(self) -> Figures:
        """The ledger's figures.

        Raises:
            Exception: What went wrong in paho's thread.
        """
        if self.failure is not None:
            raise self.failure
        with self._changed:
            return self._ledger.figures()

    def drain(self, timeout_s: float) -> None:
        """Take no more readings, and await the answers to those that there are."""
        with self._changed:
            self._ledger.close()
            self._changed.wait_for(lambda: self._ledger.missing == 0, timeout_s)

    def _on_connect(
        self,
        client: mqtt.Client,
        _data: object,
        _flags: mqtt.ConnectFlags,
        _reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        filters = (self._topics.all_messages, self._topics.all_anomalies, self._topics.rejected)
        client.subscribe([(each, 1) for each in filters])

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        arrived_s = time.time()
        try:
            with self._changed:
                self._note(message.topic, bytes(message.payload), arrived_s)
                self._changed.notify_all()
        except Exception as error:  # noqa: BLE001 - it would end paho's thread in silence; figures() raises it
            self.failure = error

    def _note(self, topic: str, payload: bytes, arrived_s: float) -> None:
        if topic == self._topics.rejected:
            key = key_of(Rejection.model_validate_json(payload).payload)
            if key is not None:
                self._ledger.rejection(key)
        elif topic.startswith(self._topics.messages):
            key = key_of(payload)
            if key is not None:
                self._ledger.reading(key)
        else:
            key = key_of(payload)
            try:
                verdict = Verdict.from_json(payload)
            except ValidationError:
                return  # no verdict, so its reading stays without one
            if key is not None:
                measured_s = parse_timestamp(verdict.time_stamp).timestamp()
                self._ledger.verdict(key, fault=verdict.fault, measured_s=measured_s, arrived_s=arrived_s)


def status_line(figures: Figures, elapsed_s: float, faulty: list[str], quiet_s: float = 0.0) -> str:
    """What a person wants to know, in one line.

    Args:
        figures: Everything so far.
        elapsed_s: Seconds since the services were started.
        faulty: The fans that are broken in truth.
        quiet_s: Seconds since the last verdict; said when it is long for so many readings.
    """
    if figures.first_verdict_s is None:
        return f"{elapsed_s:5.0f} s  waiting for the first verdict ({figures.published} readings so far)"
    right = "-" if figures.accuracy is None else f"{figures.accuracy:.1%}"
    if quiet_s >= LONG_QUIET_S:
        return (
            f"{elapsed_s:5.0f} s  no verdict for {quiet_s:.0f} s: {figures.missing} of {figures.published} "
            "readings wait; the logs say why"
        )
    broken = f"; broken: fan {', '.join(faulty)}" if faulty else "; no fan broken"
    return (
        f"{elapsed_s:5.0f} s  {figures.published} readings, {figures.scored} verdicts, "
        f"{figures.rejected} rejected, {figures.missing} on their way; {right} right; "
        f"p50 {figures.p50_ms:.1f} ms, p99 {figures.p99_ms:.1f} ms{broken}"
    )


def main() -> int:
    """Measure until the duration is over or SIGTERM comes, then write the figures."""
    parser = argparse.ArgumentParser(prog="python -m demo.measure")
    parser.add_argument("--port", type=int, required=True, help="the broker's, for MQTT 5")
    parser.add_argument("--truth", type=Path, required=True, help="the file that the simulator appends to")
    parser.add_argument("--result", type=Path, required=True, help="where the figures go, as JSON")
    parser.add_argument("--started", type=float, required=True, help="start of the services, Unix time")
    parser.add_argument("--duration", type=float, help="seconds from that start on")
    arguments = parser.parse_args()

    asked, ask = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(ask, b"x"))

    truth = Truth(arguments.truth)
    observer = Observer(Ledger(truth, arguments.started), Topics())
    observer.start(arguments.port)
    end_s = None if arguments.duration is None else arguments.started + arguments.duration
    tick_s = arguments.started
    scored, scored_s = 0, time.time()
    while True:
        # Against a schedule, so that the lines come each second and not each second and a bit.
        tick_s = max(tick_s + 1, time.time())
        until_s = tick_s if end_s is None else min(tick_s, end_s)
        if select.select([asked], [], [], max(0.0, until_s - time.time()))[0]:
            break
        if end_s is not None and time.time() >= end_s:
            observer.drain(DRAIN_S)
            break
        now_s = time.time()
        figures = observer.figures()
        if figures.scored > scored or not figures.missing:
            scored, scored_s = figures.scored, now_s
        line = status_line(figures, now_s - arguments.started, truth.faulty_devices(), now_s - scored_s)
        print(line, flush=True)  # noqa: T201 - the status line is its output
    figures = observer.figures()
    observer.stop()
    arguments.result.write_text(json.dumps(figures.as_dict()), encoding="utf-8")
    return 0 if figures.scored else 1


if __name__ == "__main__":
    sys.exit(main())
