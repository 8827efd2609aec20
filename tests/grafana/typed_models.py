"""Whether JSON is what the typed models of Grafana's SDK describe.

The SDK's from_json takes any value and forgets unknown keys, so loading alone shows little. Here every key must survive the
way into the model and back, and every attribute must have the type that the model declares.
"""

import enum
import json
import types
import typing
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins

register_default_plugins()


def misfits(model: type[Any], data: dict[str, Any]) -> list[str]:
    """What of the data the model does not know or has another type for; with its place."""
    loaded = model.from_json(data)
    back = json.loads(json.dumps(loaded, cls=JSONEncoder))
    return [*_forgotten(data, back, ""), *_mistyped(loaded, "")]


def _forgotten(ours: Any, theirs: Any, place: str) -> Iterator[str]:
    if isinstance(ours, dict):
        for key, value in ours.items():
            if not isinstance(theirs, dict) or key not in theirs:
                yield f"{place}.{key}: unknown"
            else:
                yield from _forgotten(value, theirs[key], f"{place}.{key}")
    elif isinstance(ours, list):
        if not isinstance(theirs, list) or len(theirs) != len(ours):
            yield f"{place}: not a list of {len(ours)}"
        else:
            for index, value in enumerate(ours):
                yield from _forgotten(value, theirs[index], f"{place}[{index}]")
    elif ours != theirs:
        yield f"{place}: {ours!r} became {theirs!r}"


def _mistyped(value: Any, place: str) -> Iterator[str]:
    """Checks the attributes of a model against the annotations of its class, and goes into the models it holds."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _mistyped(item, f"{place}[{index}]")
    elif _is_model(type(value)) and not isinstance(value, enum.Enum):
        for name, expected in typing.get_type_hints(type(value)).items():
            attribute = getattr(value, name)
            if not _fits(attribute, expected):
                yield f"{place}.{name}: {attribute!r} is not {expected}"
            yield from _mistyped(attribute, f"{place}.{name}")


def _fits(value: Any, expected: Any) -> bool:
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if expected is Any or expected is object:
        return True
    if origin in {typing.Union, types.UnionType}:
        return any(_fits(value, argument) for argument in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, arguments[1]) for item in value.values())
    if isinstance(expected, type) and issubclass(expected, enum.Enum):
        return any(value == member.value for member in expected)
    if expected is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if expected is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, dict) and _is_model(expected):
        return not misfits(expected, value)  # the SDK leaves some lists of models as they are
    return isinstance(value, expected) if isinstance(expected, type) else True


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and kind.__module__.startswith("grafana_foundation_sdk.models")
