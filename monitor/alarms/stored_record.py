"""A record as it is stored: JSON of the whole of it, so that a new fact needs no new column."""

from pydantic import TypeAdapter

from monitor.alarms.lifecycle import Record
from monitor.findings import Contribution

_RECORD = TypeAdapter(Record)
_CONTRIBUTIONS = TypeAdapter(tuple[Contribution, ...])


def record_to_json(record: Record) -> bytes:
    """The record as UTF-8 JSON; a default is left out."""
    return _RECORD.dump_json(record, exclude_defaults=True)


def record_from_json(text: bytes | str) -> Record:
    """The same record again.

    Raises:
        pydantic.ValidationError: The text is no record.
    """
    return _RECORD.validate_json(text)


def contributions_to_json(contributions: tuple[Contribution, ...]) -> str:
    """The contributions as JSON."""
    return _CONTRIBUTIONS.dump_json(contributions).decode()


def contributions_from_json(text: str) -> tuple[Contribution, ...]:
    """The same contributions again.

    Raises:
        pydantic.ValidationError: The text holds no contributions.
    """
    return _CONTRIBUTIONS.validate_json(text)
