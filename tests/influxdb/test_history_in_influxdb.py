"""The shipped schema on a real InfluxDB: what is kept how long, and how the history of it is made."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from edge_manager.statements import fill_in, read_statements
from testbed.influxdb import CONFIGURATION, SCHEMA, InfluxDB, nanoseconds
from testbed.process import with_line
from testbed.site import Site
from testbed.waiting import wait_until

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def database(new_site: Callable[[], Site]) -> Iterator[InfluxDB]:
    with InfluxDB(new_site()) as server:
        server.prepare()
        yield server


def telemetry(device: str, start: datetime, values: list[float], *, step_s: int = 10) -> list[str]:
    """Readings of one signal, as Telegraf writes them."""
    return [
        f'telemetry,deviceID={device} rotation={float(value)},seq={number}.0,bootID="b" '
        f"{nanoseconds(start + timedelta(seconds=number * step_s))}"
        for number, value in enumerate(values)
    ]


def verdicts(device: str, start: datetime, faults: list[int], *, step_s: int = 10) -> list[str]:
    return [
        f'anomaly,deviceID={device} fault={float(fault)},probability={fault * 0.5},model="fan:3" '
        f"{nanoseconds(start + timedelta(seconds=number * step_s))}"
        for number, fault in enumerate(faults)
    ]


def backfill(database: InfluxDB, start: datetime, end: datetime) -> None:
    """What the history service executes, as its own user."""
    values = {"from": f"{start:%Y-%m-%dT%H:%M:%SZ}", "to": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
    for statement in read_statements((SCHEMA / "backfill.influxql").read_text()):
        database.query(fill_in(statement, values), user="history")


def test_raw_is_kept_thirty_days_minutes_a_year_and_hours_for_ever(database: InfluxDB) -> None:
    policies = {row["name"]: row for row in named("SHOW RETENTION POLICIES ON fan", database)}
    assert {name: row["duration"] for name, row in policies.items()} == {
        "raw": "720h0m0s",
        "minute": "8736h0m0s",
        "hour": "0s",
    }
    assert [name for name, row in policies.items() if row["default"]] == ["raw"]


def test_without_retention_autocreate_false_a_policy_that_keeps_for_ever_appears(
    new_site: Callable[[], Site],
) -> None:
    changed = with_line(CONFIGURATION, "retention-autocreate = false", "retention-autocreate = true")
    with InfluxDB(new_site(), changed) as database:
        database.prepare()
        assert "autogen" in {row["name"] for row in named("SHOW RETENTION POLICIES ON fan", database)}


def named(statement: str, database: InfluxDB) -> list[dict[str, str]]:
    """Rows that have a column "name" themselves."""
    answer = database.raw_query(statement)["results"][0]["series"]
    return [dict(zip(series["columns"], row, strict=True)) for series in answer for row in series["values"]]


def test_a_whole_number_of_hours_makes_a_shard_so_that_no_hour_is_ever_half_deleted(
    database: InfluxDB,
) -> None:
    groups = {
        row["name"]: row["shardGroupDuration"] for row in named("SHOW RETENTION POLICIES ON fan", database)
    }
    assert groups["raw"] == "24h0m0s"


def test_setting_up_again_changes_nothing(database: InfluxDB) -> None:
    def everything() -> list[object]:
        asked = (
            "SHOW RETENTION POLICIES ON fan",
            "SHOW CONTINUOUS QUERIES",
            "SHOW USERS",
            'SHOW GRANTS FOR "history"',
        )
        return [database.raw_query(statement) for statement in asked]

    before = everything()
    database.write(telemetry("kept", HOUR, [600]))
    database.prepare()
    assert everything() == before
    assert len(database.points("telemetry", "kept")) == 1


def test_the_operators_own_retention_stands(database: InfluxDB) -> None:
    database.query('ALTER RETENTION POLICY "raw" ON "fan" DURATION 60d SHARD DURATION 1d DEFAULT')
    database.prepare()
    policies = {row["name"]: row["duration"] for row in named("SHOW RETENTION POLICIES ON fan", database)}
    assert policies["raw"] == "1440h0m0s"


def test_minutes_and_hours_are_filled_for_each_fan_with_mean_min_and_max(database: InfluxDB) -> None:
    start = HOUR - timedelta(hours=2)
    database.write(telemetry("1", start, [600, 610, 620, 590, 580, 600, 400, 500]))
    database.write(telemetry("2", start, [100]))
    database.write(verdicts("1", start, [0, 0, 1, 1, 0, 0, 1, 1]))
    database.restart()  # the queries run once at the start, and from then on every five minutes

    first, second = database.wait_points("telemetry", "1", 2, policy="minute")
    assert (first["time"], second["time"]) == (nanoseconds(start), nanoseconds(start + timedelta(minutes=1)))
    assert (first["mean_rotation"], first["min_rotation"], first["max_rotation"]) == (600, 580, 620)
    assert (second["mean_rotation"], second["min_rotation"], second["max_rotation"]) == (450, 400, 500)
    [other] = database.wait_points("telemetry", "2", 1, policy="minute")
    assert other["mean_rotation"] == 100
    [hour] = database.wait_points("telemetry", "1", 1, policy="hour")
    assert hour["time"] == nanoseconds(start)
    assert (hour["mean_rotation"], hour["min_rotation"], hour["max_rotation"]) == (562.5, 400, 620)
    [hour] = database.wait_points("anomaly", "1", 1, policy="hour")
    assert (hour["mean_fault"], hour["max_probability"]) == (0.5, 0.5)
    assert database.wait_points("anomaly", "1", 2, policy="minute")[0]["max_fault"] == 1
    for measurement in ("telemetry", "anomaly"):
        fields = database.query(f'SHOW FIELD KEYS ON "fan" FROM "fan"."hour"."{measurement}"')
        assert {row["fieldType"] for row in fields} == {"float"}


def test_a_reading_that_comes_hours_late_still_counts_and_one_later_than_that_waits_for_the_backfill(
    database: InfluxDB,
) -> None:
    within, beyond = HOUR - timedelta(hours=4), HOUR - timedelta(hours=20)
    for start in (within, beyond):
        database.write(telemetry("late", start, [600]))
    backfill(database, HOUR - timedelta(days=1), HOUR)
    assert len(database.wait_points("telemetry", "late", 2, policy="hour")) == 2

    for start in (within, beyond):
        database.write(telemetry("late", start + timedelta(minutes=30), [400]))
    database.restart()

    def means() -> list[float]:
        return [row["mean_rotation"] for row in database.points("telemetry", "late", policy="hour")]

    wait_until(lambda: means()[1] == 500, within_s=20, what="the continuous query")
    assert means() == [600, 500]
    backfill(database, HOUR - timedelta(days=1), HOUR)
    assert means() == [500, 500]
    assert len(database.points("telemetry", "late", policy="minute")) == 4


def test_backfilling_twice_and_where_there_is_nothing_changes_nothing(database: InfluxDB) -> None:
    start = HOUR - timedelta(days=10)
    database.write(telemetry("twice", start, [600, 500], step_s=60))
    backfill(database, start, start + timedelta(days=1))
    before = database.points("telemetry", "twice", policy="minute")
    assert len(before) == 2
    backfill(database, start, start + timedelta(days=1))
    database.query('DELETE FROM "telemetry" WHERE "deviceID" = \'nobody\'')
    backfill(database, start - timedelta(days=1), start)
    assert database.points("telemetry", "twice", policy="minute") == before


def test_every_continuous_query_has_its_backfill() -> None:
    def work(file: str) -> set[tuple[str, ...]]:
        text = " ".join(read_statements((SCHEMA / file).read_text()))
        pattern = r'SELECT (.+?) INTO (\S+) FROM (\S+) .*?GROUP BY (time\(\w+\), "deviceID")'
        return set(re.findall(pattern, text))

    assert work("schema.influxql") == work("backfill.influxql")
    assert len(work("backfill.influxql")) == 4


def test_what_was_acknowledged_survives_a_kill(database: InfluxDB) -> None:
    for number in range(20):
        assert database.write(telemetry(f"k{number}", HOUR, [float(number)])).status_code == 204
    database.restart(killed=True)
    for number in range(20):
        assert len(database.points("telemetry", f"k{number}")) == 1
