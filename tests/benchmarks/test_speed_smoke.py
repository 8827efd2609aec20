"""The speed benchmark runs: few messages through the relay and this project, and nothing said of how fast."""

from benchmarks.speed.contestants.processes import CONTESTANTS, RELAY, THIS_PROJECT
from benchmarks.speed.generator import LoadGenerator
from benchmarks.speed.load import messages
from benchmarks.speed.measures.monitoring import MONITOR
from benchmarks.speed.plan import MEASURES, MONITOR_IN_MEMORY, Plan
from testbed.mosquitto import Mosquitto

FEW = 300


def plan() -> Plan:
    said: list[str] = []
    return Plan(
        said.append, count=FEW, rounds=1, rates=(200,), seconds=1, contestants=(THIS_PROJECT,), backlog=FEW
    )


def test_throughput_and_latency_come_out_for_the_relay_and_this_project_and_no_message_is_lost() -> None:
    samples = [*MEASURES["throughput"](plan()), *MEASURES["latency"](plan())]
    assert [(sample.contestant, sample.measure) for sample in samples] == [
        (RELAY, "throughput"),
        (RELAY, "throughput"),
        (THIS_PROJECT, "throughput"),
        (THIS_PROJECT, "throughput"),
        (RELAY, "latency"),
        (THIS_PROJECT, "latency"),
    ]
    for sample in samples:
        assert sample.figures["duplicates"] == 0
        assert sample.figures["memory_mib"] > 0
    assert all(sample.figures["per_second"] > 0 for sample in samples[:4])
    assert all(0 < s.figures["p50_ms"] <= s.figures["p999_ms"] for s in samples[4:])


def test_a_backlog_is_drained_whole() -> None:
    sustained, drained = MEASURES["backlog"](plan())
    assert sustained.contestant == "sustained"
    assert drained.figures["duplicates"] == 0


def test_the_load_generator_gets_back_each_message_that_it_sends(mosquitto: Mosquitto) -> None:
    simulator = ("simulator", mosquitto.site.mqtt_password("simulator"))
    reader = ("telegraf", mosquitto.site.mqtt_password("telegraf"))
    with LoadGenerator(mosquitto.port, "fan/messages/#", user=simulator, reader=reader) as generator:
        for qos in (0, 1):
            passage = generator.run(list(messages(FEW, fans=7)), qos=qos)
            assert (passage.arrived > 0).all()
            assert passage.duplicates == 0


def test_every_contestant_can_be_chosen_by_its_name() -> None:
    assert next(iter(CONTESTANTS)) == RELAY
    assert set(Plan(print).starts()) == set(CONTESTANTS)


def test_the_monitor_takes_commits_and_acknowledges_every_verdict_and_its_core_is_measured() -> None:
    samples = list(MEASURES["monitor"](plan()))
    assert [sample.conditions["fans"] for sample in samples if sample.measure == "monitor core"] == [
        10,
        100,
        1000,
        10_000,
    ]
    through = {sample.contestant: sample.figures for sample in samples if sample.measure == "monitor"}
    assert list(through) == [RELAY, THIS_PROJECT, MONITOR, MONITOR_IN_MEMORY]
    assert all(figures["per_second"] > 0 for figures in through.values())
    assert through[MONITOR]["kib_written_per_message"] > 0
