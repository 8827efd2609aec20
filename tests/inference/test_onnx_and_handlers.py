"""Models of scikit-learn and others as ONNX, and models that bring code: what is served, and what is refused."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import requests
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from contract.bundle import MANIFEST_FILE, Manifest
from inference.bundle import Bundle, read_bundle
from inference.errors import BadBody, ModelUnusable
from inference.runtimes import load_runtime
from inference.runtimes.handler import HandlerFailed
from inference.service import ServedModel, load_model
from inference.signature import Signers
from tests.inference.inference_process import running
from tests.inference.model_versions import Signer

SIGNALS = [
    {"name": "flow", "unit": "l/min", "minimum": 0, "maximum": 500},
    {"name": "pressure", "unit": "bar", "minimum": 0, "maximum": 10},
]
HANDLER = b"""
from __future__ import annotations
from dataclasses import dataclass
import json
import numpy as np

@dataclass
class Limits:
    flow: float

class Handler:
    def load(self, files):
        self.limits = Limits(**json.loads(files["limits.json"]))
    def preprocess(self, rows):
        return rows[:, 0] / self.limits.flow
    def predict(self, inputs):
        return inputs > 1
    def postprocess(self, outputs):
        return np.where(outputs, 0.9, 0.1)
"""
LIMITS = b'{"flow": 250}'
ROWS = np.array([[100, 1], [400, 1]], dtype=np.float32)


def made(files: Mapping[str, bytes], *, is_signed: bool = True, handler: bool = False) -> Bundle:
    manifest = Manifest.model_validate(
        {
            "name": "pump",
            "version": "1",
            "signals": SIGNALS,
            "threshold": 0.5,
            "metrics": {},
            "training_data_sha256": "0" * 64,
            "handler": handler,
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        }
    )
    return Bundle(manifest, files, is_signed)


def with_handler(source: bytes = HANDLER, *, is_signed: bool = True) -> Bundle:
    return made({"handler.py": source, "limits.json": LIMITS}, is_signed=is_signed, handler=True)


def written(bundle: Bundle, models: Path) -> Path:
    folder = models / "pump"
    folder.mkdir(parents=True)
    for name, content in bundle.files.items():
        (folder / name).write_bytes(content)
    (folder / MANIFEST_FILE).write_text(bundle.manifest.model_dump_json())
    return folder


@pytest.fixture(scope="module")
def estimator() -> LogisticRegression:
    rng = np.random.default_rng(1)
    rows = rng.uniform((0, 0), (500, 10), (400, 2)).astype(np.float32)
    return LogisticRegression(max_iter=1000).fit(rows, rows[:, 0] / 50 + rows[:, 1] > 10)


@pytest.fixture(scope="module")
def model_onnx(estimator: LogisticRegression) -> bytes:
    content: bytes = to_onnx(estimator, ROWS, options={"zipmap": False}).SerializeToString()
    return content


def graph(inputs: list[int | str], outputs: list[int | str], kind: int = TensorProto.FLOAT) -> bytes:
    """A model that gives the mean of its inputs' columns, or whatever its output claims to be."""
    node = helper.make_node("ReduceMean", ["signals"], ["mean"], axes=[1], keepdims=len(outputs) - 1)
    model = helper.make_model(
        helper.make_graph(
            [node],
            "mean",
            [helper.make_tensor_value_info("signals", kind, inputs)],
            [helper.make_tensor_value_info("mean", kind, outputs)],
        ),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    content: bytes = model.SerializeToString()
    return content


def test_a_classifier_of_scikit_learn_gives_its_own_probabilities(
    estimator: LogisticRegression, model_onnx: bytes
) -> None:
    rows = np.random.default_rng(2).uniform((0, 0), (500, 10), (1000, 2)).astype(np.float32)
    runtime = load_runtime("auto", made({"model.onnx": model_onnx}))
    assert runtime.platform == "onnxruntime_onnx"
    found = runtime.probabilities(rows)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, estimator.predict_proba(rows)[:, 1], atol=1e-5)


