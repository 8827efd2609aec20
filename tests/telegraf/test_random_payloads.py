"""Payloads that nobody thought of: what arrives is stored or dropped, and the next good reading is stored."""

import json
import random
from collections.abc import Callable
from datetime import datetime

from contract.alarm import Alarm, AlarmPriority, AlarmState, AlarmTransition
from testbed.influxdb import InfluxDB
from testbed.mosquitto import Mosquitto
from testbed.readings import now_ms, reading, rfc3339, verdict
from testbed.telegraf import Telegraf

SEED = 20261123
COUNT = 3000
PIECES = [
    "",
    "0",
    "-",
    "1e999",
    "-0",
    "true",
    "null",
    "NaN",
    "{}",
    "[]",
    '""',
    '"\\ud800"',
    "\\",
    '"',
    ",",
    ":",
    "Z",
    "+01:00",
    " ",
]
VALUES = [
    None,
    True,
    -1,
    0,
    1.5,
    2**53,
    10**30,
    -(10**200),
    1e308,
    "",
    "x",
    "1",
    [],
    [1],
    {},
    {"a": 1},
    "\u0000",
    "\ud7ff",
]


def alarm(device: str, time: datetime, *, seq: int) -> str:
    """An alarm as the monitor publishes it."""
    return Alarm.model_construct(
        device_id=device,
        time_stamp=rfc3339(time),
        seq=seq,
        state=AlarmState.UNACKNOWLEDGED,
        since=rfc3339(time),
        active=1,
        alarm_id=1,
        kind="silence",
        priority=AlarmPriority.LOW,
        why="It is silent.",
        acknowledged_by="Anna",
    ).model_dump_json(by_alias=True)


def journal_line(device: str, time: datetime, *, seq: int) -> str:
    """A line of the journal of alarms."""
    return AlarmTransition.model_construct(
        device_id=device,
        time_stamp=rfc3339(time),
        seq=seq,
        kind="silence",
        priority=AlarmPriority.LOW,
        alarm_id=1,
        before=AlarmState.NORMAL,
        state=AlarmState.UNACKNOWLEDGED,
        cause="raised",
        called=1,
        who=None,
        why="It is silent.",
    ).model_dump_json(by_alias=True)


def mutilated(chance: random.Random) -> bytes:
    """A reading or verdict with something replaced, cut or put in."""
    makers: list[Callable[..., str]] = [reading, verdict, alarm, journal_line]
    make = chance.choice(makers)
    body = json.loads(make(chance.choice(["random", "r", "a b"]), now_ms(), seq=chance.randrange(10)))
    for _ in range(chance.randrange(3)):
        body[chance.choice([*body, "more", "time", ""])] = chance.choice(VALUES)
    time = body.get("timeStamp")
    if chance.random() < 0.5 and isinstance(time, str) and time:
        place = chance.randrange(len(time))
        body["timeStamp"] = (
            time[:place] + chance.choice([*PIECES, *"0123456789T-:."]) + time[place + chance.randrange(3) :]
        )
    text = json.dumps(body, ensure_ascii=chance.random() < 0.5)
    if chance.random() < 0.5:
        place = chance.randrange(len(text))
        text = text[:place] + chance.choice(PIECES) + text[place + chance.randrange(4) :]
    return text.encode("utf-8", "surrogatepass")


def test_no_random_payload_makes_the_script_fail_or_influxdb_refuse(
    mosquitto: Mosquitto, influxdb: InfluxDB, telegraf: Telegraf
) -> None:
    chance = random.Random(SEED)
    topics = (
        ("simulator", "fan/messages"),
        ("predictor", "fan/anomaly"),
        ("monitor", "fan/alarms/random"),
        ("monitor", "fan/alarms/random/journal"),
    )
    for user, topic in topics:
        with mosquitto.connect(user) as sender:
            sender.publish_all([(topic, mutilated(chance)) for _ in range(COUNT // len(topics))])
    with mosquitto.connect("simulator") as fan, mosquitto.connect("predictor") as predictor:
        fan.publish("fan/messages", reading("behind-random"))
        predictor.publish("fan/anomaly", verdict("behind-random"))
    with mosquitto.connect("monitor") as monitor:
        monitor.publish("fan/alarms/behind-random", alarm("behind-random", now_ms(), seq=1))
        line = journal_line("behind-random", now_ms(), seq=2)
        monitor.publish("fan/alarms/behind-random/journal", line)
    for measurement in ("telemetry", "anomaly", "alarm", "alarm_journal"):
        influxdb.wait_points(measurement, "behind-random", 1)
    assert len(influxdb.points("alarm", "random")) > 1
    assert len(influxdb.points("alarm_journal", "random")) > 1
    assert len(influxdb.points("telemetry", "random")) > 1
    said = [event["msg"] for event in telegraf.events() if event.get("plugin") in {"starlark", "influxdb_v2"}]
    assert said == []
