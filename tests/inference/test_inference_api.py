"""The protocol's answers, and what each wrong request gets."""

import json
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from contract.scoring import InferResponse, ModelMetadata, ScoreResponse
from inference.app import create_app
from inference.bundle import Bundle
from inference.errors import ModelUnusable
from inference.metrics import InferenceMetrics
from inference.runtimes import Rows
from inference.service import ScoringService, ServedModel, load_model

HEALTHY = [600.0, 40.0, 150.0, 48.0]
FAULTY = [450.0, 52.0, 230.0, 58.0]
INFER = "/v2/models/fan/infer"


def request_for(rows: list[list[float]], **more: object) -> dict[str, Any]:
    flat = [value for row in rows for value in row]
    tensor = {"name": "signals", "datatype": "FP32", "shape": [len(rows), 4], "data": flat}
    return {"inputs": [tensor | more]}


def test_the_metadata_carry_what_a_caller_must_know(client: FlaskClient, bundle: Bundle) -> None:
    answer = client.get("/v2/models/fan")
    metadata = ModelMetadata.model_validate_json(answer.data)
    assert metadata.versions[-1] == "1"
    assert metadata.parameters.signals == bundle.manifest.signals
    assert metadata.parameters.threshold == bundle.manifest.threshold
    assert [
        (tensor.name, tensor.datatype, tensor.shape) for tensor in (*metadata.inputs, *metadata.outputs)
    ] == [
        ("signals", "FP32", [-1, 4]),
        ("probability", "FP32", [-1]),
        ("fault", "INT32", [-1]),
    ]


