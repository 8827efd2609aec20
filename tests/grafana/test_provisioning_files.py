"""What can be held of the provisioning files without a server."""

import math
import re
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.models.alerting import Rule
from grafana_foundation_sdk.models.expr import TypeMath, TypeReduce, TypeThreshold

from contract.bundle import Manifest
from monitor.silences import WAY
from testbed.alert_rules import rule, rule_groups, rules
from tests.grafana.dashboard_files import DATASOURCE, PROVISIONING, REPOSITORY, dashboards, panels
from tests.grafana.typed_models import misfits

EXPRESSIONS = {"math": TypeMath, "reduce": TypeReduce, "threshold": TypeThreshold}
FILE_ONLY = {"dashboardUid", "panelId", "keepFiringFor", "missing_series_evals_to_resolve"}
"""Keys of a provisioning file that the model of the HTTP API in SDK 11.6 does not have."""

each_rule = pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["uid"])


def provisioned(path: str) -> dict[str, Any]:
    """One provisioning file."""
    content: dict[str, Any] = yaml.safe_load((PROVISIONING / path).read_text())
    assert content["apiVersion"] == 1
    return content


class TestDataSource:
    def test_it_has_the_uid_that_every_panel_names_and_asks_in_influxql(self) -> None:
        (source,) = provisioned("datasources/influxdb.yml")["datasources"]
        assert {"type": source["type"], "uid": source["uid"]} == DATASOURCE
        assert source["url"] == "http://influxdb:8086"
        assert source["access"] == "proxy"
        assert (source["jsonData"]["version"], source["jsonData"]["dbName"]) == ("InfluxQL", "fan")

    def test_it_reads_the_password_of_a_user_who_may_only_read_from_a_file(self) -> None:
        (source,) = provisioned("datasources/influxdb.yml")["datasources"]
        assert source["user"] == "grafana"
        assert source["secureJsonData"] == {"password": "$__file{/run/fanwatch/influxdb_password}"}


def test_the_dashboards_are_where_the_container_has_them() -> None:
    (provider,) = provisioned("dashboards/fanwatch.yml")["providers"]
    grafana = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]["grafana"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in grafana["volumes"]
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in grafana["volumes"]


def test_alerts_need_nothing_outside_the_plant() -> None:
    assert provisioned("alerting/notifications.yml").keys() == {"apiVersion"}
    assert all("notification_settings" not in rule for rule in rules())


def binomial(most: int, of: int, chance: float) -> float:
    """The probability of at most so many successes in so many tries."""
    return sum(math.comb(of, n) * chance**n * (1 - chance) ** (of - n) for n in range(most + 1))


def test_the_share_that_is_called_a_fault_lies_where_neither_a_broken_nor_a_sound_fan_comes_by_chance() -> (
    None
):
    model = Manifest.model_validate_json((REPOSITORY / "models" / "fan" / "manifest.json").read_text())
    [tile] = [panel for _, panel in panels() if panel["title"] == "State of every fan"]
    mappings = tile["fieldConfig"]["defaults"]["mappings"]
    [line] = [
        mapping["options"]["from"]
        for mapping in mappings
        if mapping["type"] == "range" and mapping["options"]["result"]["text"] == "FAULT"
    ]
    readings = 60  # a minute of one a second
    needed = math.ceil(float(line) * readings)
    assert binomial(needed - 1, readings, model.metrics["recall"]) < 1e-4
    assert 1 - binomial(needed - 1, readings, model.metrics["false_alarm_rate"]) < 1e-12
    # And no later than after a minute of fault, on average.
    assert model.metrics["recall"] > float(line)


def test_the_alert_on_alarms_calls_the_way_of_all_fans_by_a_better_name_than_fan() -> None:
    assert f'eq .Labels.deviceID "{WAY}"' in rule("fanwatch-alarm-high")["annotations"]["summary"]


def test_the_dashed_line_of_every_probability_is_the_threshold_of_the_model() -> None:
    model = Manifest.model_validate_json((REPOSITORY / "models" / "fan" / "manifest.json").read_text())
    lines = {
        (dashboard["uid"], panel["title"]): panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        for dashboard, panel in panels()
        if panel["title"] in {"Probability of a fault", "Probability now", "Rotation against vibration"}
    }
    assert len(lines) == 4
    assert {steps[-1]["value"] for steps in lines.values()} == {model.threshold}


class TestAlertRules:
    def test_those_that_a_technician_needs_are_there(self) -> None:
        uids = [rule["uid"] for rule in rules()]
        assert {
            "fanwatch-alarm-high",
            "fanwatch-alarms-down",
            "fanwatch-fan-silent",
            "fanwatch-service-down",
        } <= set(uids)
        assert len(set(uids)) == len(uids)
        assert len({rule["title"] for rule in rules()}) == len(uids)

    def test_a_group_is_evaluated_as_often_as_grafana_can(self) -> None:
        assert {group["interval"] for group in rule_groups()} == {"10s"}

    @each_rule
    def test_a_rule_is_what_the_typed_model_describes(self, rule: dict[str, Any]) -> None:
        known = {key: value for key, value in rule.items() if key not in FILE_ONLY}
        around = {"folderUID": "", "ruleGroup": "", "orgID": 1}
        # Grafana knows KeepLast since 10.4; the model forgot it.
        states = {key: "OK" for key in ("noDataState", "execErrState") if rule[key] == "KeepLast"}
        assert misfits(Rule, known | around | states) == []

    @each_rule
    def test_each_step_takes_only_what_stands_before_it(self, rule: dict[str, Any]) -> None:
        before: set[str] = set()
        for step in rule["data"]:
            model = step["model"]
            assert model["refId"] == step["refId"]
            assert step["refId"] not in before
            if step["datasourceUid"] == "__expr__":
                assert misfits(EXPRESSIONS[model["type"]], model) == []
                taken = set(re.findall(r"\$\{(\w+)\}", model["expression"])) or {model["expression"]}
                assert taken <= before
            else:
                assert step["datasourceUid"] == DATASOURCE["uid"]
                assert (model["rawQuery"], model["resultFormat"]) == (True, "time_series")
                assert "$" not in model["query"]
                assert step["relativeTimeRange"]["from"] > step["relativeTimeRange"]["to"]
            before.add(step["refId"])
        assert rule["condition"] == rule["data"][-1]["refId"]

    @each_rule
    def test_a_rule_tells_a_technician_what_happened_and_what_to_do(self, rule: dict[str, Any]) -> None:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        summary, description = rule["annotations"]["summary"], rule["annotations"]["description"]
        assert summary
        assert len(description) > 100
        texts = f"{summary} {description} {rule['title']}"
        assert "$" not in texts, "Grafana may take it for a variable of the environment"
        steps = {step["refId"] for step in rule["data"]}
        assert set(re.findall(r"\.Values\.(\w+)", texts)) <= steps
        labels = set(re.findall(r"\.Labels\.(\w+)", texts))
        assert labels <= set(
            re.findall(r'"(\w+)"', " ".join(s["model"].get("query", "") for s in rule["data"]))
        )

    @each_rule
    def test_a_rule_leads_to_a_panel_that_exists(self, rule: dict[str, Any]) -> None:
        ids = {dashboard["uid"]: {panel["id"] for panel in dashboard["panels"]} for dashboard in dashboards()}
        assert rule["panelId"] in ids[rule["dashboardUid"]]

    @each_rule
    def test_the_table_of_the_docs_lists_a_rule(self, rule: dict[str, Any]) -> None:
        assert f"| {rule['title']} |" in (REPOSITORY / "docs" / "dashboards.md").read_text()
