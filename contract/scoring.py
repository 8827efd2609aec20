"""The scoring service's bodies: the Open Inference Protocol (REST, version 2), and the first generation's.

Source of the protocol: https://github.com/kserve/open-inference-protocol (inference_rest.md).
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.bundle import ModelSignature
from contract.identity import ModelName

INPUT_TENSOR: Final = "signals"
PROBABILITY_TENSOR: Final = "probability"
FAULT_TENSOR: Final = "fault"

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Shape = Annotated[list[Annotated[int, Field(strict=True, ge=0)]], Field(min_length=1, max_length=2)]

# The first bad number ends validation: pydantic would otherwise describe every one of them, which for a body of
# 8 MiB takes five seconds and 1.5 GB (measured).
Row = Annotated[list[Number], Field(fail_fast=True)]


class InputTensor(BaseModel):
    """The readings of a request: float32 [n, k], row-major, k in the manifest's order."""

    model_config = ConfigDict(frozen=True)

    name: Literal["signals"] = INPUT_TENSOR
    shape: Shape = Field(description="[n, k]: n readings, k signals.")
    datatype: Literal["FP32"] = "FP32"
    data: Row | Annotated[list[Row], Field(fail_fast=True)] = Field(
        union_mode="left_to_right", description="n*k numbers, flat or as n rows of k."
    )


class RequestedOutput(BaseModel):
    """Names an output that the caller wants; all are returned when none is named."""

    model_config = ConfigDict(frozen=True)

    name: Literal["probability", "fault"]


class InferRequest(BaseModel):
    """POST /v2/models/NAME/infer."""

    model_config = ConfigDict(frozen=True)

    id: str | None = Field(default=None, max_length=128, description="Returned unchanged.")
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: Annotated[list[RequestedOutput], Field(max_length=2, fail_fast=True)] | None = None


class OutputTensor(BaseModel):
    """One output of a response: probability is FP32 [n], fault is INT32 [n]."""

    model_config = ConfigDict(frozen=True)

    name: Literal["probability", "fault"]
    shape: Shape
    datatype: Literal["FP32", "INT32"]
    data: list[float] | list[int]


class InferResponse(BaseModel):
    """The answer to an InferRequest."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    model_name: ModelName
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class TensorMetadata(BaseModel):
    """Shape and type of one tensor; -1 is the number of readings."""

    model_config = ConfigDict(frozen=True)

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """GET /v2/models/NAME; ``parameters`` carries what the protocol has no field for."""

    model_config = ConfigDict(frozen=True)

    name: ModelName
    versions: list[str] = Field(min_length=1, description="The version being served is the last.")
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: ModelSignature


class ErrorBody(BaseModel):
    """Every answer that is not a success."""

    model_config = ConfigDict(frozen=True)

    error: str = Field(description="What happened, what was expected and what to do.")


class ScoreRequest(BaseModel):
    """POST /score, the first generation's call: one reading, in the manifest's order."""

    model_config = ConfigDict(frozen=True)

    params: Row = Field(
        min_length=1, max_length=1024, description="rotation, temperature, vibration, sound for the fan."
    )


class ScoreResponse(BaseModel):
    """The answer to a ScoreRequest."""

    model_config = ConfigDict(frozen=True)

    fault: Literal["0", "1"]
