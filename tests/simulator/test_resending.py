"""What the broker did not acknowledge is sent again, whatever happens to the broker, and what is dropped is counted."""

import json
import signal
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from simulator.fleet import Message
from simulator.metrics import Metrics
from simulator.publisher import MAX_IN_FLIGHT, Publisher
from simulator.settings import SimulatorSettings
from testbed.mosquitto import CONFIGURATION, Connection, Mosquitto
from testbed.site import Site
from testbed.waiting import wait_until
from tests.simulator.running_simulator import RunningSimulator

FILTER = "fan/messages/#"


def listener(broker: Mosquitto) -> Connection:
    """A subscriber whose session survives the broker's death, so that all that was acknowledged reaches it."""
    connection = broker.connect(
        "telegraf", client_id="resending-test", clean_start=False, session_expiry_s=3600, receive_maximum=1000
    )
    connection.subscribe(FILTER)
    return connection


def numbers_by_device(connection: Connection, into: dict[str, set[int]]) -> int:
    """Take what has come so far; how many different readings there are now."""
    while not connection.messages.empty():
        body = json.loads(connection.messages.get().payload)
        into[body["deviceID"]].add(body["seq"])
    return sum(len(numbers) for numbers in into.values())


def kill_with_readings_in_flight(broker: Mosquitto, simulator: RunningSimulator) -> None:
    """Kills the broker after it committed all that it acknowledged, with readings sent that it never looked at.

    A kill between an acknowledgement and its commit loses what came in that turn of the broker's loop (mosquitto.conf
    says why); no sender can know of it, so it is not the simulator's to make good.
    """
    simulator.process.send_signal(signal.SIGSTOP)
    with broker.connect("simulator", client_id="settling") as connection:
        connection.settle()
    broker.send(signal.SIGSTOP)
    simulator.process.send_signal(signal.SIGCONT)
    wait_until(
        lambda: simulator.metric("readings_unacknowledged") >= 40, within_s=20, what="readings in flight"
    )
    broker.kill()


def test_everything_numbered_arrives_although_the_broker_is_killed_in_the_middle(
    new_site: Callable[[], Site], tmp_path: Path
) -> None:
    seen: dict[str, set[int]] = defaultdict(set)
    with Mosquitto(new_site()) as broker, listener(broker) as connection:
        with RunningSimulator(broker, tmp_path, "--fans", "20", "--rate", "20") as simulator:
            for acknowledged in (300, 900):
                simulator.wait_acknowledged(acknowledged)
                kill_with_readings_in_flight(broker, simulator)
                broker.start()
            simulator.wait_acknowledged(1500)
            assert simulator.stop() == 0, simulator.log()
        assert "stopped_with_unacknowledged_readings" not in simulator.log()

        def complete() -> bool:
            numbers_by_device(connection, seen)
            return len(seen) == 20 and sum(map(len, seen.values())) >= 1500

        wait_until(complete, within_s=30, what="all readings")
        # Nothing more is to come once the broker has nothing left for us: ask it by a message of our own.
        with broker.connect("simulator", client_id="last") as last:
            last.publish("fan/messages/last", json.dumps({"deviceID": "last", "seq": 0}))
        wait_until(
            lambda: numbers_by_device(connection, seen) and "last" in seen,
            within_s=30,
            what="the last message",
        )
    del seen["last"]
    for device, numbers in seen.items():
        assert numbers == set(range(max(numbers) + 1)), f"fan {device} has a gap"
    most, least = (pick(len(numbers) for numbers in seen.values()) for pick in (max, min))
    assert most - least <= 1  # no fan ends early either: they take turns


def settings_for(broker: Mosquitto, queue_readings: int) -> SimulatorSettings:
    return SimulatorSettings(
        mqtt_host=broker.host,
        mqtt_port=broker.port,
        mqtt_username="simulator",
        mqtt_password=broker.site.mqtt_password("simulator"),
        queue_readings=queue_readings,
    )


def numbered(count: int) -> list[Message]:
    return [
        Message(f"fan/messages/{n % 5}", json.dumps({"deviceID": "q", "seq": n}).encode())
        for n in range(count)
    ]


def count_of(registry: CollectorRegistry, name: str) -> float:
    return registry.get_sample_value(f"fanwatch_simulator_readings_{name}_total") or 0.0


def test_a_full_queue_drops_the_oldest_and_counts_them(new_site: Callable[[], Site]) -> None:
    broker = Mosquitto(new_site())
    registry = CollectorRegistry()
    publisher = Publisher(settings_for(broker, 10), client_id="queue-test", metrics=Metrics(registry))
    publisher.start()  # nobody listens there yet
    for message in numbered(25):
        publisher.send(message)
    assert not publisher.has_room
    assert count_of(registry, "dropped") == 15
    assert publisher.unacknowledged == 10
    seen: dict[str, set[int]] = defaultdict(set)
    with broker, listener(broker) as connection:
        assert publisher.finish(20) == 0
        wait_until(lambda: numbers_by_device(connection, seen) == 10, within_s=20, what="the ten newest")
    assert seen["q"] == set(range(15, 25))
    assert count_of(registry, "acknowledged") == 10


def test_a_backlog_respects_the_window_of_the_broker_when_it_is_back(new_site: Callable[[], Site]) -> None:
    narrow = CONFIGURATION.read_text().replace("max_inflight_messages 1000", "max_inflight_messages 20")
    assert "max_inflight_messages 20\n" in narrow
    broker = Mosquitto(new_site(), narrow)
    registry = CollectorRegistry()
    count = 5 * MAX_IN_FLIGHT
    publisher = Publisher(settings_for(broker, count), client_id="window-test", metrics=Metrics(registry))
    with broker, listener(broker) as connection:
        publisher.start()
        for message in numbered(count // 2):
            publisher.send(message)
        broker.kill()
        for message in numbered(count)[count // 2 :]:
            publisher.send(message)
        broker.start()
        assert publisher.finish(30) == 0
        seen: dict[str, set[int]] = defaultdict(set)
        wait_until(lambda: numbers_by_device(connection, seen) == count, within_s=30, what="all of them")
        assert "receive maximum" not in broker.log(last=100_000).lower()
    assert count_of(registry, "acknowledged") == count