def test_what_lies_beyond_1_by_rounding_is_1_and_what_lies_further_is_refused() -> None:
    bundle = made({"model.onnx": graph(["n", 2], ["n"])})
    model = ServedModel(bundle.manifest, load_runtime("onnx", bundle))
    assert model.runtime.probabilities(np.array([[1.000001, 1]], np.float32))[0] == 1
    with pytest.raises(BadBody, match=r"gives 1\.5 instead of a probability"):
        model.score(np.array([[2, 1]], np.float32))


@pytest.mark.parametrize("outputs", [["n"], ["n", 1]])
def test_an_onnx_model_with_one_probability_a_row_is_served(outputs: list[int | str]) -> None:
    runtime = load_runtime("onnx", made({"model.onnx": graph(["n", 2], outputs)}))
    np.testing.assert_allclose(runtime.probabilities(np.full((3, 2), 0.25, np.float32)), [0.25] * 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a model",
        graph(["n", 3], ["n"]),
        graph([1, 2], [1]),
        graph(["n", 2], ["n"], TensorProto.DOUBLE),
    ],
    ids=["empty", "text", "three signals", "one row only", "float64"],
)
def test_a_model_onnx_that_does_not_fit_is_refused(content: bytes) -> None:
    with pytest.raises(ModelUnusable, match=r"model\.onnx"):
        load_runtime("onnx", made({"model.onnx": content}))


def test_a_model_onnx_with_an_operator_that_is_code_of_somebody_is_refused() -> None:
    model = onnx.load_from_string(graph(["n", 2], ["n"]))
    model.graph.node[0].domain = "some.body"
    model.opset_import.append(helper.make_opsetid("some.body", 1))
    with pytest.raises(ModelUnusable, match="is no ONNX model that can be used"):
        load_runtime("onnx", made({"model.onnx": model.SerializeToString()}))


def test_a_model_onnx_reads_no_file_outside_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights").write_bytes(np.array([0.5], np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="weights")
    model = onnx.load_from_string(graph(["n", 2], ["n", 1]))
    model.graph.node[0].output[0] = "inner"
    model.graph.node.append(helper.make_node("Mul", ["inner", "w"], ["mean"]))
    model.graph.initializer.append(outside)
    with pytest.raises(ModelUnusable, match="is no ONNX model that can be used"):
        load_runtime("onnx", made({"model.onnx": model.SerializeToString()}))


def test_auto_takes_the_lightest_runtime_that_the_bundle_has_a_file_for(model_onnx: bytes) -> None:
    committed = read_bundle(Path(__file__).parents[2] / "models" / "fan", "fan", None)
    both = Bundle(committed.manifest, {**committed.files, "model.onnx": model_onnx})
    assert load_runtime("auto", both).platform == "litert"
    with pytest.raises(ModelUnusable, match=r"expected one of model\.tflite, model\.onnx, model\.keras"):
        load_runtime("auto", made({"model.pkl": b"anything"}))


def test_a_signed_handler_computes_where_the_settings_allow_it() -> None:
    model = load_model(with_handler(), "auto", allow_handlers=True)
    probability, fault = model.score(ROWS)
    np.testing.assert_allclose(probability, [0.1, 0.9], rtol=1e-6)
    assert fault.tolist() == [0, 1]


@pytest.mark.parametrize("runtime", ["auto", "handler"])
def test_code_is_not_run_unless_it_is_signed_named_and_allowed(
    runtime: str, tmp_path: Path, model_onnx: bytes
) -> None:
    ran = tmp_path / "ran"
    source = HANDLER + f"\nopen({str(ran)!r}, 'w')\n".encode()
    with pytest.raises(ModelUnusable, match="FANWATCH_ALLOW_HANDLERS=true lets"):
        load_runtime(runtime, with_handler(source))
    with pytest.raises(ModelUnusable, match="code is run from signed bundles only"):
        load_runtime(runtime, with_handler(source, is_signed=False), allow_handlers=True)
    unnamed = made({"handler.py": source, "model.onnx": model_onnx})
    if runtime == "auto":
        assert load_runtime(runtime, unnamed, allow_handlers=True).platform == "onnxruntime_onnx"
    else:
        with pytest.raises(ModelUnusable, match="does not say that a handler computes it"):
            load_runtime(runtime, unnamed, allow_handlers=True)
    assert not ran.exists()
    load_runtime(runtime, with_handler(source), allow_handlers=True)
    assert ran.exists()


