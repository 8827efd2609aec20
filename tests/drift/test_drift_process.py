"""The drift watch as it runs: a real broker, its own user, a restart, bad messages, a broker that goes away."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import numpy as np
import pytest

from evaluation.drift_study import DriftTrial, Fan, Stream, scaled
from testbed.mosquitto import Mosquitto
from testbed.process import REPOSITORY
from testbed.readings import verdict
from testbed.site import Site
from testbed.waiting import wait_until
from tests.drift.drift_process import DriftProcess
from tests.drift.fleets import MODELS


@pytest.fixture(scope="module")
def trial() -> DriftTrial:
    return DriftTrial(MODELS / "fan")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(Site(tmp_path_factory.mktemp("drift"))) as server:
        yield server


@pytest.fixture(scope="module")
def drift(broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DriftProcess]:
    with DriftProcess(tmp_path_factory.mktemp("process"), broker) as process:
        yield process


def publish(broker: Mosquitto, trial: DriftTrial, stream: Stream) -> int:
    """Publishes the verdicts of a stream as the predictor does; how many."""
    messages: list[tuple[str, bytes | str]] = []
    for seq, (device, signals, probability) in enumerate(
        zip(
            stream.devices.tolist(),
            stream.signals.tolist(),
            np.ravel(stream.probabilities).tolist(),
            strict=True,
        )
    ):
        fan = str(device + 1)
        said = {"fault": int(probability >= 0.5), "probability": probability, "model": "fan:1", "seq": seq}
        row = dict(zip(trial.names, signals, strict=True))
        messages.append((f"fan/anomaly/{fan}", verdict(fan, None, **said, **row)))
    with broker.connect("predictor") as predictor:
        predictor.publish_all(messages)
    return len(messages)


def seen(drift: DriftProcess) -> float:
    return drift.figure("fanwatch_drift_readings_total")


def wait_seen(drift: DriftProcess, count: float) -> None:
    wait_until(lambda: seen(drift) >= count, within_s=30, what=f"{count} verdicts")


def complaint(drift: DriftProcess) -> str | None:
    """What the health check is told; None when all is well."""
    try:
        drift.get("/health")
    except HTTPError as error:
        assert error.code == 503
        return error.read().decode()
    return None


FANS = (Fan.HEALTHY,) * 6


def test_a_season_is_told_in_words_in_metrics_and_in_the_log(
    broker: Mosquitto, drift: DriftProcess, trial: DriftTrial
) -> None:
    wait_seen(drift, seen(drift) + publish(broker, trial, trial.stream(600, 1, FANS)))
    assert drift.drift()["findings"] == []
    assert drift.figure("fanwatch_drift_reference") == 1
    assert drift.figure("fanwatch_drift_window_readings") == pytest.approx(480, abs=3)
    wait_seen(drift, seen(drift) + publish(broker, trial, trial.stream(600, 2, FANS, scaled(1, 1.1))))
    [finding] = [one for one in drift.drift()["findings"] if one["kind"] == "season"]
    assert finding["signals"] == ["temperature"]
    assert "All devices have drifted together" in finding["words"]
    assert drift.figure('fanwatch_drift_flagged{kind="season"}') == 1
    assert drift.figure('fanwatch_drift_flagged{kind="sensor"}') == 0
    assert drift.figure('fanwatch_drift_season{signal="temperature"}') == 1
    assert drift.figure('fanwatch_drift_season{signal="sound"}') == 0
    psi = drift.figure('fanwatch_drift_psi{signal="temperature"}')
    assert psi > drift.figure('fanwatch_drift_psi_limit{signal="temperature"}')
    assert 'kind": "season"' in drift.log()


def test_a_restart_misses_no_verdict_and_the_broker_is_told_of_both_ends(
    broker: Mosquitto, trial: DriftTrial, tmp_path: Path
) -> None:
    other = DriftProcess(tmp_path, broker, FANWATCH_CLIENT_ID="drift-restarted")
    with broker.connect("monitor") as monitor:
        with other:
            wait_seen(other, publish(broker, trial, trial.stream(60, 1, FANS)))
            monitor.subscribe("fan/status/drift")
            assert monitor.next().payload == b'{"status":"online"}'
        assert b"offline" in monitor.next().payload
    published = publish(broker, trial, trial.stream(600, 2, FANS, scaled(0, 0.85, 1)))
    with other:
        wait_seen(other, published)
        assert seen(other) == published, "what came meanwhile, and of before nothing: the windows begin anew"
        assert other.figure("fanwatch_drift_devices") == len(FANS)


def test_what_is_no_verdict_is_counted_and_stops_nothing(
    broker: Mosquitto, drift: DriftProcess, trial: DriftTrial
) -> None:
    bad = ["", "x", "{}", "[]", verdict("1", fault=2), verdict("1", fault=0, model="fan:1", probability=7)]
    lacking = (
        '{"deviceID":"1","timeStamp":"2026-11-25T10:00:00.000Z","fault":0,"probability":0,"model":"fan:1"}'
    )
    before, invalid = seen(drift), drift.figure("fanwatch_drift_messages_invalid_total")
    sent = publish(broker, trial, trial.stream(60, 1, FANS))
    with broker.connect("predictor") as predictor:
        predictor.publish_all([("fan/anomaly/1", payload) for payload in [*bad, lacking]])
    wait_seen(drift, before + sent + 1 + publish(broker, trial, trial.stream(60, 2, FANS)))
    assert drift.figure("fanwatch_drift_messages_invalid_total") == invalid + len(bad) + 1
    assert drift.figure("fanwatch_drift_callback_failures_total") == 0
    assert drift.is_ready()


def test_its_health_follows_the_broker(broker: Mosquitto, drift: DriftProcess, trial: DriftTrial) -> None:
    broker.stop()
    wait_until(lambda: complaint(drift), within_s=20, what="a complaint")
    broker.start()
    wait_until(lambda: complaint(drift) is None, within_s=30, what="health")
    wait_seen(drift, seen(drift) + publish(broker, trial, trial.stream(60, 1, FANS)))


def test_a_broker_that_hangs_is_noticed_although_the_connection_stands(
    broker: Mosquitto, drift: DriftProcess
) -> None:
    broker.send(signal.SIGSTOP)
    try:
        wait_until(
            lambda: "no answer from the broker" in (complaint(drift) or ""), within_s=20, what="a complaint"
        )
    finally:
        broker.send(signal.SIGCONT)
    wait_until(lambda: complaint(drift) is None, within_s=30, what="health")


def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "drift"],
        cwd=REPOSITORY,
        env=os.environ | {"FANWATCH_WINDOW_READINGS": "3", "FANWATCH_MQTT_PASSWORD": "geheim"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 2
    assert "window_readings" in answer.stdout
    assert len(answer.stdout.splitlines()) == 1
    assert "geheim" not in answer.stdout + answer.stderr
