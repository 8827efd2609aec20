"""The shipped broker against break-in: who gets in, and who may read and write which topic."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt.reasoncodes import ReasonCode

from testbed.mosquitto import ACL, CONFIGURATION, Connection, Mosquitto
from testbed.process import server_binary, with_line, without_line
from testbed.site import Site
from testbed.waiting import wait_until

FAN_PASSWORD = "a fan's password"
FAILURE = 0x80
"""MQTT 5: from here on a reason code says no."""
NOT_AUTHORIZED = 0x87
USERS = ("legacy", "simulator", "predictor", "monitor", "drift", "telegraf", "gateway", "probe", "fan-7")

# Every kind of topic, and who may write it. What is not listed is nobody's.
WRITERS = {
    "fan/messages": {"legacy", "simulator", "gateway"},
    "fan/messages/1": {"simulator", "gateway"},
    "fan/messages/fan-7": {"simulator", "gateway", "fan-7"},
    "fan/messages/fan-7/x": {"simulator", "gateway"},
    "fan/messages/predictor": {"simulator", "gateway"},
    "fan/messages/probe": {"simulator", "gateway"},
    "fan/anomaly": {"predictor"},
    "fan/anomaly/1": {"predictor"},
    "fan/rejected": {"predictor"},
    "fan/alarms/1": {"monitor"},
    "fan/alarms/1/journal": {"monitor"},
    "fan/commands/1": {"monitor"},
    "fan/status/simulator": {"simulator"},
    "fan/status/predictor": {"predictor"},
    "fan/status/predictor-0": {"predictor"},
    "fan/status/predictor-7": {"predictor"},
    "fan/status/predictor-8": set(),
    "fan/status/monitor": {"monitor"},
    "fan/status/drift": {"drift"},
    "fan/status/telegraf": set(),
    "fan/other": set(),
    "pump/messages": set(),
    "other": set(),
    "$SYS/broker/uptime": set(),
    "$other/x": set(),
}
READERS = {
    "fan/messages": {"predictor", "telegraf"},
    "fan/messages/1": {"predictor", "telegraf"},
    "fan/messages/fan-7": {"predictor", "telegraf"},
    "fan/anomaly": {"monitor", "drift", "telegraf"},
    "fan/anomaly/1": {"monitor", "drift", "telegraf"},
    "fan/rejected": {"monitor"},
    "fan/alarms/1": {"telegraf"},
    "fan/alarms/1/journal": {"telegraf"},
    "fan/commands/1": {"simulator"},
    "fan/status/simulator": {"monitor", "telegraf"},
    "fan/status/predictor": {"monitor", "telegraf"},
    "fan/status/monitor": {"monitor", "telegraf"},
    "fan/status/drift": {"monitor", "telegraf"},
    "$SYS/broker/uptime": {"telegraf", "probe"},
    "$SYS/broker/store/messages/count": {"telegraf", "probe"},
    "$SYS/broker/publish/messages/dropped": {"telegraf", "probe"},
    "$SYS/broker/retained messages/count": {"telegraf", "probe"},
    "$SYS/broker/version": {"telegraf"},
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    site = Site(tmp_path_factory.mktemp("acl"))
    site.add_fan("fan-7", FAN_PASSWORD)
    with Mosquitto(site) as server:
        yield server


def signed_in(broker: Mosquitto, user: str) -> Connection:
    return broker.connect(user, FAN_PASSWORD if user == "fan-7" else None)


def answer_to(connection: Connection, topic: str) -> int:
    """What the broker answers to a message at QoS 1: the reason code of its PUBACK."""
    answers: list[ReasonCode] = []
    connection.client.on_publish = lambda _c, _u, _m, reason, _p: answers.append(reason)
    connection.publish(topic, "x", retain=True)
    wait_until(lambda: answers, within_s=10, what="the acknowledgement")
    return int(answers[0].value)


def may_write(connection: Connection, topic: str) -> bool:
    """Whether the broker takes a message."""
    return answer_to(connection, topic) < FAILURE


def logged(broker: Mosquitto, text: str) -> None:
    """Waits until it stands in the broker's log."""
    wait_until(lambda: text in broker.log(last=3_000_000), within_s=10, what=f"{text!r} in the broker's log")