def test_what_is_run_are_the_verified_bytes_and_not_the_file_on_disk(tmp_path: Path) -> None:
    signer = Signer.make(tmp_path / "keys")
    folder = written(with_handler(), tmp_path / "models")
    signer.sign(folder)
    bundle = read_bundle(folder, "pump", Signers((signer.public_key,), tmp_path))
    (folder / "handler.py").write_text("raise SystemExit('exchanged')")
    assert load_model(bundle, "auto", allow_handlers=True).runtime.platform == "fanwatch_handler"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (b"class Handler", "SyntaxError"),
        (b"import no_such_package", "No module named 'no_such_package'"),
        (b"raise SystemExit(3)", "SystemExit"),
        (b"x = 1", "has no class Handler"),
        (b"class Handler: pass", "has no load, preprocess, predict, postprocess"),
        (HANDLER.replace(b"limits.json", b"other.json"), "KeyError"),
        (HANDLER.replace(b"np.where(outputs, 0.9, 0.1)", b"np.zeros(7)"), r"gave \[7\] for 1 rows"),
        (HANDLER.replace(b"np.where(outputs, 0.9, 0.1)", b"np.full(len(outputs), 2.0)"), "instead of a prob"),
    ],
)
def test_a_handler_that_cannot_compute_is_refused_with_the_reason(source: bytes, why: str) -> None:
    with pytest.raises(ModelUnusable, match=why):
        load_model(with_handler(source), "auto", allow_handlers=True)


def test_what_a_handler_raises_for_a_row_is_told_as_its_own() -> None:
    source = HANDLER.replace(b"return inputs > 1", b"return {}[0] if inputs[0] > 1.2 else inputs > 1")
    model = load_model(with_handler(source), "auto", allow_handlers=True)
    with pytest.raises(HandlerFailed, match=r"handler\.py of pump:1: KeyError: 0"):
        model.score(ROWS[1:])


def test_two_versions_of_a_handler_do_not_meet() -> None:
    first = load_model(with_handler(), "auto", allow_handlers=True)
    other = HANDLER.replace(b"0.9", b"0.8")
    second = load_model(with_handler(other), "auto", allow_handlers=True)
    assert [float(m.score(ROWS)[0][1]) for m in (first, second)] == pytest.approx([0.9, 0.8])


def infer(url: str, rows: npt.NDArray[np.float32]) -> list[float]:
    tensor = {"name": "signals", "shape": list(rows.shape), "datatype": "FP32", "data": rows.ravel().tolist()}
    answer = requests.post(f"{url}/v2/models/pump/infer", json={"inputs": [tensor]}, timeout=20)
    answer.raise_for_status()
    outputs = {each["name"]: each["data"] for each in answer.json()["outputs"]}
    found: list[float] = outputs["probability"]
    return found


def test_the_service_serves_a_signed_handler(tmp_path: Path) -> None:
    signer = Signer.make(tmp_path / "keys")
    signer.sign(written(with_handler(), tmp_path / "models"))
    settings = {
        "models_dir": tmp_path / "models",
        "model_name": "pump",
        "model_public_keys": signer.public_key,
        "scratch_dir": tmp_path,
    }
    with running(**settings, allow_handlers=True) as service:
        assert service.await_event("model_ready")[0]["runtime"] == "fanwatch_handler"
        assert infer(service.url, ROWS) == pytest.approx([0.1, 0.9])
    with running(**settings) as service:
        refused = service.await_event("model_is_unusable")[0]
        assert "FANWATCH_ALLOW_HANDLERS=true" in refused["error"]
        assert service.process.wait(30) != 0


def test_the_manifest_of_a_handler_is_a_manifest(tmp_path: Path) -> None:
    folder = written(with_handler(), tmp_path)
    assert json.loads((folder / MANIFEST_FILE).read_text())["handler"] is True
