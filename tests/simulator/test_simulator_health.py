"""The simulator is well when the broker acknowledges what waits."""

from prometheus_client import CollectorRegistry, generate_latest

from simulator.health import STALLED_AFTER_S, ask, diagnose
from simulator.metrics import Metrics
from testbed.ports import free_port

NOW_S = 1_700_000_000.0
LONG_AGO_S = NOW_S - STALLED_AFTER_S - 1


def metrics_text(*, waiting: int, acknowledged_s: float, round_s: float = NOW_S) -> str:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.unacknowledged.set(waiting)
    metrics.last_acknowledgement.set(acknowledged_s)
    metrics.last_round.set(round_s)
    return generate_latest(registry).decode()


def test_readings_on_their_way_are_well_while_others_are_acknowledged() -> None:
    assert diagnose(metrics_text(waiting=5, acknowledged_s=NOW_S - 1), NOW_S) is None


def test_readings_that_wait_without_acknowledgement_are_an_illness() -> None:
    trouble = diagnose(metrics_text(waiting=5, acknowledged_s=LONG_AGO_S), NOW_S)
    assert trouble == "5 readings wait, and the broker has acknowledged none for 31 s"


def test_a_fleet_that_is_silent_by_order_is_well() -> None:
    assert diagnose(metrics_text(waiting=0, acknowledged_s=LONG_AGO_S), NOW_S) is None


def test_a_main_loop_that_stands_still_is_an_illness() -> None:
    trouble = diagnose(metrics_text(waiting=0, acknowledged_s=NOW_S, round_s=LONG_AGO_S), NOW_S)
    assert trouble is not None
    assert "main loop" in trouble


def test_a_simulator_that_does_not_answer_is_not_well() -> None:
    trouble = ask("0.0.0.0", free_port(), NOW_S)
    assert trouble is not None
    assert "does not answer" in trouble