@pytest.mark.parametrize("path", ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/fan/ready"])
@pytest.mark.parametrize("version", ["", "/versions/1"])
def test_health_and_server_metadata_answer(client: FlaskClient, path: str, version: str) -> None:
    path = path.replace("/fan", f"/fan{version}")
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.json
    assert answer.json.get("live", answer.json.get("ready", True)) is True


def test_a_batch_gets_a_probability_and_a_fault_for_each_row(client: FlaskClient) -> None:
    answer = client.post(INFER, json=request_for([HEALTHY, FAULTY, HEALTHY]) | {"id": "call 7"})
    assert answer.status_code == 200
    body = InferResponse.model_validate_json(answer.data)
    assert (body.model_name, body.model_version, body.id) == ("fan", "1", "call 7")
    probability, fault = body.outputs
    assert (probability.name, probability.datatype, probability.shape) == ("probability", "FP32", [3])
    assert (fault.name, fault.datatype, fault.shape, fault.data) == ("fault", "INT32", [3], [0, 1, 0])
    assert probability.data[0] < 0.5 < probability.data[1]


def test_rows_may_be_nested_and_give_the_same(client: FlaskClient) -> None:
    flat = client.post(INFER, json=request_for([HEALTHY, FAULTY]))
    nested = client.post(INFER, json=request_for([HEALTHY, FAULTY], data=[HEALTHY, FAULTY]))
    assert flat.status_code == 200
    assert flat.data == nested.data


def test_only_the_outputs_that_are_asked_for_come(client: FlaskClient) -> None:
    answer = client.post(INFER, json=request_for([HEALTHY]) | {"outputs": [{"name": "fault"}]})
    assert answer.json
    assert [tensor["name"] for tensor in answer.json["outputs"]] == ["fault"]


def test_a_version_may_be_named(client: FlaskClient) -> None:
    assert client.post("/v2/models/fan/versions/1/infer", json=request_for([HEALTHY])).status_code == 200


@pytest.mark.parametrize(("params", "fault"), [(HEALTHY, "0"), (FAULTY, "1")])
def test_the_first_generation_gets_its_answer_as_a_string(
    client: FlaskClient, params: list[float], fault: str
) -> None:
    answer = client.post("/score", json={"params": params})
    assert answer.status_code == 200
    assert answer.json == {"fault": fault}
    ScoreResponse.model_validate_json(answer.data)


BAD_BODIES = {
    "nothing": (b"", "expected JSON"),
    "not JSON": (b"rotation=600", "expected JSON"),
    "not UTF-8": (b"\xff\xfe\x00", "expected JSON"),
    "broken off": (b'{"inputs":[{"shape":[1,4],"data":[600,', "expected JSON"),
    "too deep": (b"[" * 20_000 + b"]" * 20_000, "expected JSON"),
    "no object": (b"[]", "body: Input should be an object"),
    "null": (b"null", "body: Input should be an object"),
    "no inputs": (b"{}", "inputs: Field required"),
    "two inputs": (
        json.dumps({"inputs": request_for([HEALTHY])["inputs"] * 2}).encode(),
        "inputs: List should",
    ),
    "another tensor": (json.dumps(request_for([HEALTHY], name="pressure")).encode(), "inputs.0.name"),
    "another type": (json.dumps(request_for([HEALTHY], datatype="FP64")).encode(), "inputs.0.datatype"),
    "no shape": (b'{"inputs":[{"data":[1,2,3,4]}]}', "inputs.0.shape: Field required"),
    "no data": (b'{"inputs":[{"shape":[1,4]}]}', "inputs.0.data: Field required"),
    "flat shape": (json.dumps(request_for([HEALTHY], shape=[4])).encode(), r"expected \[n, 4\]"),
    "three columns": (json.dumps(request_for([HEALTHY], shape=[1, 3])).encode(), r"expected \[n, 4\]"),
    "no rows": (json.dumps(request_for([], data=[])).encode(), r"expected \[n, 4\] with n of at least 1"),
    "negative rows": (json.dumps(request_for([HEALTHY], shape=[-1, 4])).encode(), "inputs.0.shape.0"),
    "float shape": (json.dumps(request_for([HEALTHY], shape=[1.0, 4])).encode(), "inputs.0.shape.0"),
    "too few numbers": (
        json.dumps(request_for([HEALTHY], shape=[2, 4])).encode(),
        "expected 8 numbers.*got 4",
    ),
    "ragged rows": (json.dumps(request_for([HEALTHY], data=[[1, 2, 3]])).encode(), "expected 1 rows of 4"),
    "NaN": (b'{"inputs":[{"shape":[1,4],"data":[NaN,1,1,1]}]}', "inputs.0.data.0: .*finite"),
    "infinity": (b'{"inputs":[{"shape":[1,4],"data":[1,-Infinity,1,1]}]}', "inputs.0.data.1: .*finite"),
    "beyond a double": (b'{"inputs":[{"shape":[1,4],"data":[1,1e400,1,1]}]}', "inputs.0.data.1: .*finite"),
    "beyond FP32": (
        b'{"inputs":[{"shape":[1,4],"data":[1,1,1e39,1]}]}',
        "row 0, vibration: .*finite as FP32",
    ),
    "a large integer": (b'{"inputs":[{"shape":[1,4],"data":[1' + b"0" * 400 + b",1,1,1]}]}", "finite|valid"),
    "a boolean": (b'{"inputs":[{"shape":[1,4],"data":[1,1,true,1]}]}', "inputs.0.data.2: .*number; got True"),
    "a string": (
        b'{"inputs":[{"shape":[1,4],"data":["600",1,1,1]}]}',
        "inputs.0.data.0: .*number; got '600'",
    ),
    "a null": (b'{"inputs":[{"shape":[1,4],"data":[null,1,1,1]}]}', "inputs.0.data.0"),
    "mixed nesting": (b'{"inputs":[{"shape":[1,4],"data":[1,[1],1,1]}]}', "inputs.0.data.1"),
    "unknown output": (
        json.dumps(request_for([HEALTHY]) | {"outputs": [{"name": "cause"}]}).encode(),
        "outputs.0.name",
    ),
    "a long id": (json.dumps(request_for([HEALTHY]) | {"id": "x" * 200}).encode(), "id: String should"),
}


@pytest.mark.parametrize(("body", "told"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_bad_body_gets_400_and_is_told_what_was_expected(
    client: FlaskClient, body: bytes, told: str
) -> None:
    answer = client.post(INFER, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json
    assert re.search(told, answer.json["error"]), answer.json["error"]


@pytest.mark.parametrize(
    "params",
    [
        [],
        [1, 2, 3],
        [1, 2, 3, 4, 5],
        [1, 2, 3, True],
        [1, 2, 3, "4"],
        [1, 2, 3, 1e39],
        [[1, 2, 3, 4]],
        None,
        5,
        {},
    ],
)
def test_a_bad_call_of_the_first_generation_gets_400(client: FlaskClient, params: object) -> None:
    answer = client.post("/score", json={"params": params})
    assert answer.status_code == 400
    assert answer.json
    assert "params" in answer.json["error"] or "sound" in answer.json["error"]


def test_a_body_over_the_limit_gets_413(client: FlaskClient) -> None:
    answer = client.post(INFER, data=b" " * 65_537, content_type="application/json")
    assert (answer.status_code, answer.json) == (413, {"error": "body: expected at most 65536 bytes"})


def test_more_rows_than_allowed_get_413(client: FlaskClient) -> None:
    answer = client.post(INFER, json=request_for([[1, 2, 3, 4]] * 1001))
    assert answer.status_code == 413
    assert answer.json
    assert "at most 1000 rows" in answer.json["error"]


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"Content-Type": "text/plain"}, "expected application/json; got 'text/plain'"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "expected application/json"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, "Content-Encoding"),
    ],
)
def test_another_content_type_or_encoding_gets_415(
    client: FlaskClient, headers: dict[str, str], told: str
) -> None:
    answer = client.post(INFER, data=json.dumps(request_for([HEALTHY])), headers=headers)
    assert answer.status_code == 415
    assert answer.json
    assert told in answer.json["error"]


