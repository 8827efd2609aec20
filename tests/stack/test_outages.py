"""What is away for half a minute comes back to find every reading: scoring service, broker, InfluxDB, predictor."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from contract.reading import Reading
from contract.timestamp import format_timestamp
from testbed.influxdb import InfluxDB
from testbed.mosquitto import Mosquitto
from testbed.services import Inference, Predictor
from testbed.site import Site
from testbed.telegraf import Telegraf
from testbed.waiting import wait_until

OUTAGE_S = 30.0
DURING = 60


@dataclass
class Stack:
    """A whole path of its own, so that its parts may be stopped."""

    mosquitto: Mosquitto
    influxdb: InfluxDB
    telegraf: Telegraf
    inference: Inference
    predictor: Predictor


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    site = Site(tmp_path_factory.mktemp("outages"))
    with Mosquitto(site) as mosquitto, InfluxDB(site) as influxdb, Inference(site) as inference:
        influxdb.prepare()
        with Telegraf(mosquitto, influxdb) as telegraf, Predictor(mosquitto, inference.url) as predictor:
            yield Stack(mosquitto, influxdb, telegraf, inference, predictor)


def numbered(device: str, count: int) -> list[tuple[str, bytes | str]]:
    start = datetime.now(UTC) - timedelta(minutes=10)
    return [
        (
            f"fan/messages/{device}",
            Reading(
                deviceID=device,
                timeStamp=format_timestamp(start + timedelta(milliseconds=100 * seq)),
                seq=seq,
                bootID="boot",
                rotation=600.0,
                temperature=40.0,
                vibration=150.0,
                sound=48.0,
            ).to_json(),
        )
        for seq in range(count)
    ]


def assert_all_stored_once(influxdb: InfluxDB, device: str, count: int) -> None:
    for measurement in ("telemetry", "anomaly"):
        points = influxdb.wait_points(measurement, device, count, within_s=90)
        assert [point["seq"] for point in points] == list(range(count)), measurement


def through_an_outage(
    stack: Stack, device: str, stop: Callable[[], None], start: Callable[[], object]
) -> None:
    """Readings flow before, during and after; none may be lost or stored twice."""
    messages = numbered(device, 3 * DURING)
    with stack.mosquitto.connect("simulator") as fans:
        fans.publish_all(messages[:DURING])
        stop()
        fans.publish_all(messages[DURING : 2 * DURING])
        time.sleep(OUTAGE_S)  # the length of the outage is the case
        start()
        fans.publish_all(messages[2 * DURING :])
    assert_all_stored_once(stack.influxdb, device, 3 * DURING)


def test_the_scoring_service_away_for_30_s_delays_verdicts_and_loses_none(stack: Stack) -> None:
    through_an_outage(stack, "no-scoring", stack.inference.kill, stack.inference.start)
    assert stack.predictor.metric("fanwatch_predictor_scoring_failures_total") > 0


def test_influxdb_away_for_30_s_loses_nothing(stack: Stack) -> None:
    through_an_outage(stack, "no-influxdb", stack.influxdb.kill, stack.influxdb.start)


def test_the_predictor_killed_and_away_for_30_s_finds_its_readings_at_the_broker(stack: Stack) -> None:
    through_an_outage(stack, "no-predictor", stack.predictor.kill, stack.predictor.start)


def test_the_broker_away_for_30_s_loses_nothing_that_it_had_acknowledged_and_takes_the_rest_later(
    stack: Stack,
) -> None:
    messages = numbered("no-broker", 3 * DURING)
    with stack.mosquitto.connect("simulator", client_id="fan-without-broker", session_expiry_s=600) as fans:
        fans.publish_all(messages[:DURING])
        stack.mosquitto.kill()
        for topic, payload in messages[DURING:]:
            fans.client.publish(topic, payload, qos=1)
        time.sleep(OUTAGE_S)  # the length of the outage is the case
        stack.mosquitto.start()
        assert_all_stored_once(stack.influxdb, "no-broker", 3 * DURING)


def test_a_predictor_that_is_asked_to_stop_finishes_what_is_in_flight_and_exits_with_0(stack: Stack) -> None:
    messages = numbered("stopped", 2000)
    with stack.mosquitto.connect("monitor") as watching, stack.mosquitto.connect("simulator") as fans:
        watching.subscribe("fan/anomaly/stopped")
        sent = [fans.client.publish(topic, payload, qos=1) for topic, payload in messages]
        watching.next()
        process = stack.predictor
        process.stop()
        for one in sent:
            one.wait_for_publish(60)
        before = json.loads(process.log().splitlines()[-1])
        assert before["event"] == "predictor_stopped"
        process.start()
    assert_all_stored_once(stack.influxdb, "stopped", 2000)


def test_a_predictor_without_its_scoring_service_says_so_when_asked_for_its_health(stack: Stack) -> None:
    with Predictor(
        stack.mosquitto,
        "http://127.0.0.1:9",
        {"CLIENT_ID": "ill", "SHARE": "ill", "STALL_S": "0.5"},
    ) as ill:
        with stack.mosquitto.connect("simulator") as fans:
            fans.publish_all(numbered("ill", 1))
        complaint = wait_until(ill.complaint, within_s=30, what="a complaint")
    assert "127.0.0.1" in complaint
