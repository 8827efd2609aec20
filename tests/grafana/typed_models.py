"""Whether JSON is what the typed models of Grafana's SDK describe.

The SDK's from_json takes any value and forgets unknown keys, so loading alone shows little. Here every key must survive
the way into the model and back, and every attribute must have the type that the model declares.
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


def _forgotten(ours: object, theirs: object, place: str) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        yield from (f"{place}.{key}: unknown" for key in ours.keys() - theirs.keys())
        for key in ours.keys() & theirs.keys():
            yield from _forgotten(ours[key], theirs[key], f"{place}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _forgotten(one, other, f"{place}[{index}]")
    elif ours != theirs:
        yield f"{place}: {ours!r} became {theirs!r}"


def _mistyped(value: object, place: str) -> Iterator[str]:
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


def _fits(value: object, expected: object) -> bool:
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin in {typing.Union, types.UnionType}:
        return any(_fits(value, argument) for argument in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, arguments[1]) for item in value.values())
    return not isinstance(expected, type) or _is_a(value, expected)


def _is_a(value: object, kind: type[Any]) -> bool:
    if issubclass(kind, enum.Enum):
        return any(value == member.value for member in kind)
    if isinstance(value, bool):
        return kind in {bool, object}
    if isinstance(value, dict) and _is_model(kind):
        return not misfits(kind, value)  # the SDK leaves some lists of models as they are
    return isinstance(value, (int, float) if kind is float else kind)


def _is_model(kind: type[Any]) -> bool:
    return kind.__module__.startswith("grafana_foundation_sdk.models")
