"""The main path through the real servers: every reading is stored once, with its verdict, or dead-lettered."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.reading import Reading
from contract.timestamp import format_timestamp
from testbed.influxdb import InfluxDB, nanoseconds
from testbed.mosquitto import Connection, Mosquitto
from testbed.services import Predictor
from testbed.telegraf import Telegraf
from testbed.waiting import wait_until

READINGS = 1000


@pytest.fixture(autouse=True)
def _the_whole_path(telegraf: Telegraf, predictor: Predictor) -> None:
    """Bridge and predictor run."""


def ours(device: str, moment: datetime, seq: int, **signals: float) -> bytes:
    drawn = signals or {"rotation": 600.0 + seq % 50, "temperature": 40.0, "vibration": 150.0, "sound": 48.5}
    return Reading(
        deviceID=device, timeStamp=format_timestamp(moment), seq=seq, bootID="boot", **drawn
    ).to_json()


def first_generation(device: str, moment: datetime) -> bytes:
    body = {"deviceID": device, "timeStamp": f"{moment:%Y-%m-%d %H:%M:%S}"}
    return json.dumps(body | {"rotation": 600.5, "temperature": 40, "vibration": 150, "sound": 48}).encode()


def whole_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def wait_rejections(dead_letters: Connection, count: int) -> list[dict[str, Any]]:
    return [json.loads(dead_letters.next().payload) for _ in range(count)]


def test_a_thousand_readings_of_both_generations_are_each_stored_once_with_their_verdict(
    mosquitto: Mosquitto, influxdb: InfluxDB
) -> None:
    start = whole_second(datetime.now(UTC)) - timedelta(hours=1)
    half = READINGS // 2
    sent: list[tuple[str, bytes | str]] = []
    for number in range(half):
        new = ours("path-new", start + timedelta(milliseconds=37 * number), number)
        sent.append(("fan/messages/path-new", new))
        sent.append(("fan/messages", first_generation("path-old", start + timedelta(seconds=number))))
    sent[501:501] = [
        ("fan/messages", b'{"deviceID": "path-old", "timeStamp": "2026-'),
        ("fan/messages", b"\xff"),
    ]

    with mosquitto.connect("monitor") as dead_letters:
        dead_letters.subscribe("fan/rejected")
        with mosquitto.connect("simulator") as fans, mosquitto.connect("legacy") as legacy:
            published = [
                (legacy if topic == "fan/messages" else fans).client.publish(topic, payload, qos=1)
                for topic, payload in sent
            ]
            for each in published:  # what the broker has not acknowledged is nobody's
                each.wait_for_publish(60)
            rejections = wait_rejections(dead_letters, 2)

    assert {rejection["reason"] for rejection in rejections} == {"not_a_reading"}
    assert rejections[0]["payload"] == '{"deviceID": "path-old", "timeStamp": "2026-'
    expected = {
        "path-new": [nanoseconds(start + timedelta(milliseconds=37 * n)) + n for n in range(half)],
        "path-old": [nanoseconds(start + timedelta(seconds=n)) for n in range(half)],
    }
    for device, times in expected.items():
        for measurement in ("telemetry", "anomaly"):
            points = influxdb.wait_points(measurement, device, half)
            assert [point["time"] for point in points] == times, (device, measurement)
    verdicts = influxdb.points("anomaly", "path-new")
    assert {verdict["model"] for verdict in verdicts} == {"fan:1"}
    assert all(verdict["fault"] in (0, 1) and 0 <= verdict["probability"] <= 1 for verdict in verdicts)
    assert "rotation" not in {
        name for point in verdicts for name, value in point.items() if value is not None
    }


def test_a_healthy_and_a_broken_fan_get_the_verdicts_that_a_person_would_give(
    mosquitto: Mosquitto, influxdb: InfluxDB
) -> None:
    now = datetime.now(UTC)
    broken = {"rotation": 410.0, "temperature": 53.0, "vibration": 240.0, "sound": 58.0}
    with mosquitto.connect("simulator") as fans:
        fans.publish("fan/messages/path-well", ours("path-well", now, 1))
        fans.publish("fan/messages/path-broken", ours("path-broken", now, 1, **broken))
    assert [point["fault"] for point in influxdb.wait_points("anomaly", "path-well", 1)] == [0]
    assert [point["fault"] for point in influxdb.wait_points("anomaly", "path-broken", 1)] == [1]


def test_a_message_sent_twice_is_one_point(mosquitto: Mosquitto, influxdb: InfluxDB) -> None:
    now = datetime.now(UTC)
    with mosquitto.connect("simulator") as fans:
        for seq in (1, 1, 2):
            fans.publish("fan/messages/path-twice", ours("path-twice", now, seq))
    for measurement in ("telemetry", "anomaly"):
        points = influxdb.wait_points(measurement, "path-twice", 2)
        assert [point["seq"] for point in points] == [1, 2]


def bad_payloads(now: datetime) -> dict[str, tuple[str, bytes]]:
    """The rows of the README's table that end in fan/rejected: its reason, and the payload."""
    good = json.loads(ours("path-bad", now, 1))

    def but(**change: object) -> bytes:
        return json.dumps(good | change).encode()

    return {
        "not JSON": ("not_a_reading", b"rotation=600"),
        "empty": ("not_a_reading", b""),
        "bad UTF-8": ("not_a_reading", b"\xff\xfe"),
        "deeply nested": ("not_a_reading", b"[" * 10_000),
        "wrong type": ("not_a_reading", but(rotation="fast")),
        "JSON boolean": ("not_a_reading", but(rotation=True)),
        "missing signal": (
            "signal_missing",
            json.dumps({k: v for k, v in good.items() if k != "sound"}).encode(),
        ),
        "NaN": ("not_finite", but(rotation=float("nan"))),
        "out of range": ("out_of_range", but(rotation=-5.0)),
        "unknown device characters": ("not_a_reading", but(deviceID="fan 5/#")),
        "another's name": ("wrong_device", but(deviceID="somebody-else")),
        "1 MB": ("too_large", but(comment="x" * 1_000_000)),
        "clock a day ahead": ("time_ahead", but(timeStamp=format_timestamp(now + timedelta(days=1)))),
        "older than the history": ("time_too_old", but(timeStamp=format_timestamp(now - timedelta(days=30)))),
        "no time": ("not_a_reading", but(timeStamp="today")),
    }


