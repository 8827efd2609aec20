"""The shipped database against break-in: who may read and write, and what answers without a password."""

from collections.abc import Callable

import pytest
import requests
from influxdb_client.client.influxdb_client import InfluxDBClient

from testbed.influxdb import CONFIGURATION, InfluxDB
from testbed.process import without_line
from testbed.site import Site

POINT = "telemetry,deviceID=access rotation=1.0 1600000000000000000"
READ = 'SELECT * FROM "fan"."hour"."telemetry"'


@pytest.mark.parametrize(
    ("user", "reads", "writes"),
    [("admin", True, True), ("telegraf", False, True), ("grafana", True, False), ("history", True, True)],
)
def test_a_user_does_what_it_is_for_and_nothing_else(
    influxdb: InfluxDB, user: str, reads: bool, writes: bool
) -> None:
    assert influxdb.write([POINT], user=user, policy="hour").status_code == (204 if writes else 403)
    if reads:
        influxdb.query(READ, user=user)
    else:
        with pytest.raises(PermissionError):
            influxdb.query(READ, user=user)
    if user != "admin":
        for statement in ("CREATE USER x WITH PASSWORD 'x'", "DROP DATABASE fan", "SHOW USERS"):
            with pytest.raises(PermissionError):
                influxdb.query(statement, user=user)


@pytest.mark.parametrize("path", ["/query?q=SHOW+DATABASES", "/debug/pprof/heap", "/debug/vars"])
def test_nothing_answers_without_a_password(influxdb: InfluxDB, path: str) -> None:
    # 404: asked for a password, InfluxDB does not even say that there is a pprof.
    assert requests.get(influxdb.url + path, timeout=5).status_code == (404 if "pprof" in path else 401)


def test_nothing_is_written_without_a_password(influxdb: InfluxDB) -> None:
    for path in ("/write?db=fan", "/api/v2/write?bucket=fan/raw"):
        assert requests.post(influxdb.url + path, data=POINT, timeout=5).status_code == 401


def test_without_auth_enabled_anybody_reads(new_site: Callable[[], Site]) -> None:
    with InfluxDB(new_site(), without_line(CONFIGURATION, "auth-enabled = true")) as database:
        assert requests.get(f"{database.url}/query?q=SHOW+DATABASES", timeout=5).status_code == 200


@pytest.mark.parametrize("path", ["/debug/pprof/heap", "/debug/vars"])
def test_without_pprof_auth_enabled_anybody_looks_inside(new_site: Callable[[], Site], path: str) -> None:
    with InfluxDB(new_site(), without_line(CONFIGURATION, "pprof-auth-enabled = true")) as database:
        database.prepare()
        assert requests.get(database.url + path, timeout=5).status_code == 200


def flux_rows(database: InfluxDB) -> int:
    with InfluxDBClient(url=database.url, token=database.token("grafana"), org="") as client:
        tables = client.query_api().query('from(bucket: "fan/raw") |> range(start: -1h)', org="")
        return sum(len(table.records) for table in tables)


def test_influxdb_client_queries_in_flux(influxdb: InfluxDB) -> None:
    influxdb.query('SHOW MEASUREMENTS ON "fan"')
    assert flux_rows(influxdb) >= 0


def test_without_flux_enabled_influxdb_client_cannot_query(new_site: Callable[[], Site]) -> None:
    with InfluxDB(new_site(), without_line(CONFIGURATION, "flux-enabled = true")) as database:
        database.prepare()
        with pytest.raises(Exception, match="Flux query service disabled"):
            flux_rows(database)
