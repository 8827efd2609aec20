"""The services' JSON lines as a person reads them: time, level, service, event, what belongs to it."""

import json
import re
from dataclasses import dataclass
from typing import Any

__all__ = ["LEVELS", "LogLine", "read_line"]

LEVELS = ("debug", "info", "warning", "error")
_RANKS = {"debug": 0, "info": 1, "notice": 1, "warning": 2, "warn": 2, "error": 3, "critical": 3, "fatal": 3}
# docker compose logs: "service-1  | text".
_PREFIX = re.compile(r"^(?P<container>\S+?)(?:-\d+)?\s*\| ?(?P<text>.*)$")
_LEVEL_WORD = re.compile(r"\b(?:level|lvl)=\"?(?P<level>\w+)|\b(?P<word>error|warning|warn)\b", re.IGNORECASE)
_KNOWN = {"event", "level", "timestamp"}


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a service. Lines of foreign services (the broker, InfluxDB) have their own text as the event."""

    service: str
    level: str
    time: str
    event: str
    more: dict[str, Any]

    def at_least(self, level: str) -> bool:
        """Whether it is as urgent as that."""
        return _RANKS.get(self.level, 1) >= _RANKS[level]

    def __str__(self) -> str:
        details = "  ".join(f"{name}={_value(value)}" for name, value in self.more.items())
        words = [
            f"{self.time:19}",
            f"{self.level:7}",
            f"{self.service:10}",
            self.event,
            *([details] if details else []),
        ]
        return " ".join(words).rstrip()


def read_line(line: str) -> LogLine:
    """One line of `docker compose logs`; whatever it holds, it becomes a line for a person."""
    match = _PREFIX.match(line)
    service, text = (match["container"], match["text"]) if match else ("", line)
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict) or "event" not in content:
        return LogLine(service, _level_of(text), "", _printable(text), {})
    more = {name: value for name, value in content.items() if name not in _KNOWN}
    time = str(content.get("timestamp", ""))[:19].replace("T", " ")
    return LogLine(
        service,
        str(content.get("level", "info")).lower(),
        _printable(time),
        _printable(str(content["event"])),
        more,
    )


def _level_of(text: str) -> str:
    found = _LEVEL_WORD.search(text)
    word = ((found["level"] or found["word"]) if found else "info").lower()
    return word if word in _RANKS else "info"


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return _printable(text if text and " " not in text else json.dumps(text, ensure_ascii=False))


def _printable(text: str) -> str:
    """Without what would steer the terminal: a deviceID or a refused payload may hold anything."""
    return "".join(character if character.isprintable() else "?" for character in text)
