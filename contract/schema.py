"""JSON Schema (draft 2020-12) of every body, generated from the models."""

from typing import Any

from pydantic import BaseModel

from contract.alarm import Alarm, AlarmTransition
from contract.bundle import Manifest
from contract.command import FanCommand
from contract.deployment import Deployment
from contract.reading import Reading
from contract.reference import Reference
from contract.rejection import Rejection
from contract.scoring import (
    ErrorBody,
    InferRequest,
    InferResponse,
    ModelMetadata,
    ScoreRequest,
    ScoreResponse,
)
from contract.status import ServiceStatus
from contract.verdict import Verdict

BODIES: dict[str, type[BaseModel]] = {
    "reading": Reading,
    "verdict": Verdict,
    "rejection": Rejection,
    "alarm": Alarm,
    "alarm-transition": AlarmTransition,
    "fan-command": FanCommand,
    "service-status": ServiceStatus,
    "manifest": Manifest,
    "reference": Reference,
    "deployment": Deployment,
    "infer-request": InferRequest,
    "infer-response": InferResponse,
    "model-metadata": ModelMetadata,
    "score-request": ScoreRequest,
    "score-response": ScoreResponse,
    "error": ErrorBody,
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """The schema of each body, by the name of its file in docs/schema (without .json)."""
    return {
        name: {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **model.model_json_schema(by_alias=True),
        }
        for name, model in BODIES.items()
    }
