"""The age of the newest verdict, on a real InfluxDB and through the whole chain that tells it."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from edge_manager.history.heartbeat import Heartbeat
from edge_manager.influxdb import InfluxDB as Connection
from testbed.influxdb import InfluxDB, nanoseconds
from testbed.mosquitto import Mosquitto
from testbed.ports import free_port
from testbed.readings import now_ms, verdict
from testbed.site import Site
from testbed.telegraf import CONFIGURATION, Telegraf
from testbed.waiting import wait_until
from tests.edge_manager.history_process import HistoryProcess

AGE = "fanwatch_history_newest_verdict_age_seconds"


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    with InfluxDB(Site(tmp_path_factory.mktemp("heartbeat"))) as server:
        server.prepare()
        yield server


@pytest.fixture
def influxdb(database: InfluxDB) -> InfluxDB:
    """A database with no verdict."""
    database.query("DROP SERIES FROM /.*/")
    return database


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def heartbeat(influxdb: InfluxDB, clock: Hand) -> Heartbeat:
    password = influxdb.site.influxdb_password("history")
    return Heartbeat(Connection(influxdb.url, "history", password), clock)


def store(influxdb: InfluxDB, at: datetime, fan: str = "1") -> None:
    response = influxdb.write([f"anomaly,deviceID={fan} fault=0,probability=0.1 {nanoseconds(at)}"])
    assert response.status_code == 204, response.text


def test_without_a_verdict_there_is_no_age(heartbeat: Heartbeat) -> None:
    heartbeat.look()
    assert heartbeat.answers
    assert heartbeat.age_s() is None


def test_the_age_is_that_of_the_newest_verdict_of_any_fan(
    influxdb: InfluxDB, heartbeat: Heartbeat, clock: Hand
) -> None:
    for fan, seconds in (("1", 300), ("2", 12), ("3", 50)):
        store(influxdb, clock.at - timedelta(seconds=seconds), fan)
    heartbeat.look()
    assert heartbeat.age_s() == 12


def test_it_grows_until_a_newer_verdict_is_stored_and_a_late_one_is_none(
    influxdb: InfluxDB, heartbeat: Heartbeat, clock: Hand
) -> None:
    store(influxdb, clock.at)
    heartbeat.look()
    clock.advance(90)
    store(influxdb, clock.at - timedelta(seconds=100), "late")
    heartbeat.look()
    assert heartbeat.age_s() == 90
    store(influxdb, clock.at - timedelta(seconds=2))
    heartbeat.look()
    assert heartbeat.age_s() == 2


def test_a_verdict_of_the_future_counts_when_its_time_has_come(
    influxdb: InfluxDB, heartbeat: Heartbeat, clock: Hand
) -> None:
    store(influxdb, clock.at - timedelta(seconds=30))
    store(influxdb, clock.at + timedelta(seconds=200), "ahead")
    heartbeat.look()
    assert heartbeat.age_s() == 30
    clock.advance(210)
    heartbeat.look()
    assert heartbeat.age_s() == 10


def test_a_clock_of_ours_that_is_set_back_makes_nothing_fresh(
    influxdb: InfluxDB, heartbeat: Heartbeat, clock: Hand
) -> None:
    store(influxdb, clock.at - timedelta(hours=2))
    store(influxdb, clock.at)
    heartbeat.look()
    clock.advance(-3600)
    heartbeat.look()
    assert heartbeat.age_s() == 3600


def test_while_influxdb_is_away_the_age_grows_and_one_line_says_why(clock: Hand, influxdb: InfluxDB) -> None:
    store(influxdb, clock.at)
    site = influxdb.site
    there = Connection(influxdb.url, "history", site.influxdb_password("history"))
    away = Connection(f"http://127.0.0.1:{free_port()}", "history", "x")
    turns = iter([there, away, away])

    class Fickle(Connection):
        def __init__(self) -> None:
            pass

        def execute(self, statement: str, database: str | None = None) -> list[dict[str, object]]:
            return next(turns).execute(statement, database)

    heartbeat = Heartbeat(Fickle(), clock)
    heartbeat.look()
    with capture_logs() as lines:
        for _ in range(2):
            clock.advance(40)
            heartbeat.look()
    assert (heartbeat.age_s(), heartbeat.answers) == (80, False)
    [line] = lines
    assert "cannot be reached" in line["error"]


def test_from_the_broker_to_the_stored_age_through_every_part(new_site: Callable[[], Site]) -> None:
    configuration = CONFIGURATION.read_text().replace('interval = "5s"', 'interval = "1s"', 1)
    with Mosquitto(new_site()) as broker, InfluxDB(broker.site) as influxdb:
        influxdb.prepare()

        def stored(field: str) -> float | None:
            rows = influxdb.query(f'SELECT last("{field}") FROM "service" WHERE service = \'history\'')
            return float(rows[0]["last"]) if rows else None

        with (
            HistoryProcess(influxdb) as history,
            Telegraf(
                broker, influxdb, configuration=configuration, metrics_urls={"history": history.metrics_url}
            ),
            broker.connect("predictor") as predictor,
        ):
            wait_until(lambda: stored("fanwatch_history_influxdb_answers"), within_s=30, what="a figure")
            assert stored(AGE) is None
            predictor.publish("fan/anomaly/1", verdict("1", now_ms() - timedelta(seconds=500)))
            wait_until(lambda: (stored(AGE) or 0) >= 500, within_s=30, what="the age of an old verdict")
            predictor.publish("fan/anomaly/1", verdict("1", now_ms()))
            wait_until(lambda: (stored(AGE) or 999) < 60, within_s=30, what="the age of a new verdict")


def test_a_port_that_is_taken_stops_the_history_service_with_one_line(influxdb: InfluxDB) -> None:
    with HistoryProcess(influxdb) as first:
        second = HistoryProcess(influxdb, FANWATCH_LISTEN_PORT=str(first.port))
        second.start(wait=False)
        assert second.wait_ended(30) == 1
        [line] = second.log().splitlines()
        assert (json.loads(line)["event"], json.loads(line)["port"]) == ("port not free", first.port)
