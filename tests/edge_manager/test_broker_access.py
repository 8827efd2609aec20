"""The broker's access rules: the shipped ones and those of what people added."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_manager.site.broker_access import (
    BrokerUser,
    Kind,
    compose_rules,
    default_read,
    own_topics,
    read_users,
    write_users,
)
from testbed.site import ACL

SHIPPED = ACL.read_text()


def client(name: str = "historian", *, read: tuple[str, ...] = (), write: tuple[str, ...] = ()) -> BrokerUser:
    return BrokerUser(name, Kind.CLIENT, read, write)


def test_without_users_the_rules_are_the_shipped_ones() -> None:
    assert compose_rules(SHIPPED, []) == SHIPPED


def test_a_fan_needs_no_rule_beside_the_shipped_pattern() -> None:
    assert compose_rules(SHIPPED, [BrokerUser("fan-7", Kind.FAN)]) == SHIPPED


def test_a_client_gets_its_topics_and_does_not_pass_for_a_fan_of_its_name() -> None:
    rules = compose_rules(SHIPPED, [client(read=("fan/alarms/#",), write=("plant/orders",))])
    assert rules.startswith(SHIPPED.rstrip("\n"))
    assert rules.removeprefix(SHIPPED.rstrip("\n")).split("\n")[3:] == [
        "user historian",
        "topic deny fan/messages/historian",
        "topic read fan/alarms/#",
        "topic write plant/orders",
        "",
    ]


@pytest.mark.parametrize(
    "topic", ["fan/messages/#", "fan/messages/+", "fan/messages/historian", "fan/#", "#"]
)
def test_who_may_write_for_every_fan_is_not_kept_from_its_own_name(topic: str) -> None:
    assert "topic deny fan/messages/historian" not in compose_rules(SHIPPED, [client(write=(topic,))])


@pytest.mark.parametrize("topic", ["fan/messages", "fan/messages/other", "pump/messages/#", "fan/+"])
def test_who_may_write_something_else_is(topic: str) -> None:
    assert "topic deny fan/messages/historian" in compose_rules(SHIPPED, [client(write=(topic,))])


def test_another_topic_root_is_read_from_the_shipped_rules() -> None:
    pumps = SHIPPED.replace("fan/", "pump/")
    assert own_topics(pumps, "7") == ["pump/messages/7"]
    assert default_read(pumps) == ("pump/alarms/#", "pump/anomaly/#")
    assert default_read(SHIPPED) == ("fan/alarms/#", "fan/anomaly/#")


@pytest.mark.parametrize("name", ["", "two words", "a/b", "a+", "#", "a:b", "x" * 65, "a\nuser monitor", "ä"])
def test_a_name_that_could_not_be_a_topic_or_a_line_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a name"):
        BrokerUser(name, Kind.FAN)


@pytest.mark.parametrize(
    "topic",
    ["", " ", " fan", "fan ", "a\nuser monitor", "fan/#/x", "fan/a#", "fan/a+/x", "a\x00b", "x" * 501, "\t"],
)
def test_what_is_no_topic_is_refused_before_it_can_end_the_broker(topic: str) -> None:
    with pytest.raises(ValueError, match="is no topic"):
        client(read=(topic,))
    with pytest.raises(ValueError, match="is no topic"):
        client(write=(topic,))


def test_a_shared_subscription_is_told_which_topic_to_ask_for() -> None:
    with pytest.raises(ValueError, match="the topic behind it"):
        client(read=("$share/a/fan/anomaly/#",))


def test_a_fan_has_no_topics_of_its_own() -> None:
    with pytest.raises(ValueError, match="add a client for more"):
        BrokerUser("fan-7", Kind.FAN, read=("fan/#",))


@given(st.text(min_size=1, max_size=30))
def test_whatever_passes_as_a_topic_stays_one_line_of_the_rules(topic: str) -> None:
    try:
        user = client(read=(topic,))
    except ValueError:
        return
    added = compose_rules(SHIPPED, [user]).removeprefix(SHIPPED)
    assert added.split("\n")[-2] == f"topic read {topic}"


def test_users_are_read_as_they_were_written() -> None:
    users = [BrokerUser("fan-7", Kind.FAN), client(read=("fan/#",), write=("x",))]
    assert list(read_users(write_users(users)).values()) == users
    assert read_users("[]") == {}


@pytest.mark.parametrize(
    "text", ["{}x", '[{"name": 1}]', '[{"name": "a", "kind": "king", "read": [], "write": []}]']
)
def test_a_damaged_list_of_users_is_an_error_and_not_an_empty_list(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's, the enum's and ours
        read_users(text)
