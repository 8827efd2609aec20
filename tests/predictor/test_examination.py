"""The checks before scoring: device, time, signals, ranges."""

from datetime import UTC, datetime, timedelta

import pytest

from contract.bundle import ModelSignature, SignalSpec
from contract.reading import InvalidReading, Reading
from contract.rejection import Reason
from contract.timestamp import format_timestamp
from contract.topics import Topics
from predictor.examination import Examiner

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SIGNATURE = ModelSignature(
    signals=(
        SignalSpec(name="rotation", unit="r/min", minimum=0, maximum=1500),
        SignalSpec(name="temperature", unit="degrees C", minimum=-40, maximum=150),
    ),
    threshold=0.5,
)
EXAMINER = Examiner(SIGNATURE, Topics())


def payload(moment: datetime = NOW, device: str = "5", **signals: float) -> bytes:
    signals = signals or {"temperature": 40.0, "rotation": 600.0}
    return Reading(
        deviceID=device, timeStamp=format_timestamp(moment), seq=None, bootID=None, **signals
    ).to_json()


def refused(topic: str, body: bytes) -> InvalidReading:
    with pytest.raises(InvalidReading) as refusal:
        EXAMINER.examine(topic, body, NOW)
    return refusal.value


def test_a_fit_reading_becomes_a_row_in_the_order_of_the_model_whatever_the_order_of_its_keys() -> None:
    assert EXAMINER.examine("fan/messages/5", payload(), NOW).row == [600.0, 40.0]


def test_a_signal_that_the_model_does_not_know_is_no_obstacle() -> None:
    body = payload(rotation=600.0, temperature=40.0, humidity=0.4)
    assert EXAMINER.examine("fan/messages/5", body, NOW).row == [600.0, 40.0]


def test_the_flat_topic_takes_any_device() -> None:
    assert EXAMINER.examine("fan/messages", payload(device="3"), NOW).reading.device_id == "3"


def test_a_device_on_the_topic_of_another_is_refused_and_laid_to_the_one_that_could_publish_there() -> None:
    invalid = refused("fan/messages/6", payload(device="5"))
    assert invalid.reason is Reason.WRONG_DEVICE
    assert invalid.device_id == "6"


def test_a_topic_below_a_device_is_refused() -> None:
    assert refused("fan/messages/5/more", payload()).reason is Reason.WRONG_DEVICE


@pytest.mark.parametrize("offset", [timedelta(minutes=5), timedelta(days=-3), timedelta(days=-29)])
def test_a_little_ahead_and_a_weekend_old_are_welcome(offset: timedelta) -> None:
    assert EXAMINER.examine("fan/messages/5", payload(NOW + offset), NOW).moment == NOW + offset


@pytest.mark.parametrize(
    ("offset", "reason"),
    [
        (timedelta(minutes=5, seconds=1), Reason.TIME_AHEAD),
        (timedelta(days=1), Reason.TIME_AHEAD),
        (timedelta(days=-29, seconds=-1), Reason.TIME_TOO_OLD),
        (timedelta(days=-365), Reason.TIME_TOO_OLD),
    ],
)
def test_a_clock_that_is_off_is_refused_with_the_advice_to_set_it(offset: timedelta, reason: Reason) -> None:
    invalid = refused("fan/messages/5", payload(NOW + offset))
    assert invalid.reason is reason
    assert "clock" in invalid.detail


def test_a_missing_signal_is_named_with_its_unit() -> None:
    invalid = refused("fan/messages/5", payload(rotation=600.0))
    assert (invalid.reason, invalid.device_id) == (Reason.SIGNAL_MISSING, "5")
    assert "'temperature'" in invalid.detail
    assert "degrees C" in invalid.detail


@pytest.mark.parametrize("rotation", [-0.1, 1500.1, 1e30])
def test_an_implausible_value_is_refused_with_the_range_that_was_expected(rotation: float) -> None:
    invalid = refused("fan/messages/5", payload(rotation=rotation, temperature=40.0))
    assert invalid.reason is Reason.OUT_OF_RANGE
    assert "0.0 to 1500.0" in invalid.detail