@pytest.mark.parametrize("user", USERS)
def test_a_user_writes_what_is_granted_and_nothing_else(broker: Mosquitto, user: str) -> None:
    with signed_in(broker, user) as connection:
        answers = {topic: answer_to(connection, topic) for topic in WRITERS}
    written = {topic for topic, code in answers.items() if code < FAILURE}
    assert written == {topic for topic, users in WRITERS.items() if user in users}
    assert {code for code in answers.values() if code >= FAILURE} == {NOT_AUTHORIZED}


@pytest.mark.parametrize("user", USERS)
def test_a_user_reads_what_is_granted_and_nothing_else(broker: Mosquitto, user: str) -> None:
    for topic in (topic for topic in READERS if not topic.startswith("$")):
        with signed_in(broker, min(WRITERS[topic])) as writer:
            writer.publish(topic, "x", retain=True)
    with signed_in(broker, user) as connection:
        # What is retained comes before the answer to the next subscription.
        for topic in ("#", "$SYS/#", "nothing"):
            connection.subscribe(topic)
        read = {message.topic for message in list(connection.messages.queue)}
    assert read & READERS.keys() == {topic for topic, users in READERS.items() if user in users}
    assert read <= {topic for topic, writers in WRITERS.items() if writers} | {
        t for t in read if t.startswith("$SYS/")
    }


@pytest.mark.parametrize("user", USERS)
def test_whoever_asks_to_hear_something_is_written_down_granted_or_not(broker: Mosquitto, user: str) -> None:
    with broker.connect(user, FAN_PASSWORD if user == "fan-7" else None, client_id=f"asks-{user}") as client:
        logged(broker, f" as asks-{user} (p5, c1, k60, u'{user}').")
        for topic in ("#", "fan/commands/#", "$SYS/#", "$share/predictors/fan/messages/#", "other"):
            client.subscribe(topic)
            logged(broker, f": asks-{user} 1 {topic}\n")


def test_a_client_cannot_write_lines_of_its_own_into_the_log(broker: Mosquitto) -> None:
    forged = "2026-12-01T00:00:00Z: forged"
    with broker.connect("fan-7", FAN_PASSWORD, client_id="forger") as client:
        client.client.subscribe(f"x\n{forged}")
        assert client.disconnected.wait(10)
        logged(broker, "Client forger [127.0.0.1")
    with pytest.raises(ConnectionRefusedError, match="Client identifier"):
        broker.connect("fan-7", FAN_PASSWORD, client_id=f"x\n{forged}")
    logged(broker, "disconnected: client identifier not valid")
    assert "forged" not in broker.log(last=3_000_000)


def test_a_message_that_is_not_granted_is_answered_and_not_logged(broker: Mosquitto) -> None:
    """The threat model says "not met": with a Mosquitto that logs it, this fails, and the page has to change."""
    with broker.connect("fan-7", FAN_PASSWORD, client_id="forger-2") as fan:
        assert answer_to(fan, "fan/anomaly/secret") == NOT_AUTHORIZED
        fan.subscribe("behind it")
        logged(broker, "forger-2 1 behind it")
    assert "fan/anomaly/secret" not in broker.log(last=3_000_000)


def test_without_subscriptions_in_the_log_nobody_sees_who_tries_to_listen(
    new_site: Callable[[], Site],
) -> None:
    changed = without_line(CONFIGURATION, "log_type subscribe")
    with Mosquitto(new_site(), changed) as broker:
        with broker.connect("probe", client_id="listener") as client:
            client.subscribe("fan/messages/#")
        logged(broker, "Client listener")
        assert "fan/messages" not in broker.log(last=3_000_000)


