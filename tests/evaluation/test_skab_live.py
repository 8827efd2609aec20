"""The same path live: a pump through the real broker, predictor, scoring service and monitor, on its own topic root.

Nothing but files tells the services of eight signals: the bundle that `fanwatch learn` makes of a recording's first
rows, and evaluation/skab.plant.toml. A made recording everywhere, a real one where they are.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.alarm import Alarm, AlarmState
from contract.reading import Reading
from contract.timestamp import format_timestamp, parse_timestamp
from contract.topics import Topics
from evaluation.outliers import stretches
from evaluation.skab import DESCRIPTION, judge, skab_machine
from testbed.mosquitto import ACL, Connection, Mosquitto
from testbed.process import REPOSITORY
from testbed.services import Inference, Predictor
from testbed.site import Site
from tests.evaluation.made_recordings import close_valve, pump, write_recording
from tests.evaluation.real_recordings import SKAB, needs_skab
from tests.monitor.monitor_process import MonitorProcess
from training.recording import read_labelled

TOPICS = Topics("pump")
MACHINE = skab_machine()
PLANT = REPOSITORY / "evaluation" / "skab.plant.toml"
REAL = SKAB / "valve1" / "3.csv"
WITHIN_S = 60


@dataclass(frozen=True)
class Site8:
    """The running services, and the recording that their bundle was learned from."""

    broker: Mosquitto
    recording: Path


def made_recording(folder: Path) -> Path:
    rows, path = pump(1000, seed=5), folder / "made.csv"
    write_recording(path, rows, close_valve(rows, 600, 799))
    return path


@pytest.fixture(scope="module", params=["made", pytest.param("real", marks=needs_skab)])
def pump_site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site8]:
    folder = tmp_path_factory.mktemp("pump")
    recording = made_recording(folder) if request.param == "made" else REAL
    learned = subprocess.run(
        [
            *(sys.executable, "-m", "fanwatch.cli", "learn", "--data", str(recording)),
            *("--machine", str(DESCRIPTION), "--out", str(folder / "models" / "pump")),
        ],
        cwd=REPOSITORY,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert learned.returncode == 0, learned.stderr
    site = Site(folder)
    with (
        Mosquitto(site, acl=ACL.read_text().replace("fan/", "pump/")) as mosquitto,
        Inference(
            site,
            # Learned a moment ago, by this test: signing it would show nothing more.
            {"MODELS_DIR": str(folder / "models"), "MODEL_NAME": "pump", "ALLOW_UNSIGNED_MODELS": "true"},
        ) as inference,
        Predictor(mosquitto, inference.url, {"TOPIC_ROOT": "pump", "MODEL_NAME": "pump"}),
        MonitorProcess(
            folder / "monitor",
            mosquitto,
            FANWATCH_TOPIC_ROOT="pump",
            FANWATCH_MODEL_NAME="pump",
            FANWATCH_INFERENCE_URL=inference.url,
            FANWATCH_PLANT_FILE=str(PLANT),
            # Of a backlog the alarm is raised at the recorded time; its end is believed after a delay by our clock.
            FANWATCH_ALARM_RULES='{"machine_fault": {"off_delay_s": 0}}',
        ),
    ):
        yield Site8(mosquitto, recording)


def next_alarm(listener: Connection, state: AlarmState) -> Alarm:
    """The next alarm of that state."""
    while True:
        alarm = Alarm.from_json(bytes(listener.next(WITHIN_S).payload))
        if alarm.state is state:
            return alarm


def test_a_replay_raises_the_machines_alarm_within_the_fault_and_takes_it_back_behind_it(
    pump_site: Site8,
) -> None:
    recording, labels = read_labelled(pump_site.recording, MACHINE, "anomaly")
    [fault] = stretches(labels == 1)
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=len(labels))
    readings = [
        (
            TOPICS.messages_of("pump-1"),
            Reading(
                deviceID="pump-1",
                timeStamp=format_timestamp(start + timedelta(seconds=number)),
                seq=number,
                bootID="replay",
                **dict(zip(MACHINE.names, row, strict=True)),
            ).to_json(),
        )
        for number, row in enumerate(recording.signals.tolist())
    ]
    middle = (fault.first + fault.last) // 2
    with pump_site.broker.connect("telegraf") as listener, pump_site.broker.connect("simulator") as machine:
        listener.subscribe(TOPICS.alarm_of("pump-1"))
        machine.publish_all(list(readings[:middle]))
        raised = next_alarm(listener, AlarmState.UNACKNOWLEDGED)
        machine.publish_all(list(readings[middle:]))
        over = next_alarm(listener, AlarmState.RETURNED)

    assert raised.kind == "machine_fault"
    assert raised.why.startswith("Flow ")
    assert raised.inspect == "the valves and the filter"
    assert [part.signal for part in raised.contributions] == ["flow"]
    # The alarm's on-delay comes to that of the gathering.
    judged = judge(pump_site.recording, "recording", MACHINE)
    called = max(stretches(judged.called), key=lambda stretch: stretch.last - stretch.first)
    raised_at = (parse_timestamp(raised.since) - start).total_seconds()
    assert fault.first <= raised_at == called.first + 5 < middle
    assert over.alarm_id == raised.alarm_id
    assert over.active == 0


def test_a_pumps_reading_without_its_flow_is_refused_by_its_own_manifest(pump_site: Site8) -> None:
    signals = {signal.name: (signal.minimum + signal.maximum) / 2 for signal in MACHINE.signals}
    del signals["flow"]
    body = {"deviceID": "pump-2", "timeStamp": format_timestamp(datetime.now(UTC)), **signals}
    with pump_site.broker.connect("monitor") as listener, pump_site.broker.connect("simulator") as machine:
        listener.subscribe(TOPICS.rejected)
        machine.publish(TOPICS.messages_of("pump-2"), json.dumps(body))
        rejection = json.loads(listener.next().payload)
    assert rejection["reason"] == "signal_missing"
    assert rejection["detail"] == "signal 'flow' is missing, expected a number in l/min"
