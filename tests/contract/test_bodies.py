"""Rejection, manifest, command and scoring bodies hold their bounds."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.bundle import Manifest
from contract.command import Condition, FanCommand
from contract.rejection import MAX_REJECTED_PAYLOAD_BYTES, Reason, Rejection
from contract.scoring import InferRequest, InputTensor, ScoreRequest

MANIFEST: dict[str, Any] = {
    "name": "fan",
    "version": "3",
    "signals": [
        {"name": "rotation", "unit": "r/min", "minimum": 0, "maximum": 1500},
        {"name": "temperature", "unit": "degrees C", "minimum": -40, "maximum": 150},
    ],
    "threshold": 0.5,
    "metrics": {"auc": 0.96},
    "training_data_sha256": "0" * 64,
    "files": {"model.tflite": "a" * 64},
}


@given(st.binary(max_size=3 * MAX_REJECTED_PAYLOAD_BYTES))
def test_any_payload_can_be_dead_lettered_and_is_cut_to_4_kib(payload: bytes) -> None:
    rejection = Rejection.of(
        payload,
        topic="fan/messages",
        reason=Reason.NOT_A_READING,
        detail="no",
        rejected_at="2026-11-23T10:00:00.000Z",
    )
    body = json.loads(rejection.to_json())
    assert body["payloadBytes"] == len(payload)
    assert len(body["payload"]) <= 4 * MAX_REJECTED_PAYLOAD_BYTES
    assert Rejection.model_validate_json(rejection.to_json()) == rejection


def test_a_manifest_names_its_model_as_verdicts_do() -> None:
    assert Manifest.model_validate(MANIFEST).model_id == "fan:3"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"files": {"../model.tflite": "a" * 64}}, "files"),
        ({"files": {"/etc/passwd": "a" * 64}}, "files"),
        ({"files": {"model.tflite": "short"}}, "files"),
        ({"files": {}}, "files"),
        ({"signals": []}, "signals"),
        ({"signals": [MANIFEST["signals"][0]] * 2}, "twice"),
        ({"signals": [{"name": "a", "unit": "x", "minimum": 2, "maximum": 1}]}, "not below"),
        ({"signals": [{"name": "fault", "unit": "x", "minimum": 0, "maximum": 1}]}, "may not be called"),
        ({"threshold": 1.5}, "threshold"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Manifest.model_validate({**MANIFEST, **change})


@pytest.mark.parametrize("data", [[1.0, True], [1.0, "2"], [1.0, float("nan")], [[1.0], [float("inf")]]])
def test_a_tensor_holds_finite_numbers_only(data: list[Any]) -> None:
    with pytest.raises(ValidationError):
        InputTensor(shape=[1, 2], data=data)


def test_a_request_holds_one_tensor_of_one_or_two_dimensions() -> None:
    tensor = {"name": "signals", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    assert InferRequest.model_validate({"inputs": [tensor]}).inputs[0].data == [1.0, 2.0]
    for wrong in ([], [tensor, tensor], [{**tensor, "shape": [1, 1, 2]}], [{**tensor, "datatype": "BYTES"}]):
        with pytest.raises(ValidationError):
            InferRequest.model_validate({"inputs": wrong})


def test_a_first_generation_request_holds_numbers() -> None:
    assert ScoreRequest.model_validate_json(b'{"params": [600, 40.5, 150, 48]}').params == [
        600,
        40.5,
        150,
        48,
    ]
    with pytest.raises(ValidationError):
        ScoreRequest.model_validate_json(b'{"params": []}')


def test_a_command_names_a_condition_and_nothing_unknown() -> None:
    assert FanCommand.model_validate_json(b'{"condition": "faulty"}').condition is Condition.FAULTY
    for wrong in (
        b'{"condition": "on fire"}',
        b'{"condition": "wearing", "duration_s": 0}',
        b'{"state": "faulty"}',
    ):
        with pytest.raises(ValidationError):
            FanCommand.model_validate_json(wrong)
