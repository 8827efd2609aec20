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
