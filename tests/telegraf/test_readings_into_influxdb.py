"""What becomes of each payload between broker and InfluxDB: stored or dropped, never stuck."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from contract.alarm import Alarm, AlarmContribution, AlarmPriority, AlarmState, AlarmTransition
from monitor.alarms.lifecycle import HIDDEN
from testbed.influxdb import InfluxDB, nanoseconds
from testbed.mosquitto import Mosquitto
from testbed.readings import now_ms, reading, rfc3339, verdict
from testbed.telegraf import Telegraf

# When the tests were collected, minutes ago in a long run: what lies at the edge of plausible is made when it is sent.
NOW = now_ms()
SECOND = NOW.replace(microsecond=0)
SIGNALS = {"rotation": 600.0, "temperature": 25.5, "vibration": 120.25, "sound": 70.0}


@dataclass(frozen=True)
class Stored:
    """A payload and the one point that it becomes."""

    name: str
    payload: str | bytes
    time: int | None = None
    """None is the moment that the row was made for."""
    fields: dict[str, Any] = field(default_factory=lambda: dict(SIGNALS))
    topic: str = "fan/messages"


def without(signal: str) -> dict[str, Any]:
    return {name: value for name, value in SIGNALS.items() if name != signal}


def at(text: str, time: datetime, name: str) -> Stored:
    return Stored(f"time_{name}", reading(f"time_{name}", text), nanoseconds(time))


ODD_NAMES = dict.fromkeys(["", "a b", "a\nb", "time", "\u00fc", "_x", "x" * 65, "deviceid"], 1)
SIXTY_FOUR = {f"s{i}": float(i) for i in range(64)}


def stored(now: datetime) -> list[Stored]:
    """What is stored, as seen from a moment: some lie just inside of what is plausible then."""
    second = now.replace(microsecond=0)
    return [
        Stored(
            "ours",
            reading("ours", now, seq=7, bootID="b-1"),
            nanoseconds(now) + 7,
            SIGNALS | {"seq": 7, "bootID": "b-1"},
        ),
        Stored("own_topic", reading("own_topic", now), topic="fan/messages/own_topic"),
        at(f"{second:%Y-%m-%d %H:%M:%S}", second, "of_the_first_generation"),
        at(f"{second:%Y-%m-%dT%H:%M:%S}", second, "with_T_and_no_zone"),
        at(
            f"{second:%Y-%m-%d %H:%M:%S}.25",
            second + timedelta(milliseconds=250),
            "with_fraction_and_no_zone",
        ),
        at(f"{second:%Y-%m-%dT%H:%M:%S}Z", second, "without_fraction"),
        at(f"{second:%Y-%m-%dT%H:%M:%S}.9Z", second + timedelta(milliseconds=900), "with_tenths"),
        at(
            f"{second:%Y-%m-%dT%H:%M:%S}.123999999Z",
            second + timedelta(milliseconds=123),
            "with_nanoseconds_is_cut_not_rounded",
        ),
        at(rfc3339(now.astimezone(timezone(timedelta(hours=5, minutes=30)))), now, "with_offset_east"),
        at(rfc3339(now.astimezone(timezone(-timedelta(hours=8)))), now, "with_offset_west"),
        at(rfc3339(now - timedelta(days=3)), now - timedelta(days=3), "of_a_weekend_ago"),
        at(
            rfc3339(now - timedelta(days=28, hours=23)),
            now - timedelta(days=28, hours=23),
            "of_nearly_the_raw_retention_ago",
        ),
        at(rfc3339(now + timedelta(minutes=4)), now + timedelta(minutes=4), "four_minutes_ahead"),
        Stored(
            "seq_wraps",
            reading("seq_wraps", now, seq=3_000_005),
            nanoseconds(now) + 5,
            SIGNALS | {"seq": 3_000_005},
        ),
        Stored("seq_is_negative", reading("seq_is_negative", now, seq=-4), fields=SIGNALS | {"seq": -4}),
        Stored(
            "seq_is_a_fraction", reading("seq_is_a_fraction", now, seq=1.5), fields=SIGNALS | {"seq": 1.5}
        ),
        Stored("seq_is_true", reading("seq_is_true", now, seq=True)),
        Stored("one_boolean", reading("one_boolean", now, rotation=True), fields=without("rotation")),
        Stored("one_text", reading("one_text", now, sound="70"), fields=without("sound")),
        Stored("one_null", reading("one_null", now, sound=None), fields=without("sound")),
        Stored("one_huge_integer", reading("one_huge_integer", now, more=10**400)),
        Stored("nested", reading("nested", now, more={"a": 1}, list=[1, 2])),
        Stored("bootID_is_a_number", reading("bootID_is_a_number", now, bootID=5)),
        Stored("odd_names", reading("odd_names", now, **ODD_NAMES), fields=SIGNALS | {"deviceid": 1}),
        Stored(
            "pump",
            json.dumps({"deviceID": "pump", "timeStamp": rfc3339(now)} | SIXTY_FOUR),
            fields=SIXTY_FOUR,
        ),
        Stored("sixteen_KiB", reading("sixteen_KiB", now, note="x" * 16_000)),
        Stored("d" * 64, reading("d" * 64, now)),
        Stored("A-b_c.9", reading("A-b_c.9", now)),
    ]


def bad(name: str, payload: str | bytes, topic: str = "fan/messages") -> tuple[str, str | bytes, str]:
    return name, payload, topic


def dropped(now: datetime) -> list[tuple[str, str | bytes, str]]:
    """What is dropped, as seen from a moment: some lie just outside of what is plausible then."""
    return [
        bad("empty", b""),
        bad("not_JSON", b"rotation=600"),
        bad("cut_short", reading("cut_short", now)[:-20]),
        bad(
            "not_UTF8",
            b'{"deviceID":"not_UTF8\xff\xfe","timeStamp":"' + rfc3339(now).encode() + b'","rotation":1}',
        ),
        bad("zero_byte", b'\x00{"deviceID":"zero_byte"'),
        bad("list", json.dumps([reading("list", now)])),
        bad("text", json.dumps(reading("text", now))),
        bad("number", "17"),
        bad("NaN", reading("NaN", now, rotation=float("nan"))),
        bad("infinity", reading("infinity", now, rotation=float("inf"))),
        bad("no_device", json.dumps({"timeStamp": rfc3339(now), "rotation": 1})),
        bad("device_is_a_number", reading("device_is_a_number", now, deviceID=5)),
        bad("device_is_null", reading("device_is_null", now, deviceID=None)),
        bad("device_is_empty", reading("device_is_empty", now, deviceID="")),
        bad("device_has_a_space", reading("device has a space", now)),
        bad("device_has_a_comma", reading("device,has=comma", now)),
        bad("device_has_a_newline", reading("device\ntelemetry,deviceID=x rotation=1", now)),
        bad("device_is_too_long", reading("e" * 65, now)),
        bad("device_of_another_topic", reading("device_of_another_topic", now), "fan/messages/5"),
        bad("topic_too_deep", reading("topic_too_deep", now), "fan/messages/topic_too_deep/x"),
        bad("no_time", json.dumps({"deviceID": "no_time", "rotation": 1})),
        bad("time_is_a_number", reading("time_is_a_number", now, timeStamp=now.timestamp())),
        bad("time_is_empty", reading("time_is_empty", "")),
        *(
            bad(f"time_{number}", reading(f"time_{number}", text))
            for number, text in enumerate(
                [
                    "yesterday at about noon",
                    "2026-02-30T12:00:00Z",
                    "2026-02-29 12:00:00",
                    "2026-13-01T12:00:00Z",
                    "2026-00-01T12:00:00Z",
                    "2026-01-00T12:00:00Z",
                    "2026-01-01T24:00:00Z",
                    "2026-01-01T12:60:00Z",
                    "2026-01-01T12:00:61Z",
                    "2026-01-01T12:00:00.Z",
                    "2026-01-01T12:00:00.1.2Z",
                    "2026-01-01T12:00:00+0100",
                    "2026-01-01T12:00:00+01:00Z",
                    "2026-01-01T12:00:00+24:00",
                    "2026-01-01T12:00:00 UTC",
                    "2026-1-1T12:00:00Z",
                    "0000-01-01T00:00:00Z",
                    "9999-12-31T23:59:59-23:59",
                    "-026-01-01T12:00:00Z",
                    "\u0662\u0660\u0662\u0666-01-01T12:00:00Z",
                    "2021-01-31 12:00:00",
                    rfc3339(now - timedelta(days=29, minutes=10)),
                    rfc3339(now + timedelta(minutes=6)),
                    rfc3339(now + timedelta(days=1)),
                ]
            )
        ),
        bad("no_signal", json.dumps({"deviceID": "no_signal", "timeStamp": rfc3339(now), "seq": 3})),
        bad(
            "only_booleans",
            json.dumps({"deviceID": "only_booleans", "timeStamp": rfc3339(now), "rotation": True}),
        ),
        bad("too_many_signals", reading("too_many_signals", now, **{f"s{i}": i for i in range(64)})),
        bad("over_16_KiB", reading("over_16_KiB", now, note="x" * 17_000)),
        bad("of_1_MB", reading("of_1_MB", now, note="x" * 1_000_000)),
        bad("deep", '{"deviceID":"deep","x":' + "[" * 8000),
        bad("very_deep", "[" * 1_000_000),
        bad(
            "exponent",
            reading("exponent", now)
            .replace("120.25", "1e999")
            .replace('"rotation": 600', '"rotation": -1e999'),
        ),
    ]


@pytest.fixture(scope="module")
def everything_sent(mosquitto: Mosquitto, influxdb: InfluxDB, telegraf: Telegraf) -> datetime:
    """All payloads of this file in one go, each bad one before a good one; Telegraf is done with all of them.

    The moment that they were made for is returned.
    """
    now = now_ms()
    with mosquitto.connect("simulator") as fans:
        fans.publish_all([(topic, payload) for _, payload, topic in dropped(now)])
        fans.publish_all([(row.topic, row.payload) for row in stored(now)] * 2)
        fans.publish("fan/messages", reading("behind-everything", now))
        influxdb.wait_points("telemetry", "behind-everything", 1)
    return now


@pytest.mark.parametrize("name", [row.name for row in stored(NOW)], ids=lambda name: name[:40])
def test_a_reading_sent_twice_is_stored_once_at_the_sensors_millisecond(
    name: str, influxdb: InfluxDB, everything_sent: datetime
) -> None:
    row = next(row for row in stored(everything_sent) if row.name == name)
    [point] = influxdb.wait_points("telemetry", row.name, 1)
    assert point["time"] == (nanoseconds(everything_sent) if row.time is None else row.time)
    found = {k: v for k, v in point.items() if v is not None and k not in {"time", "deviceID", "name"}}
    assert found == row.fields


@pytest.mark.parametrize("name", [name for name, _, _ in dropped(NOW)])
@pytest.mark.usefixtures("everything_sent")
def test_what_is_no_reading_is_dropped(name: str, influxdb: InfluxDB) -> None:
    assert influxdb.points("telemetry", name) == []


@pytest.mark.usefixtures("everything_sent")
def test_no_payload_makes_the_script_fail_or_influxdb_refuse(telegraf: Telegraf) -> None:
    said = [event["msg"] for event in telegraf.events() if event.get("plugin") in {"starlark", "influxdb_v2"}]
    assert said == []


@pytest.mark.usefixtures("everything_sent")
def test_every_number_is_a_float_and_the_device_is_the_only_tag(
    mosquitto: Mosquitto, influxdb: InfluxDB, telegraf: Telegraf
) -> None:
    with mosquitto.connect("predictor") as predictor:
        predictor.publish("fan/anomaly", verdict("types", NOW, seq=1, bootID="b"))
    influxdb.wait_points("anomaly", "types", 1)
    for measurement in ("telemetry", "anomaly"):
        types = {
            row["fieldKey"]: row["fieldType"]
            for row in influxdb.query(f'SHOW FIELD KEYS FROM "{measurement}"')
        }
        assert {name for name, kind in types.items() if kind != "float"} <= {"bootID", "model"}
        assert [row["tagKey"] for row in influxdb.query(f'SHOW TAG KEYS FROM "{measurement}"')] == [
            "deviceID"
        ]


def test_a_verdict_is_stored_without_its_copy_of_the_signals(
    mosquitto: Mosquitto, influxdb: InfluxDB, telegraf: Telegraf
) -> None:
    with mosquitto.connect("predictor") as predictor:
        predictor.publish("fan/anomaly/v1", verdict("v1", NOW, seq=5, bootID="b"))
        predictor.publish("fan/anomaly", verdict("v2", f"{SECOND:%Y-%m-%d %H:%M:%S}", fault=0))
    [ours] = influxdb.wait_points("anomaly", "v1", 1)
    assert ours["time"] == nanoseconds(NOW) + 5
    wanted = {"fault": 1, "probability": 0.875, "model": "fan:3", "seq": 5, "bootID": "b"}
    assert {k: v for k, v in ours.items() if k not in {"time", "deviceID", "name"}} == wanted
    [first] = influxdb.wait_points("anomaly", "v2", 1)
    assert (first["time"], first["fault"]) == (nanoseconds(SECOND), 0)


def test_a_redelivered_reading_that_a_newer_model_scored_replaces_its_verdict(
    mosquitto: Mosquitto, influxdb: InfluxDB, telegraf: Telegraf
) -> None:
    with mosquitto.connect("predictor") as predictor:
        predictor.publish("fan/anomaly", verdict("rescored", NOW, model="fan:3"))
        predictor.publish("fan/anomaly", verdict("rescored", NOW, model="fan:4"))
        predictor.publish("fan/anomaly", verdict("rescored", NOW + timedelta(seconds=1), model="fan:4"))
    first, second = influxdb.wait_points("anomaly", "rescored", 2)
    assert (first["model"], second["model"]) == ("fan:4", "fan:4")


@pytest.mark.parametrize(
    "broken", [{"fault": True}, {"fault": None}, {"probability": "0.5"}, {"timeStamp": "soon"}]
)
def test_a_broken_verdict_is_dropped(
    mosquitto: Mosquitto, influxdb: InfluxDB, telegraf: Telegraf, broken: dict[str, Any]
) -> None:
    name = f"broken-{next(iter(broken))}-{next(iter(broken.values()))}"
    with mosquitto.connect("predictor") as predictor:
        predictor.publish("fan/anomaly", verdict(name, NOW, **broken))
        predictor.publish("fan/anomaly", verdict(f"{name}-next", NOW))
    influxdb.wait_points("anomaly", f"{name}-next", 1)
    assert influxdb.points("anomaly", name) == []


def alarm(name: str, seq: int, **changed: object) -> str:
    """An alarm as the monitor publishes it, or with something changed in it."""
    body = Alarm(
        deviceID=name,
        timeStamp=rfc3339(NOW),
        seq=seq,
        state=AlarmState.ACKNOWLEDGED,
        since=rfc3339(NOW - timedelta(seconds=5)),
        active=1,
        alarmID=7,
        kind="machine_fault",
        priority=AlarmPriority.HIGH,
        raisedAt=rfc3339(NOW - timedelta(seconds=60)),
        why='Vibration 231 (usual 100 to 200): look at the "Lüfter"\\.',
        inspect="bearing\nand belt",
        contributions=(
            AlarmContribution(
                signal="vibration", value=231, unit="", usualLow=100, usualHigh=200, share=0.75
            ),
        ),
        acknowledgedBy="Anna Ø",
        shelvedUntil=rfc3339(NOW),
    )
    return json.dumps(json.loads(body.to_json()) | changed)


def test_an_alarm_keeps_its_state_its_numbers_and_its_words(
    mosquitto: Mosquitto, influxdb: InfluxDB, telegraf: Telegraf
) -> None:
    with mosquitto.connect("monitor") as monitor:
        monitor.publish("fan/alarms/al", alarm("al", 1_000_012), retain=True)
        monitor.publish("fan/alarms/al", b"", retain=True)
    [point] = influxdb.wait_points("alarm", "al", 1)
    assert point.pop("time") == nanoseconds(NOW) + 12
    assert {
        name: value for name, value in point.items() if value is not None and name not in {"name", "deviceID"}
    } == {
        "state": "acknowledged",
        "active": 1,
        "priority": 1,
        "alarmID": 7,
        "seq": 1_000_012,
        "kind": "machine_fault",
        "why": 'Vibration 231 (usual 100 to 200): look at the "Lüfter"\\.',
        "inspect": "bearing\nand belt",
        "acknowledgedBy": "Anna Ø",
        "inView": 1,
        "unacknowledged": 0,
        "raised": nanoseconds(NOW - timedelta(seconds=60)) // 1_000_000,
    }


@pytest.mark.parametrize("state", AlarmState)
def test_of_every_state_it_is_told_in_numbers_whether_it_is_in_view_and_unacknowledged(
    mosquitto: Mosquitto, influxdb: InfluxDB, telegraf: Telegraf, state: AlarmState
) -> None:
    name = f"in-{state.value}"
    with mosquitto.connect("monitor") as monitor:
        monitor.publish(f"fan/alarms/{name}", alarm(name, 1, state=state.value))
    [point] = influxdb.wait_points("alarm", name, 1)
    assert point["inView"] == (state is not AlarmState.NORMAL and state not in HIDDEN)
    assert point["unacknowledged"] == (state is AlarmState.UNACKNOWLEDGED)


def journal_line(name: str, seq: int, **changed: object) -> str:
    """A line of the journal as the monitor publishes it, or with something changed in it."""
    body = AlarmTransition(
        deviceID=name,
        timeStamp=rfc3339(NOW),
        seq=seq,
        kind="wear",
        priority=AlarmPriority.MEDIUM,
        alarmID=8,
        before=AlarmState.NORMAL,
        state=AlarmState.UNACKNOWLEDGED,
        cause="raised",
        called=1,
        why="Worn out in 6 to 9 days.",
    )
    return json.dumps(json.loads(body.to_json()) | changed)


def test_a_line_of_the_journal_is_a_point_of_its_own_beside_the_alarm(
    mosquitto: Mosquitto, influxdb: InfluxDB, telegraf: Telegraf
) -> None:
    with mosquitto.connect("monitor") as monitor:
        for _ in range(2):  # a second delivery adds none
            monitor.publish("fan/alarms/jo/journal", journal_line("jo", 1_000_013))
        monitor.publish("fan/alarms/jo/journal", journal_line("jo", 14, kind="silence", who="Anna Ø"))
        for bad in ({"kind": "on fire"}, {"kind": None}, {"state": 7}, {"deviceID": "other"}):
            monitor.publish("fan/alarms/jo/journal", journal_line("jo", 15, **bad))
        monitor.publish("fan/alarms/jo/another", journal_line("jo", 16))
        monitor.publish("fan/alarms/jo", alarm("jo", 17))
    influxdb.wait_points("alarm", "jo", 1)
    first, second = sorted(influxdb.wait_points("alarm_journal", "jo", 2), key=lambda point: point["kind"])[
        ::-1
    ]
    assert (second["kind"], second["who"]) == ("silence", "Anna Ø")
    assert first.pop("time") == nanoseconds(NOW) + 13
    assert {name: value for name, value in first.items() if value is not None and name != "name"} == {
        "deviceID": "jo",
        "kind": "wear",
        "priority": 2,
        "alarmID": 8,
        "seq": 1_000_013,
        "before": "normal",
        "state": "unacknowledged",
        "cause": "raised",
        "called": 1,
        "inView": 1,
        "unacknowledged": 1,
        "why": "Worn out in 6 to 9 days.",
    }


def test_changes_of_an_alarm_within_one_millisecond_are_all_kept_and_a_second_delivery_adds_none(
    mosquitto: Mosquitto, influxdb: InfluxDB, telegraf: Telegraf
) -> None:
    states = ("unacknowledged", "acknowledged", "normal")
    with mosquitto.connect("monitor") as monitor:
        for _ in range(2):
            for seq, state in enumerate(states):
                monitor.publish("fan/alarms/quick", alarm("quick", seq, state=state))
        monitor.publish("fan/alarms/behind", alarm("behind", 9))
    influxdb.wait_points("alarm", "behind", 1)
    assert tuple(point["state"] for point in influxdb.points("alarm", "quick")) == states


@pytest.mark.parametrize(
    "broken",
    [{"state": 7}, {"state": None}, {"state": "on fire"}, {"timeStamp": None}, {"deviceID": "other"}],
)
def test_a_broken_alarm_is_dropped(
    mosquitto: Mosquitto, influxdb: InfluxDB, telegraf: Telegraf, broken: dict[str, Any]
) -> None:
    key, value = next(iter(broken.items()))
    name = f"bad-alarm-{key}-{str(value).replace(' ', '')}"
    with mosquitto.connect("monitor") as monitor:
        monitor.publish(f"fan/alarms/{name}", alarm(name, 1, **broken))
        monitor.publish(f"fan/alarms/{name}-next", alarm(f"{name}-next", 2))
    influxdb.wait_points("alarm", f"{name}-next", 1)
    assert influxdb.points("alarm", name) == influxdb.points("alarm", "other") == []


def test_words_of_another_type_or_too_long_are_left_out_and_the_alarm_is_kept(
    mosquitto: Mosquitto, influxdb: InfluxDB, telegraf: Telegraf
) -> None:
    odd = {
        "why": "x" * 2001,
        "inspect": 7.5,
        "acknowledgedBy": True,
        "kind": ["machine_fault"],
        "active": True,
    }
    with mosquitto.connect("monitor") as monitor:
        monitor.publish("fan/alarms/odd-words", alarm("odd-words", 1, **odd))
    [point] = influxdb.wait_points("alarm", "odd-words", 1)
    assert point["state"] == "acknowledged"
    for name in ("why", "acknowledgedBy", "kind", "active"):
        assert point.get(name) is None


def test_more_bad_messages_than_may_be_unacknowledged_do_not_hold_up_the_good_ones(
    mosquitto: Mosquitto, influxdb: InfluxDB, telegraf: Telegraf
) -> None:
    kinds = [payload for _, payload, _ in dropped(now_ms()) if len(payload) < 1000]
    poison = [("fan/messages", kinds[i % len(kinds)]) for i in range(1500)]
    good = [("fan/messages", reading("good", NOW, seq=i)) for i in range(1500)]
    mixed = [message for pair in zip(poison, good, strict=True) for message in pair]
    with mosquitto.connect("simulator") as fans:
        fans.publish_all(mixed)
    points = influxdb.wait_points("telemetry", "good", 1500)
    assert sorted(point["seq"] for point in points) == list(range(1500))


def test_readings_of_one_millisecond_are_told_apart_by_their_seq_only(
    mosquitto: Mosquitto, influxdb: InfluxDB, telegraf: Telegraf
) -> None:
    with mosquitto.connect("simulator") as fans:
        fans.publish_all([("fan/messages", reading("no-seq", SECOND, rotation=i)) for i in range(5)])
        fans.publish_all([("fan/messages", reading("with-seq", SECOND, seq=i, rotation=i)) for i in range(5)])
    assert len(influxdb.wait_points("telemetry", "with-seq", 5)) == 5
    [last] = influxdb.points("telemetry", "no-seq")
    assert last["rotation"] == 4, "without seq the last reading of a time wins"
