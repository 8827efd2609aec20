"""What can be held of the dashboards without a server: Grafana itself cannot be had here."""

import copy
from itertools import combinations
from typing import Any

import pytest
from grafana_foundation_sdk.cog.runtime import panelcfg_config
from grafana_foundation_sdk.models.dashboard import Dashboard, VariableModel

from tests.grafana.dashboard_files import DATASOURCE, REPOSITORY, dashboards, panel_queries, panels
from tests.grafana.typed_models import misfits

UIDS = {
    "fanwatch-alarms": "Alarm overview",
    "fanwatch-fan": "One fan",
    "fanwatch-fleet": "Fleet overview",
    "fanwatch-system": "System health",
}
OF_THE_PLANT = {"fanwatch-alarms", "fanwatch-system"}
"""Dashboards that show everything and let nobody choose a fan."""
COLUMNS = 24

each_dashboard = pytest.mark.parametrize("dashboard", dashboards(), ids=lambda d: d["uid"])
each_panel = pytest.mark.parametrize(
    ("dashboard", "panel"), list(panels()), ids=[f"{d['uid']}: {p['title']}" for d, p in panels()]
)


def test_the_dashboards_keep_their_uids_because_links_and_alert_rules_name_them() -> None:
    assert {dashboard["uid"]: dashboard["title"] for dashboard in dashboards()} == UIDS


@each_dashboard
def test_a_dashboard_is_what_the_typed_model_describes(dashboard: dict[str, Any]) -> None:
    known = copy.deepcopy(dashboard)
    for annotation in known["annotations"]["list"]:
        annotation.pop("target", None)  # the model types only the target of Grafana's own annotations
    assert misfits(Dashboard, known) == []


@each_dashboard
def test_a_variable_is_what_the_typed_model_describes(dashboard: dict[str, Any]) -> None:
    for variable in dashboard["templating"]["list"]:
        assert misfits(VariableModel, variable) == []


def test_the_check_by_typed_models_finds_a_misspelt_key_and_a_wrong_value() -> None:
    dashboard = dashboards()[0]
    dashboard["panels"][0]["fieldConfig"]["defaults"]["unitt"] = "rotrpm"
    dashboard["panels"][0]["options"]["textMode"] = "loud"
    dashboard["graphTooltip"] = 7
    assert len(misfits(Dashboard, dashboard)) >= 3


@each_dashboard
def test_a_dashboard_suits_a_live_demo(dashboard: dict[str, Any]) -> None:
    assert dashboard["time"] == {"from": "now-15m", "to": "now"}
    assert dashboard["refresh"] == "5s"
    assert dashboard["refresh"] in dashboard["timepicker"]["refresh_intervals"]
    assert dashboard["description"]


@each_dashboard
def test_no_id_and_no_title_is_given_twice(dashboard: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert len(set(titles)) == len(titles)


@each_dashboard
def test_no_panel_lies_over_another_or_beside_the_grid(dashboard: dict[str, Any]) -> None:
    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        grid = panel["gridPos"]
        assert 0 <= grid["x"] < grid["x"] + grid["w"] <= COLUMNS, panel["title"]
        return {(grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])}

    for one, other in combinations(dashboard["panels"], 2):
        assert not cells(one) & cells(other), f"{one['title']} and {other['title']} overlap"
    filled = set().union(*(cells(panel) for panel in dashboard["panels"]))
    assert len(filled) == COLUMNS * (1 + max(y for _, y in filled)), "there is a hole"


@each_panel
def test_a_panel_says_what_it_answers_in_which_unit(dashboard: dict[str, Any], panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert "?" in panel["description"], "no question that the panel answers"
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"]
    assert defaults["thresholds"]["steps"][0]["value"] is None
    assert panelcfg_config(panel["type"]), f"unknown panel type {panel['type']}"


@each_panel
def test_a_panel_asks_the_provisioned_data_source(dashboard: dict[str, Any], panel: dict[str, Any]) -> None:
    assert panel["datasource"] == DATASOURCE
    assert panel["targets"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for target in panel["targets"]:
        assert target["datasource"] == DATASOURCE
        assert target["rawQuery"] is True
        assert target["resultFormat"] in {"time_series", "table"}


def test_a_series_is_called_by_a_name_that_people_read() -> None:
    series = [query for query in panel_queries() if query.target["resultFormat"] == "time_series"]
    assert [query.name for query in series if not query.target.get("alias")] == []


def test_a_query_of_a_fan_takes_the_chosen_fan() -> None:
    for query in panel_queries():
        if query.dashboard["uid"] not in OF_THE_PLANT:
            assert '"deviceID" =~ /^${fan:regex}$/' in query.target["query"], query.name


def test_a_single_figure_says_in_words_what_it_means_that_there_is_none() -> None:
    for dashboard, panel in panels():
        if panel["type"] == "stat":
            assert panel["fieldConfig"]["defaults"]["noValue"], f"{dashboard['uid']}: {panel['title']}"


def test_links_lead_to_the_dashboard_of_one_fan_with_that_fan() -> None:
    linked = set()
    for _, panel in ((d, p) for d, p in panels() if d["uid"] in {"fanwatch-fleet", "fanwatch-alarms"}):
        fields = [panel["fieldConfig"]["defaults"]] + [
            {p["id"]: p["value"] for p in override["properties"]}
            for override in panel["fieldConfig"]["overrides"]
        ]
        for link in [link for field in fields for link in field.get("links", [])]:
            assert link["url"].startswith("/d/fanwatch-fan/")
            assert "var-fan=${" in link["url"]
            linked.add(panel["title"])
    assert {"State of every fan", "Probability of a fault", "Last contact", "Alarms now", "History"} <= linked


def test_an_override_names_a_field_that_the_panel_has() -> None:
    for dashboard, panel in panels():
        names = {target.get("alias") for target in panel["targets"]} | {"Time", "deviceID", "kind"}
        queries = " ".join(target["query"] for target in panel["targets"])
        for override in panel["fieldConfig"]["overrides"]:
            assert override["matcher"]["id"] == "byName"
            name = override["matcher"]["options"]
            assert name in names or f'"{name}"' in queries, f"{dashboard['uid']}: {panel['title']}: {name}"


def test_the_readme_table_lists_every_panel_with_its_type() -> None:
    table = (REPOSITORY / "README.md").read_text()
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in table.splitlines()
        if line.startswith("| ")
    ]
    listed = {(row[0], row[1]) for row in rows}
    expected = {(dashboard["title"], panel["title"]) for dashboard, panel in panels()}
    assert expected <= listed
    assert {row for row in listed if row[0] in UIDS.values()} == expected
