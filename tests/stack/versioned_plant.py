"""The path from readings to verdicts, on a device with three versions of the fan's model, of which the third fails."""

import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edge_manager.models.versions import ModelVersions
from testbed.mosquitto import Mosquitto
from testbed.services import Inference, Predictor
from testbed.site import Site
from tests.inference.model_versions import Signer, add_version, repack


def broken_onnx() -> bytes:
    """A model that scores a reading in the middle of its ranges, and below 700 r/min gives no number."""
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


class VersionedPlant:
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
