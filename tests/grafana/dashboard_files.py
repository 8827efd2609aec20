"""The committed dashboards, as the tests read them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
DASHBOARDS = REPOSITORY / "grafana" / "dashboards"
PROVISIONING = REPOSITORY / "grafana" / "provisioning"
DATASOURCE = {"type": "influxdb", "uid": "fanwatch-influxdb"}


@dataclass(frozen=True)
class PanelQuery:
    """One query of one panel, with what Grafana needs to fill in its macros."""

    dashboard: dict[str, Any]
    panel: dict[str, Any]
    target: dict[str, Any]

    @property
    def name(self) -> str:
        """As a test names it."""
        return f"{self.dashboard['uid']}: {self.panel['title']} ({self.target['refId']})"


def dashboards() -> list[dict[str, Any]]:
    """Every committed dashboard."""
    return [json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))]


def panels() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every panel, with its dashboard."""
    for dashboard in dashboards():
        for panel in dashboard["panels"]:
            yield dashboard, panel


def panel_queries() -> list[PanelQuery]:
    """Every query of every panel."""
    return [
        PanelQuery(dashboard, panel, target) for dashboard, panel in panels() for target in panel["targets"]
    ]


def panel_query(dashboard: str, title: str, ref_id: str = "A") -> PanelQuery:
    """One query by the uid of its dashboard and the title of its panel."""
    found = [
        query
        for query in panel_queries()
        if (query.dashboard["uid"], query.panel["title"], query.target["refId"]) == (dashboard, title, ref_id)
    ]
    assert len(found) == 1, f"{len(found)} queries {ref_id} in panel {title!r} of {dashboard}"
    return found[0]
