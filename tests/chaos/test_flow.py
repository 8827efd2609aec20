"""The flow on a real broker: what it counts as acknowledged has been, and it sends the rest again."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.chaos.flow import BROKEN, DEVICES, BrokerAddress, Flow, draw_signals, last_turn
from benchmarks.chaos.ledger import Key
from drift.findings import Kind
from evaluation.drift_study import DriftTrial
from testbed.mosquitto import Connection, Mosquitto
from testbed.site import Site
from testbed.waiting import wait_until
from training.bundle import LITERT_FILE, litert_probabilities

MODEL = Path(__file__).parents[2] / "models" / "fan"


def flow_to(broker: Mosquitto) -> Flow:
    address = BrokerAddress(broker.host, broker.port, "simulator", broker.site.mqtt_password("simulator"))
    return Flow(address, "flow", per_second=500)


def session(broker: Mosquitto) -> Connection:
    connection = broker.connect("predictor", client_id="p", clean_start=False, session_expiry_s=3600)
    connection.subscribe("fan/messages/#")
    return connection


def all_that_waited(broker: Mosquitto) -> list[Key]:
    with broker.connect("simulator") as fan:
        fan.publish("fan/messages", "end")  # comes behind everything that waits
    found = []
    with session(broker) as predictor:
        while (payload := predictor.next().payload) != b"end":
            body = json.loads(payload)
            found.append(Key(body["deviceID"], body["seq"]))
    return found


def test_every_reading_is_numbered_acknowledged_and_arrives(new_site: Callable[[], Site]) -> None:
    with Mosquitto(new_site()) as broker:
        session(broker).close()
        with flow_to(broker) as flow:
            wait_until(lambda: flow.acknowledged_count > 200, within_s=30, what="readings")
            flow.pause()
            wait_until(flow.all_acknowledged, within_s=30, what="all acknowledged")
            acknowledged = flow.acknowledged
        assert flow.unacknowledged == {}
        assert sorted(all_that_waited(broker)) == sorted(acknowledged)
    assert {key.device for key in acknowledged} == {f"flow-{number}" for number in range(DEVICES)}
    assert {key.device for key, sent in acknowledged.items() if sent.fault} == {f"flow-{BROKEN}"}
    assert len({(sent.key.device, sent.time_ns) for sent in acknowledged.values()}) == len(acknowledged)


def test_what_a_killed_broker_had_not_acknowledged_is_sent_again_and_its_last_turn_is_known(
    new_site: Callable[[], Site],
) -> None:
    with Mosquitto(new_site()) as broker:
        session(broker).close()
        with flow_to(broker) as flow:
            flow.add(3000)
            wait_until(lambda: flow.acknowledged_count > 500, within_s=30, what="readings")
            broker.restart(killed=True)
            flow.pause()
            wait_until(flow.all_acknowledged, within_s=60, what="all acknowledged")
            acknowledged = flow.acknowledged
        assert flow.disconnections == 1
        assert 0 < len(flow.last_turns) < 30
        assert acknowledged.keys() - set(all_that_waited(broker)) <= flow.last_turns


def test_no_reading_of_the_flow_has_a_doubtful_verdict_and_its_fans_have_not_drifted() -> None:
    trial = DriftTrial(MODEL)
    generator = random.Random(1)
    numbers = np.arange(10_000) % DEVICES
    readings = [draw_signals(generator, broken=number == BROKEN) for number in numbers]
    rows = np.array([[reading[name] for name in trial.names] for reading in readings])
    probabilities = litert_probabilities((MODEL / LITERT_FILE).read_bytes(), rows)
    assert probabilities[numbers == BROKEN].min() > 0.9
    assert probabilities[numbers != BROKEN].max() < 0.5
    watch = trial.watch()
    for number, reading, probability in zip(numbers, readings, probabilities, strict=True):
        watch.take(f"flow-{number}", reading, probability=float(probability), healthy=probability < 0.5)
        assert {finding.kind for finding in watch.findings} <= {Kind.MACHINE}, watch.findings


def test_the_last_turn_is_one_read_of_the_broker_to_the_end_of_the_packet_that_it_cuts() -> None:
    keys = [Key("flow-1", seq) for seq in range(100)]
    assert last_turn(dict.fromkeys(keys, 205)) == set(keys[-20:])
    assert last_turn(dict.fromkeys(keys, 512)) == set(keys[-8:])
    assert last_turn(dict.fromkeys(keys[:3], 205)) == set(keys[:3])
