"""Reading the InfluxQL files of influxdb/schema. Their format is described in schema.influxql."""

import re
from collections.abc import Mapping

__all__ = ["fill_in", "read_statements"]

_PLACEHOLDER = re.compile(r"\$([a-z_]+)")


def read_statements(text: str) -> list[str]:
    """The statements of one file, in order, each on one line and without its semicolon.

    Raises:
        ValueError: The last statement has no semicolon, so that a file cut short is not executed in part.
    """
    statements = []
    pending: list[str] = []
    for line in (raw.strip() for raw in text.splitlines()):
        if not line or line.startswith("--"):
            continue
        pending.append(line)
        if line.endswith(";"):
            statements.append(" ".join(pending).removesuffix(";"))
            pending = []
    if pending:
        raise ValueError(f"the last statement has no semicolon: {' '.join(pending)[:80]!r}")
    return statements


def fill_in(statement: str, values: Mapping[str, str]) -> str:
    """The statement with its placeholders replaced, each value escaped for a string between single quotes.

    Raises:
        ValueError: The statement names a placeholder that has no value.
    """

    def value_of(match: re.Match[str]) -> str:
        try:
            value = values[match[1]]
        except KeyError:
            raise ValueError(f"no value for ${match[1]} in: {statement[:80]}") from None
        return value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")

    return _PLACEHOLDER.sub(value_of, statement)
