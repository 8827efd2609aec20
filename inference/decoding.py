"""Request bodies into arrays: parsed and checked against the contract in one pass, in pydantic's core."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from contract.bundle import SignalSpec
from contract.scoring import InferRequest, ScoreRequest
from inference.errors import BadBody, TooManyRows
from inference.runtimes import Rows

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_Body = TypeVar("_Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class InferCall:
    """A decoded infer request.

    Attributes:
        rows: Float32 [n, k], finite, n at least 1.
        request_id: The caller's id, returned unchanged.
        outputs: Names of the outputs that are wanted; None means all.
    """

    rows: Rows
    request_id: str | None
    outputs: frozenset[str] | None


def decode_infer(body: bytes, signals: Sequence[SignalSpec], max_rows: int) -> InferCall:
    """Decode the body of POST /v2/models/NAME/infer.

    Args:
        body: JSON.
        signals: The k inputs that the model wants, in order.
        max_rows: Most rows in one request.

    Raises:
        BadBody: Not JSON, not of the protocol, a shape other than [n, k] or not matching its data, a number that
            is not finite as float32.
        TooManyRows: More rows than max_rows.
    """
    request = _parse(InferRequest, body)
    tensor = request.inputs[0]
    k = len(signals)
    if len(tensor.shape) != 2 or tensor.shape[1] != k or tensor.shape[0] < 1:
        raise BadBody(
            f"inputs.0.shape: expected [n, {k}] with n of at least 1, the columns being "
            f"{_names(signals)}; got {tensor.shape}"
        )
    n = tensor.shape[0]
    if n > max_rows:
        raise TooManyRows(
            f"inputs.0.shape: expected at most {max_rows} rows in one request, got {n}; split them"
        )
    data = tensor.data
    if data and isinstance(data[0], list):
        if len(data) != n or any(len(row) != k for row in data):
            raise BadBody(
                f"inputs.0.data: expected {n} rows of {k} numbers, as the shape {tensor.shape} says"
            )
    elif len(data) != n * k:
        raise BadBody(
            f"inputs.0.data: expected {n * k} numbers, as the shape {tensor.shape} says; got {len(data)}"
        )
    outputs = None if request.outputs is None else frozenset(output.name for output in request.outputs)
    return InferCall(_to_float32(data, signals), request.id, outputs)


def decode_score(body: bytes, signals: Sequence[SignalSpec]) -> Rows:
    """Decode the body of POST /score into one row: float32 [1, k].

    Raises:
        BadBody: Not JSON, not of the contract, not k numbers, a number that is not finite as float32.
    """
    params = _parse(ScoreRequest, body).params
    if len(params) != len(signals):
        raise BadBody(f"params: expected {len(signals)} numbers, {_names(signals)}; got {len(params)}")
    return _to_float32(params, signals)


def _parse(model: type[_Body], body: bytes) -> _Body:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise BadBody(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    """The error that lies deepest: of two readings of ``data``, the one that got further is the one meant."""
    detail = max(error.errors(include_url=False, include_context=False), key=lambda item: len(item["loc"]))
    if detail["type"] == "json_invalid":
        return f"body: expected JSON; {detail['msg']}"
    # Pydantic names the members of a union in the path; a caller's document has no such level.
    path = [str(part) for part in detail["loc"] if not str(part).startswith("list[")]
    found = "" if detail["type"] == "missing" else f"; got {repr(detail['input'])[:80]}"
    return f"{'.'.join(path) or 'body'}: {detail['msg']}{found}"


def _to_float32(data: Sequence[float] | Sequence[Sequence[float]], signals: Sequence[SignalSpec]) -> Rows:
    wide = np.array(data, dtype=np.float64).reshape(-1, len(signals))
    sizes = np.abs(wide)
    if not np.maximum.reduce(sizes, axis=None) <= _FLOAT32_MAX:
        row, column = np.argwhere(~(sizes <= _FLOAT32_MAX))[0]
        raise BadBody(
            f"row {row}, {signals[column].name}: expected a number that is finite as FP32 "
            f"(at most 3.4e38 in size); got {wide[row, column]:g}"
        )
    return wide.astype(np.float32)


def _names(signals: Sequence[SignalSpec]) -> str:
    return ", ".join(f"{spec.name} ({spec.unit})" for spec in signals)
