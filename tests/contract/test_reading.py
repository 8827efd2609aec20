"""Reading: both generations parse, everything else is refused with a reason."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.identity import DEVICE_ID_PATTERN, SIGNAL_NAME_PATTERN
from contract.reading import MAX_READING_BYTES, RESERVED_NAMES, InvalidReading, Reading
from contract.rejection import Reason
from contract.timestamp import format_timestamp
from contract.verdict import Verdict

FIRST_GENERATION = (
    b'{"deviceID": "1", "timeStamp": "2021-01-31 12:00:00", '
    b'"rotation": 600.5, "temperature": 40, "vibration": 150.2, "sound": 48.8}'
)
OURS = (
    b'{"deviceID":"fan-07","timeStamp":"2026-11-23T10:00:00.123Z","seq":17,"bootID":"a1b2",'
    b'"rotation":600.5,"temperature":40.0,"vibration":150.2,"sound":48.8}'
)

device_ids = st.from_regex(DEVICE_ID_PATTERN, fullmatch=True)
signal_names = st.from_regex(SIGNAL_NAME_PATTERN, fullmatch=True).filter(
    lambda name: name not in RESERVED_NAMES | {"deviceID", "timeStamp", "seq", "bootID"}
)
moments = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
readings = st.builds(
    lambda device, moment, seq, boot, signals: Reading(
        deviceID=device, timeStamp=format_timestamp(moment), seq=seq, bootID=boot, **signals
    ),
    device_ids,
    moments,
    st.none() | st.integers(0, 2**53 - 1),
    st.none() | st.text(min_size=1, max_size=64, alphabet=st.characters(codec="utf-8")),
    st.dictionaries(signal_names, st.floats(allow_nan=False, allow_infinity=False), max_size=8),
)


def test_a_first_generation_payload_parses_with_its_time_read_as_utc() -> None:
    reading = Reading.from_json(FIRST_GENERATION)
    assert reading.device_id == "1"
    assert reading.seq is None
    assert reading.moment() == datetime(2021, 1, 31, 12, tzinfo=UTC)
    assert reading.signals == {"rotation": 600.5, "temperature": 40, "vibration": 150.2, "sound": 48.8}


def test_a_time_without_a_zone_is_read_in_the_zone_of_the_site() -> None:
    reading = Reading.from_json(FIRST_GENERATION)
    assert reading.moment(ZoneInfo("Europe/Berlin")) == datetime(2021, 1, 31, 11, tzinfo=UTC)


def test_our_payload_parses_with_seq_boot_and_milliseconds() -> None:
    reading = Reading.from_json(OURS)
    assert (reading.device_id, reading.seq, reading.boot_id) == ("fan-07", 17, "a1b2")
    assert reading.moment() == datetime(2026, 11, 23, 10, 0, 0, 123000, tzinfo=UTC)
    assert reading.to_json() == OURS


def test_a_time_with_an_offset_is_converted() -> None:
    reading = Reading.from_json(OURS.replace(b"10:00:00.123Z", b"12:00:00.123+02:00"))
    assert reading.moment() == datetime(2026, 11, 23, 10, 0, 0, 123000, tzinfo=UTC)


@given(readings)
def test_every_reading_survives_the_way_through_json(reading: Reading) -> None:
    assert Reading.from_json(reading.to_json()) == reading


@given(readings, st.booleans(), st.floats(0, 1))
def test_a_verdict_repeats_its_reading_unchanged_and_survives_json(
    reading: Reading, fault: bool, probability: float
) -> None:
    verdict = Verdict.of(reading, fault=1 if fault else 0, probability=probability, model="fan:3")
    again = Verdict.from_json(verdict.to_json())
    assert again == verdict
    body = json.loads(again.to_json())
    assert json.loads(reading.to_json()).items() <= body.items()
    assert body["fault"] in (0, 1)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_reading_or_an_invalid_reading_and_nothing_else(payload: bytes) -> None:
    try:
        Reading.from_json(payload)
    except InvalidReading as invalid:
        assert invalid.reason in {Reason.NOT_A_READING, Reason.NOT_FINITE}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(
        st.sampled_from(["deviceID", "timeStamp", "seq", "bootID", "rotation", "x y"]), json_values
    )
)
def test_any_json_object_is_a_reading_or_an_invalid_reading_and_nothing_else(body: dict[str, object]) -> None:
    try:
        reading = Reading.from_json(json.dumps(body).encode())
    except InvalidReading:
        return
    assert all(type(value) is float for value in reading.signals.values())


@pytest.mark.parametrize(
    ("payload", "reason", "says"),
    [
        (b"", Reason.NOT_A_READING, "Invalid JSON"),
        (b"not json", Reason.NOT_A_READING, "Invalid JSON"),
        (b"\xff\xfe\x00", Reason.NOT_A_READING, "Invalid JSON"),
        (b"[1, 2]", Reason.NOT_A_READING, "object"),
        (b"[" * 5000, Reason.NOT_A_READING, "recursion"),
        (OURS.replace(b'"fan-07"', b"7"), Reason.NOT_A_READING, "deviceID"),
        (OURS.replace(b"fan-07", b"fan/07"), Reason.NOT_A_READING, "deviceID"),
        (OURS.replace(b"fan-07", b""), Reason.NOT_A_READING, "deviceID"),
        (OURS.replace(b'fan-07"', b'fan-07\\n"'), Reason.NOT_A_READING, "deviceID"),
        (OURS.replace(b"600.5", b"true"), Reason.NOT_A_READING, "rotation"),
        (OURS.replace(b"600.5", b'"600.5"'), Reason.NOT_A_READING, "rotation"),
        (OURS.replace(b"600.5", b"null"), Reason.NOT_A_READING, "rotation"),
        (OURS.replace(b"600.5", b"[600.5]"), Reason.NOT_A_READING, "rotation"),
        (OURS.replace(b"600.5", b"NaN"), Reason.NOT_FINITE, "rotation"),
        (OURS.replace(b"600.5", b"1e999"), Reason.NOT_FINITE, "rotation"),
        (OURS.replace(b"2026-11-23T10:00:00.123Z", b"yesterday"), Reason.NOT_A_READING, "timeStamp"),
        (OURS.replace(b"2026-11-23", b"2026-02-30"), Reason.NOT_A_READING, "day"),
        (
            OURS.replace(b"2026-11-23T10:00:00.123Z", b"0001-01-01T00:00:00+14:00"),
            Reason.NOT_A_READING,
            "calendar",
        ),
        (OURS.replace(b'"seq":17', b'"seq":-1'), Reason.NOT_A_READING, "seq"),
        (OURS.replace(b'"seq":17', b'"seq":true'), Reason.NOT_A_READING, "seq"),
        (OURS.replace(b"rotation", b"fault"), Reason.NOT_A_READING, "fault"),
        (OURS.replace(b"rotation", b"ro\\u0000t"), Reason.NOT_A_READING, "pattern"),
        (b'{"x":"' + b"a" * MAX_READING_BYTES + b'"}', Reason.TOO_LARGE, "bytes"),
    ],
)
def test_what_is_no_reading_is_refused_with_a_reason_and_a_sentence(
    payload: bytes, reason: Reason, says: str
) -> None:
    with pytest.raises(InvalidReading) as refusal:
        Reading.from_json(payload)
    assert refusal.value.reason is reason
    assert says in refusal.value.detail


def test_a_refused_payload_still_names_its_device_so_that_a_broken_sensor_is_somebodys() -> None:
    with pytest.raises(InvalidReading) as refusal:
        Reading.from_json(OURS.replace(b"600.5", b"NaN"))
    assert refusal.value.device_id == "fan-07"


def test_a_reading_cannot_be_changed() -> None:
    reading = Reading.from_json(OURS)
    with pytest.raises(ValueError, match="frozen"):
        reading.seq = 18  # type: ignore[misc]