def test_the_predictors_share_a_subscription(broker: Mosquitto) -> None:
    with broker.connect("predictor") as predictor, broker.connect("simulator") as fan:
        predictor.subscribe("$share/predictors/fan/messages/#")
        fan.publish("fan/messages/1", "shared")
        assert predictor.next().payload == b"shared"


@pytest.mark.parametrize(
    ("user", "password"), [(None, None), ("predictor", "wrong"), ("predictor", ""), ("nobody", "x")]
)
def test_nobody_gets_in_without_a_users_password(
    broker: Mosquitto, user: str | None, password: str | None
) -> None:
    with pytest.raises(ConnectionRefusedError):
        broker.connect(user, password)


def test_a_fan_that_is_added_gets_in_after_a_reload(broker: Mosquitto) -> None:
    with pytest.raises(ConnectionRefusedError):
        broker.connect("fan-8", "p8")
    with broker.connect("simulator") as other:
        broker.site.add_fan("fan-8", "p8")
        broker.send(signal.SIGHUP)

        def gets_in() -> bool:
            try:
                broker.connect("fan-8", "p8").close()
            except ConnectionRefusedError:
                return False
            return True

        wait_until(gets_in, within_s=10, what="the reload")
        assert not other.disconnected.is_set()


def test_the_containers_health_check_passes_with_the_probes_own_user(broker: Mosquitto) -> None:
    options = broker.site.secrets_of("mosquitto") / "probe_options"
    check = [
        str(server_binary("mosquitto_sub")),
        "-h",
        broker.host,
        "-p",
        str(broker.port),
        "-o",
        str(options),
    ]
    subprocess.run(
        [*check, "-t", "$SYS/broker/uptime", "-C", "1", "-W", "10"],
        check=True,
        capture_output=True,
        timeout=20,
    )


def test_with_anonymous_allowed_anybody_gets_in(new_site: Callable[[], Site]) -> None:
    changed = with_line(CONFIGURATION, "allow_anonymous false", "allow_anonymous true")
    with Mosquitto(new_site(), changed) as broker:
        broker.connect(None).close()


def test_without_the_password_file_nobody_gets_in(new_site: Callable[[], Site]) -> None:
    changed = without_line(CONFIGURATION, "password_file /run/fanwatch/mosquitto_passwords")
    with Mosquitto(new_site(), changed) as broker, pytest.raises(ConnectionRefusedError):
        broker.connect("predictor")


def test_without_the_access_rules_a_fan_speaks_for_every_other(new_site: Callable[[], Site]) -> None:
    site = new_site()
    site.add_fan("fan-7", FAN_PASSWORD)
    changed = without_line(CONFIGURATION, "acl_file /run/fanwatch/mosquitto_acl")
    with Mosquitto(site, changed) as broker, signed_in(broker, "fan-7") as fan:
        assert may_write(fan, "fan/messages/1")
        assert may_write(fan, "fan/anomaly/1")


@pytest.mark.parametrize("user", ["legacy", "predictor", "monitor", "drift", "telegraf", "probe"])
def test_without_its_deny_line_a_service_passes_for_a_fan_of_its_name(
    new_site: Callable[[], Site], user: str
) -> None:
    changed = without_line(ACL, f"topic deny fan/messages/{user}")
    with Mosquitto(new_site(), acl=changed) as broker, broker.connect(user) as service:
        assert may_write(service, f"fan/messages/{user}")


def test_only_places_differ_between_the_shipped_file_and_the_tests(broker: Mosquitto, tmp_path: Path) -> None:
    shipped = [line for line in CONFIGURATION.read_text().splitlines() if line and not line.startswith("#")]
    here = (broker.folder / "mosquitto.conf").read_text().splitlines()
    here = [line for line in here if line and not line.startswith("#")]
    assert here.pop().startswith("user ")
    different = {old.split()[0] for old, new in zip(shipped, here, strict=True) if old != new}
    assert different == {
        *(
            "listener",
            "certfile",
            "keyfile",
            "password_file",
            "acl_file",
            "global_plugin",
            "plugin_opt_db_file",
        ),
    }
