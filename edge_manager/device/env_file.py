"""The environment file `.env` beside docker-compose.yml: what a site is called, where it listens, what it keeps.

Format: https://docs.docker.com/compose/how-tos/environment-variables/env-file/, of which the values written here need
little: they are quoted with single quotes where they hold more than a shell's plain characters.
"""

import re
from collections.abc import Mapping
from pathlib import Path

__all__ = ["read_text", "read_values", "with_values"]

_LINE = re.compile(r"^\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*?)\s*$")
_PLAIN = re.compile(r"^[A-Za-z0-9._:/,@%+=-]*$")


def read_text(file: Path) -> str:
    """The file's text; empty where there is none.

    Raises:
        ValueError: It is no UTF-8, and what it says in another encoding would be a guess.
        OSError: It cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file}: is not UTF-8 text (byte {error.start + 1} is 0x{error.object[error.start]:02x}): save it as UTF-8"
        ) from error


def read_values(text: str) -> dict[str, str]:
    """The variables of an environment file, without their quotes; of a variable that stands twice, the last."""
    return {
        match["name"]: _unquoted(match["value"]) for line in text.split("\n") if (match := _LINE.match(line))
    }


def with_values(text: str, values: Mapping[str, str], heading: str) -> str:
    """The file with these variables. Every other line stays as it is, comments included.

    Args:
        text: The file as it is, empty when there is none.
        values: By name; an empty one stands as empty, which Compose reads as its default.
        heading: The comment above variables that are new.

    Raises:
        ValueError: A value cannot stand in a line.
    """
    for name, value in values.items():
        if not value.isprintable() or "'" in value:
            raise ValueError(f"{name}: {value!r} cannot stand in an environment file")
    old = read_values(text)
    missing = dict(values)
    lines = []
    for line in text.removesuffix("\n").split("\n") if text else []:
        match = _LINE.match(line)
        name = match["name"] if match else ""
        if name in values:
            missing.pop(name, None)
            # A line that says the same stays as a person wrote it.
            lines.append(line if old[name] == values[name] else f"{name}={_quoted(values[name])}")
        else:
            lines.append(line)
    if missing:
        lines += ["", f"# {heading}"] if lines else [f"# {heading}"]
        lines += [f"{name}={_quoted(value)}" for name, value in missing.items()]
    return "".join(f"{line}\n" for line in lines)


def _quoted(value: str) -> str:
    return value if _PLAIN.match(value) else f"'{value}'"


def _unquoted(value: str) -> str:
    for quote in "'\"":
        if len(value) >= 2 and value[0] == quote and quote in value[1:]:
            return value[1 : value.index(quote, 1)]
    return re.split(r"\s+#", value, maxsplit=1)[0]
