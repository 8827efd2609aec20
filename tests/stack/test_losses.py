"""What the monitor's ledger says of readings on the real path, scattered over two predictors of which one is killed."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import requests

from contract.reading import Reading
from contract.timestamp import format_timestamp
from testbed.mosquitto import Mosquitto
from testbed.services import Inference, Predictor
from testbed.site import Site
from testbed.waiting import wait_until
from tests.monitor.monitor_process import MonitorProcess

READINGS = 3000
NEVER_SENT = {*range(700, 710), 2000}
REFUSED = set(range(55, READINGS, 100))


def reading(seq: int, now: str) -> bytes:
    rotation = 1e9 if seq in REFUSED else 600.0
    signals = {"rotation": rotation, "temperature": 40.0, "vibration": 150.0, "sound": 48.0}
    return Reading(deviceID="5", timeStamp=now, seq=seq, bootID="boot", **signals).to_json()


def test_exactly_what_was_never_sent_is_missing_although_readings_come_unordered_twice_or_refused(
    new_site: Callable[[], Site], inference: Inference, tmp_path: Path
) -> None:
    now = format_timestamp(datetime.now(UTC))
    sent = [seq for seq in range(READINGS) if seq not in NEVER_SENT]
    messages: list[tuple[str, bytes | str]] = [("fan/messages/5", reading(seq, now)) for seq in sent]
    with (
        Mosquitto(new_site()) as broker,
        Predictor(broker, inference.url),
        Predictor(broker, inference.url, {"CLIENT_ID": "predictor-2"}) as killed,
        MonitorProcess(tmp_path / "monitor", broker) as monitor,
        broker.connect("simulator") as fan,
    ):

        def losses() -> dict[str, int]:
            found: dict[str, int] = requests.get(f"{monitor.url}/api/fans", timeout=5).json()["losses"]
            return found

        fan.publish_all(messages[:10])
        wait_until(lambda: losses()["received"] == 10, within_s=30, what="the first readings")
        for topic, payload in messages[10:]:
            fan.client.publish(topic, payload, qos=1)
        wait_until(lambda: losses()["received"] > 100, within_s=30, what="some of the readings")
        killed.restart(killed=True)
        fan.publish_all(messages[1000:1100])  # a fan that never saw its acknowledgement sends again
        answered = len(sent) + 100
        wait_until(lambda: losses()["received"] >= answered, within_s=60, what="an answer to each")
        told = losses()
        device = requests.get(f"{monitor.url}/api/fans/5", timeout=5).json()["fans"][0]
    assert told["missing"] == len(NEVER_SENT)
    assert told["received"] - told["duplicate"] == len(sent)
    assert told["duplicate"] >= 100
    assert told["undecided"] == 0
    assert device["losses"] == told
    assert device["rejected"] >= len(REFUSED)
