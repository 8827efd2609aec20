"""Write the JSON Schema of every body of the contract beside this file; `make schema` runs it."""

import json
import pathlib

from contract.schema import json_schemas


def rendered_schemas() -> dict[str, str]:
    """The text of each file in docs/schema, by its name."""
    return {
        f"{name}.json": json.dumps(schema, indent=2, sort_keys=True) + "\n"
        for name, schema in json_schemas().items()
    }


if __name__ == "__main__":
    folder = pathlib.Path(__file__).parent / "schema"
    for name, text in rendered_schemas().items():
        (folder / name).write_text(text)
