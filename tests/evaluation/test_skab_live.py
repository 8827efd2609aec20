"""The same path live: a pump through the real broker, predictor and scoring service, on a topic root of its own.

The bundle is learned from the recording's first rows, as for the fan nothing but the bundle knows the eight signals.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from contract.reading import Reading
from contract.timestamp import format_timestamp
from contract.topics import Topics
from contract.verdict import Verdict
from evaluation.outliers import stretches
from evaluation.skab import judge, skab_machine
from monitor.diagnosis.gathering import Gathering
from testbed.mosquitto import ACL, Mosquitto
from testbed.services import Inference, Predictor
from testbed.site import Site
from tests.evaluation.made_recordings import close_valve, pump, write_recording
from training.baseline import learn_baseline
from training.baseline_bundle import write_baseline_bundle

# Keras 3 against NumPy 2; not ours, and nothing that these tests could act on.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TOPICS = Topics("pump")
ROWS, FIRST, LAST = 1000, 600, 799


@pytest.fixture(scope="module")
def recording() -> npt.NDArray[np.float64]:
    signals = pump(ROWS, seed=5)
    close_valve(signals, FIRST, LAST)
    return signals.round(6)


@pytest.fixture(scope="module")
def broker(
    tmp_path_factory: pytest.TempPathFactory, recording: npt.NDArray[np.float64]
) -> Iterator[Mosquitto]:
    """A broker whose rules know the root "pump", a predictor and a scoring service with the pump's bundle."""
    machine = skab_machine()
    healthy = recording[: machine.healthy_rows]
    baseline = learn_baseline(healthy, machine.names)
    models = tmp_path_factory.mktemp("models")
    write_baseline_bundle(models / "pump", baseline, healthy, machine.specifications, name="pump")
    site = Site(tmp_path_factory.mktemp("site"))
    with (
        Mosquitto(site, acl=ACL.read_text().replace("fan/", "pump/")) as mosquitto,
        Inference(site, {"MODELS_DIR": str(models), "MODEL_NAME": "pump"}) as inference,
        Predictor(mosquitto, inference.url, {"TOPIC_ROOT": "pump", "MODEL_NAME": "pump"}),
    ):
        yield mosquitto


def test_a_closed_valve_is_found_in_the_verdicts_of_the_running_services(
    broker: Mosquitto, recording: npt.NDArray[np.float64], tmp_path: Path
) -> None:
    names = skab_machine().names
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=ROWS)
    readings = [
        Reading(
            deviceID="pump-1",
            timeStamp=format_timestamp(start + timedelta(seconds=number)),
            seq=number,
            bootID="replay",
            **dict(zip(names, row, strict=True)),
        ).to_json()
        for number, row in enumerate(recording.tolist())
    ]
    with broker.connect("monitor") as listener, broker.connect("simulator") as machine:
        listener.subscribe(TOPICS.all_anomalies)
        machine.publish_all([(TOPICS.messages_of("pump-1"), reading) for reading in readings])
        messages = [listener.next() for _ in readings]

    assert {message.topic for message in messages} == {"pump/anomaly/pump-1"}
    verdicts = [Verdict.from_json(bytes(message.payload)) for message in messages]
    assert [verdict.seq for verdict in verdicts] == list(range(ROWS))
    assert {verdict.model for verdict in verdicts} == {"pump:1"}

    gathering = Gathering(names)
    gathered = [
        gathering.step([verdict.signals[name] for name in names], verdict.probability) for verdict in verdicts
    ]
    called = np.array([step.fault for step in gathered])
    fault = max(stretches(called), key=lambda stretch: stretch.last - stretch.first)
    assert FIRST <= fault.first <= FIRST + 30
    assert LAST < fault.last <= LAST + 60
    assert {step.channel for step in gathered[FIRST + 50 : LAST]} <= {"flow", "model"}

    labels = np.zeros(ROWS, dtype=np.int64)
    write_recording(tmp_path / "recording.csv", recording, labels)
    evaluated = judge(tmp_path / "recording.csv", "recording.csv", skab_machine())
    assert called.tolist() == evaluated.called.tolist()


def test_a_pumps_reading_without_its_flow_is_refused_by_its_own_manifest(
    broker: Mosquitto, recording: npt.NDArray[np.float64]
) -> None:
    signals = dict(zip(skab_machine().names, recording[0].tolist(), strict=True))
    del signals["flow"]
    body = {"deviceID": "pump-1", "timeStamp": format_timestamp(datetime.now(UTC)), **signals}
    with broker.connect("monitor") as listener, broker.connect("simulator") as machine:
        listener.subscribe(TOPICS.rejected)
        machine.publish(TOPICS.messages_of("pump-1"), json.dumps(body))
        rejection = json.loads(listener.next().payload)
    assert rejection["reason"] == "signal_missing"
    assert rejection["detail"] == "signal 'flow' is missing, expected a number in l/min"
