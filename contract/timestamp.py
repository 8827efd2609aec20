"""The two ways in which a fan writes a time, and how they are read.

RFC 3339 (``2026-11-23T10:00:00.123Z``), or the first generation's ``2021-01-31 12:00:00`` without a zone.
"""

from datetime import UTC, datetime, tzinfo
from typing import Annotated

from pydantic import Field

TIMESTAMP_PATTERN = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?$"
)

TimeStamp = Annotated[
    str,
    Field(
        pattern=TIMESTAMP_PATTERN,
        description="When the sensor measured: RFC 3339; the first generation leaves the zone out.",
    ),
]


def parse_timestamp(text: str, naive_zone: tzinfo = UTC) -> datetime:
    """Read a sensor's time as an aware datetime in UTC.

    Args:
        text: RFC 3339, or the same without a zone.
        naive_zone: The zone of a text that names none.

    Raises:
        ValueError: The text is not such a time (RFC 3339 section 5.6), or lies outside years 1 to 9999.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is UTC:  # of nearly every text
        return moment
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=naive_zone)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"time {text!r} lies outside the calendar") from error


def format_timestamp(moment: datetime) -> str:
    """Write an aware datetime as RFC 3339 in UTC with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