def test_every_bad_payload_is_dead_lettered_with_its_reason_and_everything_behind_it_arrives(
    mosquitto: Mosquitto, influxdb: InfluxDB
) -> None:
    now = datetime.now(UTC)
    bad = bad_payloads(now)
    with mosquitto.connect("monitor") as dead_letters, mosquitto.connect("simulator") as fans:
        dead_letters.subscribe("fan/rejected")
        sent: list[tuple[str, bytes | str]] = []
        for seq, (_, payload) in enumerate(bad.values()):
            moment = now + timedelta(milliseconds=seq)
            sent.append(("fan/messages/path-bad", payload))
            sent.append(("fan/messages/path-good", ours("path-good", moment, seq)))
        fans.publish_all(sent)
        rejections = wait_rejections(dead_letters, len(bad))
    assert Counter(r["reason"] for r in rejections) == Counter(reason for reason, _ in bad.values())
    assert all(
        len(r["payload"]) <= 4 * 4096 and r["detail"] and r["deviceID"] in {None, "path-bad"}
        for r in rejections
    )
    for measurement in ("telemetry", "anomaly"):
        assert len(influxdb.wait_points(measurement, "path-good", len(bad))) == len(bad)


def test_a_weekend_old_backlog_is_welcome(mosquitto: Mosquitto, influxdb: InfluxDB) -> None:
    friday = datetime.now(UTC) - timedelta(days=3)
    with mosquitto.connect("simulator") as fans:
        fans.publish_all(
            [
                ("fan/messages/path-weekend", ours("path-weekend", friday + timedelta(seconds=n), n))
                for n in range(100)
            ]
        )
    for measurement in ("telemetry", "anomaly"):
        assert len(influxdb.wait_points(measurement, "path-weekend", 100)) == 100


def test_the_predictors_figures_and_its_status_reach_influxdb(
    influxdb: InfluxDB, predictor: Predictor
) -> None:
    assert predictor.metric("fanwatch_predictor_verdicts_published_total") > 0

    def status() -> bool:
        rows = influxdb.query('SELECT last("online") FROM "service" WHERE "service" = \'predictor\'')
        return bool(rows) and rows[0]["last"] == 1

    wait_until(status, within_s=30, what="the predictor's status in InfluxDB")
