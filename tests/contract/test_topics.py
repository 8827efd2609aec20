"""The topics of the design's table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.identity import DEVICE_ID_PATTERN
from contract.topics import Topics


def test_the_topics_are_those_of_the_contract() -> None:
    topics = Topics()
    assert topics.messages == "fan/messages"
    assert topics.all_messages == "fan/messages/#"
    assert topics.messages_of("5") == "fan/messages/5"
    assert topics.anomaly_for("fan/messages") == "fan/anomaly"
    assert topics.anomaly_for("fan/messages/5") == "fan/anomaly/5"
    assert topics.all_anomalies == "fan/anomaly/#"
    assert topics.command_of("5") == "fan/commands/5"
    assert topics.all_commands == "fan/commands/+"
    assert topics.alarm_of("5") == "fan/alarms/5"
    assert topics.rejected == "fan/rejected"
    assert topics.status_of("predictor") == "fan/status/predictor"
    assert topics.all_statuses == "fan/status/+"


def test_a_pump_is_another_root() -> None:
    assert Topics("pump").anomaly_for("pump/messages/p1") == "pump/anomaly/p1"


@pytest.mark.parametrize("root", ["", "fan/x", "#", "fan+", "fan\n", "$SYS"])
def test_a_root_that_is_not_one_plain_level_is_refused(root: str) -> None:
    with pytest.raises(ValueError, match="topic root"):
        Topics(root)


def test_readings_and_verdicts_may_have_any_topics_of_their_own() -> None:
    topics = Topics("pump", "hall/2/pumps", "hall/2/verdicts")
    assert topics.all_messages == "hall/2/pumps/#"
    assert topics.anomaly_for("hall/2/pumps/p1") == "hall/2/verdicts/p1"
    assert topics.anomaly_for("hall/2/pumps") == "hall/2/verdicts"
    assert topics.device_of("hall/2/pumps/p1") == "p1"
    assert topics.device_of("hall/2/pumps") is None
    assert topics.rejected == "pump/rejected"
    assert Topics("pump", "readings").messages_of("p1") == "readings/p1"


@pytest.mark.parametrize("topic", ["/a", "a/", "a//b", "a/+", "#", "$SYS/a", "a\x00", "a" * 1025])
def test_what_is_no_topic_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="expected levels parted by /"):
        Topics("pump", topic)
    with pytest.raises(ValueError, match="expected levels parted by /"):
        Topics("pump", None, topic)


@pytest.mark.parametrize(
    ("readings", "verdicts"),
    [("a", "a"), ("a", "a/b"), ("pump", "a"), ("pump/rejected", "a"), ("pump/status", "a")],
)
def test_what_is_published_must_not_come_back_as_a_reading(readings: str, verdicts: str) -> None:
    with pytest.raises(ValueError, match="would come back as a reading"):
        Topics("pump", readings, verdicts)
    assert Topics("pump", "a/b", "a").messages == "a/b"


@given(st.from_regex(DEVICE_ID_PATTERN, fullmatch=True))
def test_a_topic_tells_its_device(device: str) -> None:
    topics = Topics()
    assert topics.device_of(topics.messages_of(device)) == device
    assert topics.device_of(topics.messages) is None


@pytest.mark.parametrize(
    "topic", ["fan/messages/", "fan/messages/a/b", "fan/messages/a b", "fan/messages/ä", "fan/messages/a\n"]
)
def test_a_topic_of_no_device_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="expected fan/messages"):
        Topics().device_of(topic)
