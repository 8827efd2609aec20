"""The JSON Schema in docs/ is the contract's own."""

import json
import pathlib

import jsonschema
import pytest

from contract.reading import Reading
from contract.schema import BODIES
from docs.generate_schema import rendered_schemas

FOLDER = pathlib.Path(__file__).parents[2] / "docs" / "schema"


def test_the_committed_schemas_are_those_of_the_code() -> None:
    committed = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert committed == rendered_schemas(), "stale: run `make schema` and commit docs/schema"


@pytest.mark.parametrize("name", BODIES)
def test_every_schema_is_a_valid_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads((FOLDER / f"{name}.json").read_text()))


def test_the_schema_takes_what_the_code_takes_and_refuses_a_boolean_signal() -> None:
    validator = jsonschema.Draft202012Validator(json.loads((FOLDER / "reading.json").read_text()))
    reading = Reading(deviceID="5", timeStamp="2021-01-31 12:00:00", rotation=600.0)
    good = json.loads(reading.to_json())
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "rotation": True})
