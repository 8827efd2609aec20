"""What a fleet sends: the contract's readings, numbered without a gap and on time, with the truth beside them."""

import json
from collections import Counter
from pathlib import Path

from contract.command import Condition, FanCommand
from contract.reading import Reading
from contract.topics import Topics
from simulator.fan import Fan
from simulator.fleet import Fleet, Generation, Message, Voice
from simulator.truth import TruthLog
from tests.simulator.steered_clock import START, SteeredClock


def fleet_of(
    clock: SteeredClock,
    count: int = 3,
    *,
    rate: float = 1.0,
    generation: Generation = Generation.SECOND,
    truth: TruthLog | None = None,
) -> Fleet:
    fans = [Fan(str(number), seed=1, now_s=clock.monotonic()) for number in range(1, count + 1)]
    return Fleet(fans, rate=rate, voice=Voice(Topics(), generation, "boot1"), clock=clock, truth=truth)


def run(fleet: Fleet, clock: SteeredClock, seconds: float, step_s: float = 0.1) -> list[Message]:
    messages = list(fleet.due())
    for _ in range(round(seconds / step_s)):
        clock.advance(step_s)
        messages += fleet.due()
    return messages


def test_every_fan_gets_its_rate_and_its_numbers_have_no_gap() -> None:
    clock = SteeredClock()
    readings = [Reading.from_json(m.payload) for m in run(fleet_of(clock, rate=2.0), clock, 10)]
    for device in ("1", "2", "3"):
        numbers = [reading.seq for reading in readings if reading.device_id == device]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) in {20, 21}


def test_a_large_fleet_is_spread_evenly_over_the_period() -> None:
    clock = SteeredClock()
    fleet = fleet_of(clock, 1000, rate=1.0)
    list(fleet.due())
    each_tenth = []
    for _ in range(10):
        clock.advance(0.1)
        each_tenth.append(len(list(fleet.due())))
    assert max(each_tenth) - min(each_tenth) <= 2


def test_ours_go_to_their_own_topic_with_milliseconds_number_and_boot() -> None:
    clock = SteeredClock()
    (message,) = fleet_of(clock, 1).due()
    assert message.topic == "fan/messages/1"
    body = json.loads(message.payload)
    assert body["timeStamp"] == "2026-11-23T12:00:00.000Z"
    assert (body["seq"], body["bootID"]) == (0, "boot1")
    assert set(body) == {
        "deviceID",
        "timeStamp",
        "seq",
        "bootID",
        "rotation",
        "temperature",
        "vibration",
        "sound",
    }


def test_the_first_generation_talks_flat_without_number_and_without_zone() -> None:
    clock = SteeredClock()
    (message,) = fleet_of(clock, 1, generation=Generation.FIRST).due()
    assert message.topic == "fan/messages"
    body = json.loads(message.payload)
    assert body["timeStamp"] == "2026-11-23 12:00:00"
    assert set(body) == {"deviceID", "timeStamp", "rotation", "temperature", "vibration", "sound"}
    assert Reading.from_json(message.payload).moment() == START


def test_a_command_works_from_the_next_reading_on_and_only_on_its_fan() -> None:
    clock = SteeredClock()
    fleet = fleet_of(clock)
    assert fleet.obey("2", FanCommand(condition=Condition.SILENT))
    assert not fleet.obey("7", FanCommand(condition=Condition.SILENT))
    talking = Counter(Reading.from_json(message.payload).device_id for message in run(fleet, clock, 5))
    assert set(talking) == {"1", "3"}


def test_the_truth_is_written_when_it_changes_and_never_into_a_reading(tmp_path: Path) -> None:
    clock = SteeredClock()
    file = tmp_path / "truth.jsonl"
    fleet = fleet_of(clock, 2, truth=TruthLog(file))
    before = run(fleet, clock, 4.9)
    fleet.obey("2", FanCommand(condition=Condition.FAULTY))
    run(fleet, clock, 5)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    sent = sum(Reading.from_json(message.payload).device_id == "2" for message in before)
    assert [(line["deviceID"], line["seq"], line["condition"], line["fault"]) for line in lines] == [
        ("1", 0, "healthy", 0),
        ("2", 0, "healthy", 0),
        ("2", sent, "faulty", 1),
    ]


def test_a_wearing_fan_becomes_faulty_in_truth_when_it_stops(tmp_path: Path) -> None:
    clock = SteeredClock()
    file = tmp_path / "truth.jsonl"
    fleet = fleet_of(clock, 1, truth=TruthLog(file))
    fleet.obey("1", FanCommand(condition=Condition.WEARING, duration_s=3))
    messages = run(fleet, clock, 5)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["fault"] for line in lines] == [None, 1]
    still = [Reading.from_json(message.payload).signals["rotation"] == 0 for message in messages]
    assert still.index(True) == lines[1]["seq"]