@pytest.mark.parametrize("path", ["/v2/models/pump", "/v2/models/fan/versions/2", "/v2/models/pump/ready"])
def test_an_unknown_model_or_version_gets_404_and_the_known_one(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json
    assert "expected fan:1" in answer.json["error"]


def test_an_unknown_path_gets_404_in_json(client: FlaskClient) -> None:
    answer = client.get("/v1/predict")
    assert answer.status_code == 404
    assert answer.json
    assert "/openapi.json" in answer.json["error"]


def test_another_method_gets_405_and_the_right_one(client: FlaskClient) -> None:
    answer = client.get(INFER)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "OPTIONS, POST"
    assert answer.json
    assert "POST" in answer.json["error"]


def test_nothing_is_ready_or_scored_until_a_model_has_scored_a_row(bundle: Bundle) -> None:
    service = ScoringService()
    client = create_app(service, InferenceMetrics()).test_client()
    for path in ("/v2/health/ready", "/v2/models/fan/ready", "/v2/models/fan"):
        assert client.get(path).status_code == 503
    for path, body in ((INFER, request_for([HEALTHY])), ("/score", {"params": HEALTHY})):
        answer = client.post(path, json=body)
        assert answer.status_code == 503
        assert answer.json
        assert "still being loaded" in answer.json["error"]
    assert client.get("/v2/health/live").status_code == 200
    service.serve(load_model(bundle, "litert"))
    assert client.get("/v2/health/ready").status_code == 200


class Broken:
    """A runtime whose model gives no probability."""

    platform = "broken"

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float32]:
        return np.full(len(rows), np.nan, dtype=np.float32)


def test_a_model_that_gives_no_probability_is_the_callers_error_not_a_number(bundle: Bundle) -> None:
    service = ScoringService()
    service.serve(ServedModel(bundle.manifest, Broken()))
    answer = create_app(service, InferenceMetrics()).test_client().post(INFER, json=request_for([HEALTHY]))
    assert answer.status_code == 400
    assert answer.json
    assert "gives nan instead of a probability" in answer.json["error"]


def test_a_model_that_cannot_score_is_never_served(bundle: Bundle) -> None:
    with pytest.raises(ModelUnusable):
        load_model(Bundle(bundle.manifest, {"model.tflite": b"damaged"}), "litert")


def test_requests_rows_and_faults_are_counted(client: FlaskClient) -> None:
    client.post(INFER, json=request_for([HEALTHY, FAULTY]))
    client.post(INFER, data=b"{", content_type="application/json")
    text = client.get("/metrics").text
    assert 'fanwatch_inference_requests_total{endpoint="infer",status="200"} 1.0' in text
    assert 'fanwatch_inference_requests_total{endpoint="infer",status="400"} 1.0' in text
    assert "fanwatch_inference_rows_scored_total 2.0" in text
    assert "fanwatch_inference_faults_found_total 1.0" in text


def test_a_made_up_path_makes_no_new_series(client: FlaskClient) -> None:
    for number in range(3):
        client.get(f"/{number}")
    assert 'endpoint="unknown",status="404"} 3.0' in client.get("/metrics").text


def test_the_openapi_document_is_valid_and_names_every_route(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert document
    validate(document)
    application = client.application
    routes = {
        rule.rule.replace("<", "{").replace(">", "}"): rule.methods - {"HEAD", "OPTIONS"}
        for rule in application.url_map.iter_rules()
        if rule.methods
    }
    assert {
        path: {verb.upper() for verb in entry if verb != "parameters"}
        for path, entry in document["paths"].items()
    } == routes
