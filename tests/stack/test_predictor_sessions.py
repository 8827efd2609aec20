"""The predictor's session at the broker: what it publishes ahead, and what it subscribes to."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

from contract.reading import Reading
from contract.timestamp import format_timestamp
from testbed.mosquitto import CONFIGURATION, Connection, Mosquitto
from testbed.services import Inference, Predictor
from testbed.site import Site

READINGS = 1500
FEW = 200


def numbered(count: int) -> list[tuple[str, bytes | str]]:
    now = format_timestamp(datetime.now(UTC))
    signals = {"rotation": 600.0, "temperature": 40.0, "vibration": 150.0, "sound": 48.0}
    return [
        (
            "fan/messages/5",
            Reading(deviceID="5", timeStamp=now, seq=seq, bootID="boot", **signals).to_json(),
        )
        for seq in range(count)
    ]


def verdicts(watching: Connection, count: int) -> set[int]:
    seen: set[int] = set()
    while len(seen) < count:
        seen.add(json.loads(watching.next().payload)["seq"])
    return seen


def test_a_broker_that_takes_few_messages_ahead_is_never_sent_more_even_after_a_lost_connection(
    new_site: Callable[[], Site], inference: Inference
) -> None:
    small = CONFIGURATION.read_text().replace("max_inflight_messages 1000", "max_inflight_messages 12")
    with Mosquitto(new_site(), small) as broker, Predictor(broker, inference.url) as predictor:
        for _ in range(3):
            with broker.connect("monitor") as watching, broker.connect("simulator") as fan:
                watching.subscribe("fan/anomaly/5")
                for start in range(0, FEW, 10):  # the fan keeps to the broker's limit too
                    fan.publish_all(numbered(FEW)[start : start + 10])
                assert verdicts(watching, FEW) == set(range(FEW))
            broker.restart(killed=True)
        events = [json.loads(line) for line in predictor.log().splitlines()]
        assert not [event for event in events if "eceive maximum" in event.get("reason", "")]


def test_a_single_predictor_may_do_without_a_shared_subscription(
    new_site: Callable[[], Site], inference: Inference
) -> None:
    with (
        Mosquitto(new_site()) as broker,
        Predictor(broker, inference.url, {"SHARE": ""}),
        broker.connect("monitor") as watching,
        broker.connect("simulator") as fan,
    ):
        watching.subscribe("fan/anomaly/5")
        fan.publish_all(numbered(20))
        assert verdicts(watching, 20) == set(range(20))


def test_two_predictors_divide_the_readings_and_score_none_twice(
    new_site: Callable[[], Site], inference: Inference
) -> None:
    with (
        Mosquitto(new_site()) as broker,
        Predictor(broker, inference.url) as one,
        Predictor(broker, inference.url, {"CLIENT_ID": "predictor-2"}) as two,
        broker.connect("monitor") as watching,
        broker.connect("simulator") as fan,
    ):
        watching.subscribe("fan/anomaly/5")
        fan.publish_all(numbered(READINGS))
        assert verdicts(watching, READINGS) == set(range(READINGS))
        assert watching.messages.empty()
        shares = [p.metric("fanwatch_predictor_readings_received_total") for p in (one, two)]
    assert sum(shares) == READINGS
    assert min(shares) > 0
