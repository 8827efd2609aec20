"""`fanwatch pipeline run`, from readings in InfluxDB to a served, signed, newer model, while readings flow."""

from pathlib import Path

import pytest

from edge_manager.models.versions import ModelVersions
from testbed.influxdb import InfluxDB
from testbed.mosquitto import Mosquitto
from testbed.services import Inference, Predictor
from testbed.site import Site
from tests.stack.judged_readings import Verdicts, await_verdicts, judge
from tests.training.recorded_plant import recorded_plant
from training.signing import sign_bundle

# Keras 3 against NumPy 2; not ours, and nothing that this test could act on.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_a_better_model_is_made_of_stored_readings_and_served_while_others_flow(
    influxdb: InfluxDB, tmp_path: Path
) -> None:
    with recorded_plant(influxdb, tmp_path / "plant") as plant:
        key = plant.folder / "keys" / "model-signing.key"
        sign_bundle(plant.models / "fan", key, None)
        broker = Mosquitto(Site(tmp_path / "site"))
        inference = Inference(
            broker.site,
            {"MODELS_DIR": str(plant.models), "MODEL_PUBLIC_KEYS": str(key.with_suffix(".pub"))},
        )

        def story(verdicts: Verdicts) -> None:
            await_verdicts(verdicts, "fan:1", 500)
            run = plant.pipeline(*plant.options("run", "--key", str(key), "--as", "champion"))
            assert run.exit_code == 0, run.output
            await_verdicts(verdicts, "fan:2", 500)

        with broker, inference, Predictor(broker, inference.url):
            verdicts = judge(broker, "piped", story)
        assert set(verdicts.models) == {"fan:1", "fan:2"}
        switched = verdicts.models.index("fan:2")
        assert "fan:1" not in verdicts.models[switched:], (
            "one worker: nothing is judged by the old model any more"
        )
        deployment = ModelVersions(plant.models, "fan").deployment()
        assert deployment is not None
        assert (deployment.champion, deployment.previous) == ("2", "1")
        assert "is better than fan:1" in deployment.why
