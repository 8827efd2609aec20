"""The OpenAPI document, generated from the contract's models."""

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from contract.scoring import (
    ErrorBody,
    InferRequest,
    InferResponse,
    ModelMetadata,
    ScoreRequest,
    ScoreResponse,
)

_MODELS: Final[tuple[type[BaseModel], ...]] = (
    ErrorBody,
    InferRequest,
    InferResponse,
    ModelMetadata,
    ScoreRequest,
    ScoreResponse,
)
_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
_VERSION = {"name": "model_version", "in": "path", "required": True, "schema": {"type": "string"}}
_ERRORS = {
    "400": "The body is not what is expected; the error says what is.",
    "404": "No such model or version.",
    "413": "More bytes or rows than one request may hold.",
    "415": "Not application/json, or compressed.",
    "503": "The model is still being loaded.",
}


def openapi_document(version: str) -> dict[str, Any]:
    """The document of version 3.1; version is this software's."""
    _, schema = models_json_schema(
        [(model, "validation") for model in _MODELS], ref_template="#/components/schemas/{model}"
    )
    model = {
        "": [],
        "/versions/{model_version}": [_VERSION],
    }
    paths: dict[str, Any] = {
        "/v2": {"get": _get("Server metadata", {"type": "object"})},
        "/v2/health/live": {"get": _get("Is the process alive?", {"type": "object"})},
        "/v2/health/ready": {
            "get": _get("Is a model loaded, and has it scored a row?", {"type": "object"}, "503")
        },
        "/score": {
            "post": _post(
                "Score one reading (first generation)",
                ScoreRequest,
                ScoreResponse,
                ("400", "413", "415", "503"),
            )
        },
        "/metrics": {
            "get": {
                "summary": "Figures in Prometheus's text format",
                "responses": {
                    "200": {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}
                },
            }
        },
        "/openapi.json": {"get": _get("This document", {"type": "object"})},
    }
    for suffix, parameters in model.items():
        base = f"/v2/models/{{name}}{suffix}"
        shared = {"parameters": [_NAME, *parameters]}
        paths[base] = shared | {
            "get": _get("Signals, ranges and threshold of a model", _reference(ModelMetadata), "404", "503")
        }
        paths[f"{base}/ready"] = shared | {
            "get": _get("Is this model ready?", {"type": "object"}, "404", "503")
        }
        paths[f"{base}/infer"] = shared | {
            "post": _post("Score n readings", InferRequest, InferResponse, tuple(_ERRORS))
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fanwatch scoring service",
            "version": version,
            "description": "The Open Inference Protocol (REST, version 2) and the first generation's /score.",
        },
        "paths": paths,
        "components": {"schemas": schema["$defs"]},
    }


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _content(schema: dict[str, str]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _responses(schema: dict[str, str], errors: tuple[str, ...]) -> dict[str, Any]:
    answers: dict[str, Any] = {"200": {"description": "OK", "content": _content(schema)}}
    for status in errors:
        answers[status] = {"description": _ERRORS[status], "content": _content(_reference(ErrorBody))}
    return answers


def _get(summary: str, schema: dict[str, str], *errors: str) -> dict[str, Any]:
    return {"summary": summary, "responses": _responses(schema, errors)}


def _post(
    summary: str, body: type[BaseModel], answer: type[BaseModel], errors: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": _content(_reference(body))},
        "responses": _responses(_reference(answer), errors),
    }
