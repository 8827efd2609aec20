"""Every query of every panel, on a real InfluxDB with data that a real Telegraf stored, asked by Grafana's own user."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from testbed.influxdb import InfluxDB, nanoseconds
from tests.grafana.dashboard_files import PanelQuery, dashboards, panel_queries, panel_query
from tests.grafana.interpolation import View
from tests.grafana.plant import (
    BROKEN,
    CHATTERS,
    FANS,
    HEALTHY,
    LOSSY_SEQS,
    ODD_NAME,
    OLDEST_CALL_S,
    SILENT,
    SIMILAR_NAME,
    STANDS_FOR,
    STEP,
    WAITING_CALLS,
)

FLEET, FAN, SYSTEM = "fanwatch-fleet", "fanwatch-fan", "fanwatch-system"
ALARMS, DRIFT = "fanwatch-alarms", "fanwatch-drift"
VARIABLES = {"history": "minute"}


def ask(plant: InfluxDB, query: PanelQuery, view: View | None = None) -> list[dict[str, Any]]:
    if view is None:
        fans = (BROKEN,) if query.dashboard["uid"] == FAN else None
        view = View(datetime.now(UTC), fans, VARIABLES)
    statement = view.interpolate(query.dashboard, query.panel, query.target["query"])
    return plant.query(statement, user="grafana")


def figure(row: dict[str, Any], label: str | None = None) -> float:
    """The one value of a row."""
    (value,) = (value for key, value in row.items() if key not in {"time", "name", label})
    assert isinstance(value, int | float), row
    return value


def only(rows: list[dict[str, Any]]) -> float:
    """The one value of the one row."""
    (row,) = rows
    return figure(row)


def by_label(rows: list[dict[str, Any]], label: str) -> dict[str, float]:
    """The value of each row by its label."""
    return {row[label]: figure(row, label) for row in rows}


@pytest.mark.parametrize("query", panel_queries(), ids=lambda query: query.name)
def test_the_query_of_a_panel_returns_rows(plant: InfluxDB, query: PanelQuery) -> None:
    rows = ask(plant, query)
    assert rows
    shown = [
        value
        for row in rows
        for key, value in row.items()
        if key not in {"time", "name", "deviceID", "service", "reason", "kind", "signal", "signals"}
        and value is not None
    ]
    assert shown, "rows, and nothing in them"


@pytest.mark.parametrize(
    "query",
    [q for q in panel_queries() if q.dashboard["uid"] not in {SYSTEM, ALARMS, DRIFT}],
    ids=lambda q: q.name,
)
def test_a_panel_of_fans_shows_the_chosen_ones_alone(plant: InfluxDB, query: PanelQuery) -> None:
    chosen = (ODD_NAME,) if query.dashboard["uid"] == FAN else (HEALTHY, ODD_NAME)
    rows = ask(plant, query, View(datetime.now(UTC), chosen, VARIABLES))
    assert rows
    assert {row["deviceID"] for row in rows if "deviceID" in row} <= set(chosen)


def test_a_name_with_a_dot_does_not_choose_a_fan_of_a_similar_name(plant: InfluxDB) -> None:
    odd, both = View(datetime.now(UTC), (ODD_NAME,)), View(datetime.now(UTC), (ODD_NAME, SIMILAR_NAME))
    query = panel_query(FLEET, "State of every fan")
    assert by_label(ask(plant, query, odd), "deviceID").keys() == {ODD_NAME}
    assert by_label(ask(plant, query, both), "deviceID").keys() == {ODD_NAME, SIMILAR_NAME}


def test_a_variable_that_grafana_does_not_know_is_found() -> None:
    query = panel_query(FAN, "History of rotation")
    with pytest.raises(ValueError, match="history"):
        View(datetime.now(UTC), (BROKEN,)).interpolate(query.dashboard, query.panel, query.target["query"])


@pytest.mark.parametrize(
    "dashboard", [d for d in dashboards() if d["templating"]["list"]], ids=lambda d: d["uid"]
)
def test_the_variable_lists_every_fan(plant: InfluxDB, dashboard: dict[str, Any]) -> None:
    variable = next(v for v in dashboard["templating"]["list"] if v["type"] == "query")
    # Grafana takes the second column of SHOW TAG VALUES.
    assert {row["value"] for row in plant.query(variable["query"], user="grafana")} == set(FANS)


def test_each_choice_of_history_names_a_retention_policy_that_holds_some(plant: InfluxDB) -> None:
    for dashboard in dashboards():
        for variable in dashboard["templating"]["list"]:
            if variable["name"] == "history":
                for ref_id in ("A", "B"):
                    for choice in variable["query"].split(","):
                        view = View(datetime.now(UTC), (BROKEN,), {"history": choice})
                        assert ask(plant, panel_query(FAN, "History of rotation", ref_id), view), choice
                return
    pytest.fail("no variable called history")


def test_faulty_verdicts_are_marked_with_the_model_that_gave_them(plant: InfluxDB) -> None:
    dashboard = next(d for d in dashboards() if d["uid"] == FAN)
    annotation = next(a for a in dashboard["annotations"]["list"] if a["name"] == "Faulty verdicts")
    view = View(datetime.now(UTC), (BROKEN,))
    rows = plant.query(view.interpolate(dashboard, {}, annotation["target"]["query"]), user="grafana")
    # Five minutes of fault, a mark a minute; the first may lie in a minute that it only begins in.
    assert 5 <= len(rows) <= 9
    for row in rows:
        assert row[annotation["target"]["textColumn"]] == "fan:3"
        assert row[annotation["target"]["tagsColumn"]] == BROKEN


def test_alarms_and_their_return_are_marked_with_the_reason_and_the_kind(plant: InfluxDB) -> None:
    dashboard = next(d for d in dashboards() if d["uid"] == FAN)
    view = View(datetime.now(UTC), (BROKEN, ODD_NAME))
    marks = {}
    for annotation in dashboard["annotations"]["list"]:
        if annotation["name"].startswith("Alarms"):
            target = annotation["target"]
            rows = plant.query(
                view.interpolate(dashboard | {"time": {"from": "now-1h"}}, {}, target["query"]),
                user="grafana",
            )
            marks[annotation["name"]] = [
                (row[target["textColumn"]], row[target["tagsColumn"]]) for row in rows
            ]
    spikes = [(f"spikes of {ODD_NAME}", "spikes")] * CHATTERS
    broken = [(f"{kind} of {BROKEN}", kind) for kind in ("wear", "machine_fault")]
    assert marks == {"Alarms": [*spikes, *broken], "Alarms that returned": spikes}


class TestAlarms:
    def test_every_alarm_that_stands_is_listed_also_one_beneath_a_more_urgent_one(
        self, plant: InfluxDB
    ) -> None:
        rows = {(row["deviceID"], row["kind"]): row for row in ask(plant, panel_query(ALARMS, "Alarms now"))}
        assert {key: (row["priority"], row["state"]) for key, row in rows.items()} == {
            (BROKEN, "machine_fault"): (1, "unacknowledged"),
            (BROKEN, "wear"): (2, "unacknowledged"),
            (SIMILAR_NAME, "wear"): (2, "unacknowledged"),
            (SILENT, "silence"): (2, "acknowledged"),
            (ODD_NAME, "spikes"): (3, "returned_unacknowledged"),
        }
        assert rows[SILENT, "silence"]["who"] == "Anna"
        assert rows[BROKEN, "wear"]["why"] == f"wear of {BROKEN}"

    def test_the_figures_above_it_count_them(self, plant: InfluxDB) -> None:
        assert only(ask(plant, panel_query(ALARMS, "Alarms in view"))) == 5
        assert only(ask(plant, panel_query(ALARMS, "Unacknowledged"))) == 3

    def test_the_rate_counts_what_called_people(self, plant: InfluxDB) -> None:
        # The spikes, and of the last minutes two of the broken fan and the silence.
        assert only(ask(plant, panel_query(ALARMS, "Alarms in the last hour"))) == CHATTERS + 3
        most = only(ask(plant, panel_query(ALARMS, "Most alarms in 10 minutes")))
        assert CHATTERS <= most <= CHATTERS + 3

    def test_an_alarm_that_comes_three_times_within_a_minute_chatters(self, plant: InfluxDB) -> None:
        assert only(ask(plant, panel_query(ALARMS, "Chattering alarms"))) == 1
        [row] = ask(plant, panel_query(ALARMS, "Chattering"))
        assert (row["deviceID"], row["kind"], row["worst"]) == (ODD_NAME, "spikes", CHATTERS)

    def test_the_oldest_that_stands_is_the_worn_fans(self, plant: InfluxDB) -> None:
        raised = datetime.fromtimestamp(only(ask(plant, panel_query(ALARMS, "Longest standing"))) / 1000, UTC)
        assert datetime.now(UTC) - raised == pytest.approx(STANDS_FOR, abs=timedelta(minutes=5))

    def test_the_worst_alarms_come_with_how_often(self, plant: InfluxDB) -> None:
        rows = ask(plant, panel_query(ALARMS, "Ten worst"))
        counts = {(row["deviceID"], row["kind"]): row["alarms"] for row in rows}
        assert len(counts) == 6
        assert max(counts, key=lambda key: counts[key]) == (ODD_NAME, "spikes")
        assert counts[ODD_NAME, "spikes"] == CHATTERS

    def test_alarms_are_told_by_priority(self, plant: InfluxDB) -> None:
        wanted = {"A": 2, "B": 3, "C": CHATTERS}
        for ref_id, count in wanted.items():
            assert only(ask(plant, panel_query(ALARMS, "By priority", ref_id))) == count
            rows = ask(plant, panel_query(ALARMS, "Alarms an hour", ref_id))
            assert sum(figure(row) for row in rows) == count

    def test_the_history_has_every_change_and_who_made_it(self, plant: InfluxDB) -> None:
        rows = ask(plant, panel_query(ALARMS, "History"))
        assert [row["time"] for row in rows] == sorted((row["time"] for row in rows), reverse=True)
        mended = [(row["cause"], row["who"]) for row in rows if row["deviceID"] == HEALTHY]
        assert mended[::-1] == [("raised", None), ("acknowledged", "Anna"), ("cleared", None)]
        assert sum(row["deviceID"] == ODD_NAME for row in rows) == 2 * CHATTERS


class TestFleet:
    def test_the_counters_tell_who_reports_who_is_broken_and_who_is_silent(self, plant: InfluxDB) -> None:
        assert only(ask(plant, panel_query(FLEET, "Fans reporting"))) == len(FANS) - 1
        assert only(ask(plant, panel_query(FLEET, "Fans at fault now"))) == 1
        assert only(ask(plant, panel_query(FLEET, "Silent fans now"))) == 1

    def test_a_tile_says_how_each_fan_is(self, plant: InfluxDB) -> None:
        query = panel_query(FLEET, "State of every fan")
        states = by_label(ask(plant, query), "deviceID")
        assert states[BROKEN] == pytest.approx(10 / 11, abs=0.05)
        assert states[HEALTHY] < 0.1
        assert states[SILENT] == -1
        texts = {
            fan: next(
                text
                for mapping in query.panel["fieldConfig"]["defaults"]["mappings"]
                if (text := word(mapping, share))
            )
            for fan, share in states.items()
        }
        healthy = dict.fromkeys((HEALTHY, ODD_NAME, SIMILAR_NAME), "healthy")
        assert texts == {BROKEN: "FAULT", SILENT: "no verdict"} | healthy

    def test_verdicts_a_second_is_the_rate_of_all_fans(self, plant: InfluxDB) -> None:
        # Four fans, a verdict every two seconds.
        assert only(ask(plant, panel_query(FLEET, "Verdicts a second"))) == pytest.approx(2, abs=0.41)

    def test_the_last_contact_of_a_silent_fan_is_still_known(self, plant: InfluxDB) -> None:
        rows = ask(plant, panel_query(FLEET, "Last contact"))
        assert {row["deviceID"] for row in rows} == set(FANS)
        assert {"rotation", "temperature", "vibration", "sound"} <= rows[0].keys()
        assert min(rows, key=lambda row: int(row["time"]))["deviceID"] == SILENT

    def test_the_last_verdict_comes_with_probability_fault_and_model(self, plant: InfluxDB) -> None:
        rows = {row["deviceID"]: row for row in ask(plant, panel_query(FLEET, "Last verdict"))}
        assert rows.keys() == set(FANS)
        assert (rows[HEALTHY]["probability"], rows[HEALTHY]["fault"], rows[HEALTHY]["model"]) == (
            0.04,
            0,
            "fan:3",
        )


def word(mapping: dict[str, Any], value: float) -> str | None:
    """The text of a value mapping, if it is for this value."""
    options = mapping["options"]
    if mapping["type"] == "value":
        found = options.get(f"{value:g}")
        return str(found["text"]) if found else None
    return str(options["result"]["text"]) if options["from"] <= value <= options["to"] else None


class TestOneFan:
    def test_readings_and_probabilities_have_the_same_times_so_that_they_can_be_joined(
        self, plant: InfluxDB
    ) -> None:
        view = View(datetime.now(UTC), (HEALTHY,))
        title = "Rotation against vibration"
        readings, verdicts = (ask(plant, panel_query(FAN, title, ref_id), view) for ref_id in ("A", "B"))
        assert [row["time"] for row in readings] == [row["time"] for row in verdicts]
        assert {"rotation", "vibration"} <= readings[0].keys()
        assert "probability" in verdicts[0]

    def test_the_history_has_mean_and_bounds(self, plant: InfluxDB) -> None:
        rows = ask(plant, panel_query(FAN, "History of rotation"))
        assert all(row["lowest"] <= row["mean"] <= row["highest"] for row in rows)


class TestDrift:
    def test_one_fan_with_one_stuck_sensor_is_a_sensor_and_no_season(self, plant: InfluxDB) -> None:
        flags = by_label(ask(plant, panel_query(DRIFT, "Drift now")), "kind")
        assert flags == {"season": 0, "sensor": 1, "machine": 0, "output": 0}
        [row] = ask(plant, panel_query(DRIFT, "Fans that have drifted alone"))
        assert (row["deviceID"], row["kind"], row["signals"]) == (ODD_NAME, "sensor", "temperature")

    def test_the_fleet_without_that_fan_keeps_below_the_limit_in_every_signal(self, plant: InfluxDB) -> None:
        for title in ("Population stability index", "Kolmogorov-Smirnov distance"):
            signals = ask(plant, panel_query(DRIFT, title, "A"))
            limit = max(figure(row) for row in ask(plant, panel_query(DRIFT, title, "B")))
            assert {row["signal"] for row in signals} == {"rotation", "temperature", "vibration", "sound"}
            assert 0 < max(figure(row, "signal") for row in signals) < limit

    def test_it_is_told_how_much_is_compared_and_with_what(self, plant: InfluxDB) -> None:
        assert only(ask(plant, panel_query(DRIFT, "Readings compared"))) == 480
        assert only(ask(plant, panel_query(DRIFT, "Reference"))) == 1
        assert only(ask(plant, panel_query(DRIFT, "Fans watched"))) == len(FANS)


class TestSystem:
    def test_the_rate_of_readings_is_the_counters_slope(self, plant: InfluxDB) -> None:
        # 10,000 in 200 steps of five seconds.
        rates = [figure(row) for row in ask(plant, panel_query(SYSTEM, "Messages a second"))]
        assert max(rates) == pytest.approx(10, rel=0.1)

    def test_half_the_verdicts_came_within_p50_and_99_percent_within_p99(self, plant: InfluxDB) -> None:
        # 60 % within 0.05 s, 95 % within 0.1 s, all within 0.5 s.
        for ref_id, edge in (("A", 0.05), ("B", 0.5)):
            rows = ask(plant, panel_query(SYSTEM, "Latency, fan to verdict", ref_id))
            assert {round(row["latency"], 9) for row in rows} == {edge}

    def test_a_predictor_with_nothing_to_do_has_no_latency_and_no_batches(self, plant: InfluxDB) -> None:
        # It has had nothing to do for two minutes; an interval may have begun before.
        idle_since = nanoseconds(datetime.now(UTC) - timedelta(seconds=80))
        for title in ("Latency, fan to verdict", "Scoring", "Batches and waiting readings"):
            rows = ask(plant, panel_query(SYSTEM, title))
            assert rows
            assert [row for row in rows if row["time"] > idle_since] == []

    def test_a_batch_is_as_large_and_as_slow_as_it_was(self, plant: InfluxDB) -> None:
        for title, mean in (("Scoring", 0.02), ("Batches and waiting readings", 20)):
            rows = ask(plant, panel_query(SYSTEM, title))
            found = [figure(row) for row in rows]
            assert found == pytest.approx([mean] * len(found))

    def test_rejections_are_told_by_reason(self, plant: InfluxDB) -> None:
        rows = ask(plant, panel_query(SYSTEM, "Rejected since the predictor's start"))
        assert by_label(rows, "reason") == {"out_of_range": 60, "not_a_reading": 40}

    def test_services_are_online_and_the_broker_has_dropped_nothing(self, plant: InfluxDB) -> None:
        services = by_label(ask(plant, panel_query(SYSTEM, "Services on the broker")), "service")
        assert services == {"predictor": 1, "monitor": 1, "simulator": 1}
        assert only(ask(plant, panel_query(SYSTEM, "Dropped by the broker"))) == 0

    def test_the_newest_verdict_is_as_old_as_the_last_step_of_the_plant(self, plant: InfluxDB) -> None:
        age = only(ask(plant, panel_query(SYSTEM, "Age of the newest verdict")))
        assert 0 <= age <= STEP.total_seconds()

    def test_the_alarms_work_and_what_waits_to_go_out_is_told_by_its_way(self, plant: InfluxDB) -> None:
        query = panel_query(SYSTEM, "Alarms work")
        assert only(ask(plant, query)) == 1
        assert only(ask(plant, panel_query(SYSTEM, "Alarms work", "B"))) == 0
        oldest = ask(plant, panel_query(SYSTEM, "Alarms that wait to go out"))
        assert {row["channel"]: figure(row, "channel") for row in oldest} == {
            "publish": 0,
            "notify:0": OLDEST_CALL_S,
        }
        [*_, newest] = ask(plant, panel_query(SYSTEM, "Alarms that wait to go out", "B"))
        assert figure(newest) == WAITING_CALLS
        rows = ask(plant, panel_query(SYSTEM, "Active alarms"))
        assert {row["priority"]: figure(row, "priority") for row in rows} == {
            "high": 1,
            "medium": 2,
            "low": 0,
        }

    def test_the_ledger_tells_what_was_received_and_what_is_missing_of_all_fans(
        self, plant: InfluxDB
    ) -> None:
        told = {
            query.target["alias"]: only(ask(plant, query))
            for query in panel_queries()
            if query.panel["title"] == "Ledger of readings"
        }
        whole = (len(FANS) - 1) * 3
        wanted = {"received": whole + len(LOSSY_SEQS), "missing": 4, "out of order": 2, "twice": 1}
        assert told == wanted

    def test_only_a_fan_that_misses_readings_has_a_row(self, plant: InfluxDB) -> None:
        [row] = ask(plant, panel_query(SYSTEM, "Fans that miss readings"))
        told = {name: row[name] for name in ("deviceID", "missing", "received", "out of order", "twice")}
        figures = {"missing": 4, "received": 5, "out of order": 2, "twice": 1}
        assert told == {"deviceID": ODD_NAME, **figures}
