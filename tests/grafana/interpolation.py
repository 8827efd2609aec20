"""What Grafana puts in place of variables and macros before a query reaches InfluxDB.

Sources: the InfluxDB data source of Grafana (its backend replaces $timeFilter, $__interval and $__interval_ms;
variables are replaced in the browser), and the documentation of variable formats ("regex", "raw") and of the interval
of a panel.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

MAX_DATA_POINTS = 1000
"""About the width of a wide panel in pixels; Grafana asks for so many points."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ROUND_MS = (
    (15, 10), (35, 20), (75, 50), (150, 100), (350, 200), (750, 500), (1500, 1000), (3500, 2000), (7500, 5000),
    (12500, 10000), (17500, 15000), (25000, 20000), (45000, 30000), (90000, 60000), (210000, 120000),
    (450000, 300000), (750000, 600000), (1050000, 900000), (1500000, 1200000), (2700000, 1800000),
    (5400000, 3600000), (9000000, 7200000), (16200000, 10800000), (32400000, 21600000), (86400000, 43200000),
)  # fmt: skip
"""An interval below the first number becomes the second: Grafana rounds to what people read."""


@dataclass(frozen=True)
class View:
    """What a person has chosen on a dashboard.

    Args:
        now: The end of the time range.
        fans: The chosen fans; None is the choice "All".
        variables: Further variables with their values.
        least_interval: The data source's least interval.
    """

    now: datetime
    fans: Sequence[str] | None = None
    variables: dict[str, str] = field(default_factory=dict)
    least_interval: str = "1s"

    def interpolate(self, dashboard: dict[str, Any], panel: dict[str, Any], query: str) -> str:
        """The query as InfluxDB gets it.

        Raises:
            ValueError: Something that looks like a variable is left.
        """
        length = duration(panel.get("timeFrom") or dashboard["time"]["from"].removeprefix("now-"))
        interval_ms = self._interval_ms(length, panel)
        start = round((self.now - length).timestamp() * 1000)
        end = round(self.now.timestamp() * 1000)
        query = query.replace("${fan:regex}", self._fans(dashboard))
        for name, value in self.variables.items():
            query = query.replace(f"${{{name}:raw}}", value)
        query = query.replace("$timeFilter", f"time >= {start}ms and time <= {end}ms")
        query = query.replace("$__interval_ms", str(interval_ms))
        query = query.replace("$__interval", f"{interval_ms}ms")
        if left := re.search(r"\$\{?\w+|\[\[", query):
            raise ValueError(f"{left.group()} is left in {query}")
        return query

    def _interval_ms(self, length: timedelta, panel: dict[str, Any]) -> int:
        exact = length.total_seconds() * 1000 / MAX_DATA_POINTS
        rounded = next(to for below, to in _ROUND_MS if exact < below)
        least = duration(panel.get("interval") or self.least_interval)
        return max(rounded, round(least.total_seconds() * 1000))

    def _fans(self, dashboard: dict[str, Any]) -> str:
        """The format "regex": escaped names, joined in a group; a custom value of "All" stays as it is."""
        variable = next((v for v in dashboard["templating"]["list"] if v["name"] == "fan"), None)
        if variable is None:
            return ""
        if self.fans is None:
            return str(variable["allValue"])
        names = [re.sub(r"([\\^$*+?.()|\[\]{}/-])", r"\\\1", fan) for fan in self.fans]
        return names[0] if len(names) == 1 else f"({'|'.join(names)})"


def duration(text: str) -> timedelta:
    """A duration as Grafana writes it: "15m", "30d"."""
    return timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])
