"""Models change while readings flow at 500 a second: none is lost, and every verdict names the model that gave it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from onnx import TensorProto, helper, numpy_helper

from edge_manager.model_versions import ModelVersions
from edge_manager.shadow_report import comparisons
from testbed.mosquitto import Mosquitto
from testbed.services import Inference, Predictor
from testbed.site import Site
from testbed.waiting import wait_until
from tests.inference.model_versions import Signer, add_version, repack
from tests.stack.judged_readings import PER_SECOND, WITHIN_S, Verdicts, await_verdicts, judge


def broken_onnx() -> bytes:
    """A model that scores a reading in the middle of its ranges, and below 700 r/min gives no number."""
    import numpy as np  # noqa: PLC0415 - for two constants

    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["signals", "first"], ["rotation"]),
            helper.make_node("Sub", ["rotation", "edge"], ["above"]),
            helper.make_node("Sqrt", ["above"], ["root"]),
            helper.make_node("Mul", ["root", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "tenth"], ["probability"]),
        ],
        "broken",
        [helper.make_tensor_value_info("signals", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])],
        [
            numpy_helper.from_array(np.array([[1], [0], [0], [0]], np.float32), "first"),
            numpy_helper.from_array(np.array([[700]], np.float32), "edge"),
            numpy_helper.from_array(np.array([[0]], np.float32), "zero"),
            numpy_helper.from_array(np.array([[0.1]], np.float32), "tenth"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


class Plant:
    """The path from readings to verdicts, with versions 1, 2 and a broken 3 of the model on its device."""

    def __init__(self, site: Site, models: Path, signer: Signer) -> None:
        bundles = models.parent / "bundles"
        for version in ("1", "2"):
            add_version(bundles, version, signer)
        broken = add_version(bundles, "3", None)
        (broken / "model.tflite").rename(broken / "model.onnx")
        manifest = json.loads((broken / "manifest.json").read_text())
        manifest["files"]["model.onnx"] = manifest["files"].pop("model.tflite")
        (broken / "manifest.json").write_text(json.dumps(manifest))
        repack(broken, "model.onnx", broken_onnx())
        (broken / "model.keras").unlink()
        manifest = json.loads((broken / "manifest.json").read_text())
        del manifest["files"]["model.keras"]
        (broken / "manifest.json").write_text(json.dumps(manifest))
        signer.sign(broken)
        self.fan = ModelVersions(models, "fan")
        for version in ("1", "2", "3"):
            self.fan.add(bundles / "fan" / version)
        self.fan.use("1", "the first")
        self.broker = Mosquitto(site)
        self.inference = Inference(
            site, {"MODELS_DIR": str(models), "MODEL_PUBLIC_KEYS": str(signer.public_key), "WORKERS": "2"}
        )
        self.predictor = Predictor(self.broker, self.inference.url)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("life")
    made = Plant(Site(folder / "site"), folder / "models", Signer.make(folder / "keys"))
    with made.broker, made.inference, made.predictor:
        yield made


def test_a_switch_and_a_roll_back_lose_nothing_and_show_in_the_verdicts(plant: Plant) -> None:
    def story(verdicts: Verdicts) -> None:
        await_verdicts(verdicts, "fan:1", 500)
        plant.fan.use("2", "a newer one")
        await_verdicts(verdicts, "fan:2", 500)
        plant.fan.roll_back("by hand")
        await_verdicts(verdicts, "fan:1", 500)

    verdicts = judge(plant.broker, "switch", story)
    assert set(verdicts.models) == {"fan:1", "fan:2"}
    first = verdicts.models.index("fan:2")
    # Two workers switch within a tenth of a second of each other; beyond that the models do not mix.
    settled = verdicts.models[first + PER_SECOND :]
    assert settled[: settled.index("fan:1")].count("fan:2") > 0


def test_a_challenger_in_the_shadow_is_compared_and_gives_no_verdict(plant: Plant) -> None:
    def compared() -> bool:
        found = comparisons(requests.get(f"{plant.inference.url}/metrics", timeout=20).text)
        return any(each.challenger == "fan:2" and each.rows >= 1000 for each in found)

    def story(verdicts: Verdicts) -> None:
        plant.fan.shadow("2", "try it")
        wait_until(compared, within_s=WITHIN_S, what="a comparison")
        await_verdicts(verdicts, "fan:1", 100)
        plant.fan.shadow(None, "enough")

    verdicts = judge(plant.broker, "shadow", story)
    assert set(verdicts.models) == {"fan:1"}
    [found] = comparisons(requests.get(f"{plant.inference.url}/metrics", timeout=20).text)
    assert found.agreement == 1.0, "it is the same model"


def test_a_model_that_fails_is_rolled_back_by_itself_and_costs_no_reading(plant: Plant) -> None:
    def story(verdicts: Verdicts) -> None:
        plant.fan.use("3", "it passed the gate")
        wait_until(lambda: _champion(plant) == "1", within_s=WITHIN_S, what="the way back")
        await_verdicts(verdicts, "fan:1", 500)

    verdicts = judge(plant.broker, "broken", story)
    assert set(verdicts.models) <= {"fan:1", "fan:3"}
    deployment = plant.fan.deployment()
    assert deployment is not None
    assert "by itself, version 3" in deployment.why


def _champion(plant: Plant) -> str | None:
    deployment = plant.fan.deployment()
    return None if deployment is None else deployment.champion
