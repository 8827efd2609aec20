"""The main path through the shipped docker-compose.yml, and that what it stored outlives the containers."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from testbed.containers import Stack, kill, sign_in
from testbed.waiting import wait_until

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PER_GENERATION = 500
FANS = 5


@dataclass(frozen=True)
class Sent:
    """One numbered reading; rotation is 500 r/min and its number in thousandths."""

    device: str
    time_ns: int
    rotation: float
    topic: str
    payload: str


def _signals(number: int) -> dict[str, float]:
    return {"rotation": round(500 + number / 1000, 3), "temperature": 21.0, "vibration": 180.0, "sound": 60.0}


def _second_generation(number: int, start: datetime) -> Sent:
    device = f"compose-{number % FANS + 1}"
    moment = start + timedelta(milliseconds=137 * number)
    body = {
        "deviceID": device,
        "timeStamp": moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z",
        "seq": number,
        "bootID": "compose",
        **_signals(number),
    }
    milliseconds = (moment - EPOCH) // timedelta(milliseconds=1)
    return Sent(
        device,
        milliseconds * 1_000_000 + number,
        _signals(number)["rotation"],
        f"fan/messages/{device}",
        json.dumps(body),
    )


def _first_generation(number: int, start: datetime) -> Sent:
    device = f"9{number % FANS + 1}"
    moment = start.replace(microsecond=0) + timedelta(seconds=number // FANS)
    body = {"deviceID": device, "timeStamp": moment.strftime("%Y-%m-%d %H:%M:%S"), **_signals(number)}
    return Sent(
        device,
        int(moment.timestamp()) * 1_000_000_000,
        _signals(number)["rotation"],
        "fan/messages",
        json.dumps(body),
    )


@pytest.fixture(scope="module")
def sent() -> list[Sent]:
    start = datetime.now(UTC) - timedelta(minutes=10)
    return [
        make(number, start)
        for number in range(PER_GENERATION)
        for make in (_second_generation, _first_generation)
    ]


def _stored(stack: Stack, measurement: str, field: str) -> list[tuple[str, int, float]]:
    rows = stack.query(
        f'SELECT "{field}" AS value FROM "fan"."raw"."{measurement}"'
        ' WHERE "deviceID" =~ /^(compose-[1-5]|9[1-5])$/ GROUP BY "deviceID"'
    )
    return sorted((row["deviceID"], row["time"], row["value"]) for row in rows)


def _expect_all(stack: Stack, sent: list[Sent]) -> None:
    """Each reading once in telemetry, with its own value, and once in anomaly, both at the sensor's time."""
    expected = sorted((one.device, one.time_ns, one.rotation) for one in sent)
    wait_until(
        lambda: (
            len(_stored(stack, "anomaly", "probability")) >= len(sent)
            and len(_stored(stack, "telemetry", "rotation")) >= len(sent)
        ),
        within_s=120,
        what=f"{len(sent)} readings in telemetry and in anomaly",
    )
    assert _stored(stack, "telemetry", "rotation") == expected
    verdicts = _stored(stack, "anomaly", "probability")
    assert [(device, time) for device, time, _ in verdicts] == [
        (device, time) for device, time, _ in expected
    ]
    assert all(0 <= probability <= 1 for _, _, probability in verdicts)


def test_a_thousand_readings_of_both_generations_arrive_once_and_a_bad_one_among_them_is_a_dead_letter(
    stack: Stack, sent: list[Sent]
) -> None:
    watcher = sign_in("monitor", stack.password("mqtt-monitor"))
    fans = sign_in("simulator", stack.password("mqtt-simulator"))
    legacy = sign_in("legacy", stack.password("mqtt-legacy"))
    try:
        watcher.subscribe("fan/rejected")
        half = len(sent) // 2
        for part in (sent[:half], sent[half:]):
            fans.publish_all([(one.topic, one.payload) for one in part if one.topic != "fan/messages"])
            legacy.publish_all([(one.topic, one.payload) for one in part if one.topic == "fan/messages"])
            if part is not sent[half:]:
                legacy.publish("fan/messages", "{not JSON")
        assert b"{not JSON" in watcher.next(60).payload
        _expect_all(stack, sent)
    finally:
        for client in (watcher, fans, legacy):
            client.close()


def test_a_predictor_that_is_killed_comes_back_by_itself_and_no_reading_is_lost(
    stack: Stack, sent: list[Sent]
) -> None:
    victim = stack.containers()["predictor"]
    start = datetime.now(UTC) - timedelta(minutes=20)
    more = [_second_generation(number, start) for number in range(1000, 1100)]
    fans = sign_in("simulator", stack.password("mqtt-simulator"))
    try:
        kill(victim["State"]["Pid"])
        fans.publish_all([(one.topic, one.payload) for one in more])
        sent += more
        _expect_all(stack, sent)
    finally:
        fans.close()
    again = stack.containers()["predictor"]
    assert again["Id"] == victim["Id"]
    assert again["RestartCount"] == 1


def test_the_data_is_still_there_after_down_and_up_and_a_real_site_starts_without_simulated_fans(
    stack: Stack, sent: list[Sent]
) -> None:
    password = stack.password("mqtt-legacy")
    stack.down()
    assert not stack.compose("ps", "--all", "--quiet").strip()
    stack.up("--scale", "simulator=0")
    assert "simulator" not in stack.containers()
    _expect_all(stack, sent)
    assert stack.password("mqtt-legacy") == password
    # And what arrives now is stored as well: the credentials still fit everywhere.
    later = [_first_generation(number, datetime.now(UTC) - timedelta(minutes=5)) for number in range(10)]
    client = sign_in("legacy", password)
    try:
        client.publish_all([(one.topic, one.payload) for one in later])
        _expect_all(stack, [*sent, *later])
    finally:
        client.close()
