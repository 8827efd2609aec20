"""Setup and history against a real InfluxDB."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_manager.history.heartbeat import Heartbeat
from edge_manager.history.service import History, HistoryState, health_problem
from edge_manager.influxdb import InfluxDB as Connection
from edge_manager.influxdb import InfluxDBError
from edge_manager.site.credentials import CREDENTIALS, Account, make_missing, passwords_of
from edge_manager.site.preparation import prepare_influxdb
from edge_manager.statements import read_statements
from testbed.influxdb import SCHEMA, InfluxDB
from testbed.ports import free_port
from testbed.site import Site
from testbed.waiting import wait_until

STATEMENTS = read_statements((SCHEMA / "backfill.influxql").read_text())


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    with InfluxDB(Site(tmp_path_factory.mktemp("edge-manager"))) as server:
        server.prepare()
        yield server


def _policies(database: InfluxDB) -> dict[str, str]:
    connection = Connection(database.url, "admin", database.site.influxdb_password("admin"))
    (series,) = connection.execute("SHOW RETENTION POLICIES ON fan")
    return {row[0]: row[1] for row in series["values"]}


def test_setting_up_again_changes_nothing(database: InfluxDB) -> None:
    def everything() -> list[object]:
        statements = ("SHOW USERS", "SHOW GRANTS FOR history", "SHOW CONTINUOUS QUERIES", "SHOW DATABASES")
        return [database.query(statement) for statement in statements] + [_policies(database)]

    before = everything()
    database.prepare()
    assert everything() == before
    assert {row["user"] for row in database.query("SHOW USERS")} == {
        "admin",
        "telegraf",
        "grafana",
        "history",
    }


def test_a_retention_that_the_operator_chose_stands(database: InfluxDB) -> None:
    database.query('ALTER RETENTION POLICY "minute" ON "fan" DURATION 26w')
    database.prepare()
    assert _policies(database)["minute"] == "4368h0m0s"


def test_the_retention_of_the_site_is_made_and_changed_by_its_variable(
    new_site: Callable[[], Site],
) -> None:
    with InfluxDB(new_site()) as database:
        for days, hours in ((60, 1440), (10, 240), (None, 240)):
            database.prepare(retention_days=days)
            assert _policies(database)["raw"] == f"{hours}h0m0s"


def test_each_user_may_do_its_own_and_no_more(database: InfluxDB) -> None:
    point = ["telemetry,deviceID=rights rotation=600"]
    assert database.write(point, user="telegraf").status_code == 204
    assert database.write(point, user="grafana").status_code == 403
    assert database.query("SELECT rotation FROM telemetry WHERE deviceID = 'rights'", user="grafana")
    with pytest.raises(PermissionError):
        database.query("SELECT rotation FROM telemetry", user="telegraf")
    for user in ("telegraf", "grafana", "history"):
        with pytest.raises(PermissionError):
            database.query("CREATE DATABASE other", user=user)


def test_a_password_that_was_lost_and_made_again_is_taken_over(database: InfluxDB) -> None:
    lost = CREDENTIALS["influxdb-grafana"]
    old = database.site.influxdb_password("grafana")
    database.site.store.path(lost.reader, lost.file).unlink()
    make_missing(database.site.store)
    assert database.site.influxdb_password("grafana") != old
    with pytest.raises(PermissionError):
        database.query("SHOW MEASUREMENTS", user="grafana")
    database.prepare()
    database.query("SHOW MEASUREMENTS", user="grafana")


def test_data_older_than_the_admins_secret_is_refused_with_what_to_do(database: InfluxDB) -> None:
    wrong = passwords_of(database.site.store, Account.INFLUXDB) | {"admin": "another"}
    with pytest.raises(InfluxDBError, match="volume secrets-operator"):
        prepare_influxdb(lambda user, password: Connection(database.url, user, password), wrong, SCHEMA)


def test_a_server_that_starts_late_is_waited_for(new_site: Callable[[], Site]) -> None:
    server = InfluxDB(new_site())
    passwords = passwords_of(server.site.store, Account.INFLUXDB)
    waiting = threading.Event()

    def connect(user: str, password: str) -> Connection:
        waiting.set()
        return Connection(server.url, user, password, wait_s=60)

    with ThreadPoolExecutor(1) as pool:
        setup = pool.submit(prepare_influxdb, connect, passwords, SCHEMA)
        assert waiting.wait(10)
        with server:
            setup.result(60)
            assert set(_policies(server)) == {"raw", "minute", "hour"}


def test_a_server_that_never_comes_is_given_up_with_its_address() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(InfluxDBError, match=f"cannot be reached at {url}/query"):
        Connection(url, "history", "x", wait_s=0).execute("SHOW DATABASES")


def _history(database: InfluxDB, folder: Path, now: datetime, days: int = 30) -> History:
    connection = Connection(database.url, "history", database.site.influxdb_password("history"))
    heartbeat = Heartbeat(connection, lambda: now)
    return History(connection, STATEMENTS, days, folder / "history.json", lambda: now, heartbeat)


def test_a_reading_that_came_days_late_is_in_the_history_after_the_night(
    database: InfluxDB, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    late = (now - timedelta(days=3)).replace(hour=13, minute=5, second=0, microsecond=0)
    stamps = [int((late + timedelta(seconds=s)).timestamp() * 1e9) for s in (0, 20, 40)]
    database.write([f"telemetry,deviceID=late rotation={600 + i} {t}" for i, t in enumerate(stamps)])
    assert database.points("telemetry", "late", policy="minute") == []
    service = _history(database, tmp_path, now)
    service.run_backfill()
    for policy in ("minute", "hour"):
        (point,) = database.points("telemetry", "late", policy=policy)
        assert (point["mean_rotation"], point["min_rotation"], point["max_rotation"]) == (601, 600, 602)
    # Again, and nothing is counted twice.
    service.run_backfill()
    assert len(database.points("telemetry", "late", policy="minute")) == 1


def _state(folder: Path) -> HistoryState:
    return HistoryState(**json.loads((folder / "history.json").read_text()))


def test_the_service_checks_backfills_after_its_delay_and_stops_when_told(
    database: InfluxDB, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    service = _history(database, tmp_path, now, days=2)
    half_a_minute = timedelta(seconds=30)
    serving = threading.Thread(
        target=service.serve, args=("17 2 * * *", timedelta(), half_a_minute, half_a_minute)
    )
    serving.start()
    try:
        wait_until(lambda: _state(tmp_path).backfilled_at, within_s=30, what="the first backfill")
        wait_until(lambda: _state(tmp_path).answered_at, within_s=30, what="the first check")
    finally:
        service.stop()
        serving.join(30)
    assert not serving.is_alive()
    assert health_problem(_state(tmp_path), now, timedelta(seconds=30)) is None


def test_a_backfill_that_fails_is_told_to_the_health_check_and_forgotten_when_the_next_succeeds(
    database: InfluxDB, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    wrong = Connection(database.url, "history", "wrong")
    failing = History(
        wrong, STATEMENTS, 2, tmp_path / "history.json", lambda: now, Heartbeat(wrong, lambda: now)
    )
    failing.check()
    failing.run_backfill()
    assert "authorization failed" in _state(tmp_path).backfill_error
    service = _history(database, tmp_path, now, days=2)
    service.check()
    service.run_backfill()
    assert health_problem(_state(tmp_path), now, timedelta(seconds=30)) is None


def test_a_crontab_line_that_is_none_stops_the_start(database: InfluxDB, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"(?i)number of fields"):
        _history(database, tmp_path, datetime.now(UTC)).serve(
            "nightly", timedelta(), *[timedelta(seconds=30)] * 2
        )
