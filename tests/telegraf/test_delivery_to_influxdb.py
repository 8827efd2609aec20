"""Each acknowledged message reaches InfluxDB once, whichever process dies; and what each setting protects against."""

import re
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from edge_manager.influxdb import InfluxDB as InfluxDBConnection
from testbed.influxdb import InfluxDB, nanoseconds
from testbed.mosquitto import Mosquitto
from testbed.process import REPOSITORY, with_line, without_line
from testbed.readings import now_ms, reading
from testbed.site import Site
from testbed.telegraf import CONFIGURATION, Telegraf
from testbed.waiting import wait_until


class Stack(NamedTuple):
    """A broker and a prepared database of one test."""

    broker: Mosquitto
    database: InfluxDB

    def telegraf(self, configuration: str | None = None, *, naive_time_zone: str = "UTC") -> Telegraf:
        return Telegraf(
            self.broker, self.database, configuration=configuration, naive_time_zone=naive_time_zone
        )

    def send(self, device: str, numbers: range) -> None:
        """Numbered readings of one fan, each acknowledged by the broker."""
        with self.broker.connect("simulator") as fan:
            fan.publish_all([("fan/messages", reading(device, seq=number)) for number in numbers])

    def numbers(self, device: str) -> list[int]:
        return sorted(int(point["seq"]) for point in self.database.points("telemetry", device))

    def wait_stored_once(self, device: str, numbers: range) -> None:
        self.database.wait_points("telemetry", device, len(numbers), within_s=60)
        assert self.numbers(device) == list(numbers)

    def wait_caught_up(self) -> None:
        """Waits until a reading sent now is stored: what is not there by then never comes by itself."""
        self.send("caught-up", range(1))
        self.database.wait_points("telemetry", "caught-up", 1, within_s=60)


@pytest.fixture
def stack(new_site: Callable[[], Site]) -> Iterator[Stack]:
    site = new_site()
    with Mosquitto(site) as broker, InfluxDB(site) as database:
        database.prepare()
        yield Stack(broker, database)


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_readings_sent_while_telegraf_is_away_are_stored_when_it_is_back(stack: Stack, killed: bool) -> None:
    with stack.telegraf() as telegraf:
        if killed:
            telegraf.kill()
        else:
            telegraf.stop()
        stack.send("away", range(1200))
        telegraf.start()
        stack.wait_stored_once("away", range(1200))


@pytest.mark.parametrize(
    "configuration",
    [
        without_line(CONFIGURATION, "qos = 1"),
        without_line(CONFIGURATION, "persistent_session = true"),
        with_line(CONFIGURATION, 'client_id = "fanwatch-telegraf-telemetry"', 'client_id = "another"'),
    ],
    ids=["qos", "persistent_session", "client_id"],
)
def test_without_the_session_they_are_lost(stack: Stack, configuration: str) -> None:
    renamed = '"another"' in configuration
    with stack.telegraf(None if renamed else configuration):
        pass  # it has subscribed once, in its own way
    stack.send("away", range(50))
    with stack.telegraf(configuration):
        stack.wait_caught_up()
        assert stack.numbers("away") == []


def test_a_telegraf_killed_in_the_middle_loses_nothing_and_stores_once(stack: Stack) -> None:
    with stack.telegraf() as telegraf:
        sender = threading.Thread(target=stack.send, args=("middle", range(4000)))
        sender.start()
        for _ in range(3):
            before = len(stack.numbers("middle"))
            stack.database.wait_points("telemetry", "middle", min(before + 100, 4000))
            telegraf.restart(killed=True)
        sender.join()
        stack.wait_stored_once("middle", range(4000))


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_readings_sent_while_influxdb_is_away_are_stored_when_it_is_back(stack: Stack, killed: bool) -> None:
    with stack.telegraf():
        stack.send("before", range(200))
        if killed:
            stack.database.wait_points("telemetry", "before", 1)
            stack.database.kill()
        else:
            stack.database.stop()
        stack.send("during", range(2500))
        stack.database.start()
        stack.wait_stored_once("during", range(2500))
        stack.wait_stored_once("before", range(200))


def test_telegraf_comes_back_after_the_broker_was_killed(stack: Stack) -> None:
    with stack.telegraf():
        stack.send("before", range(500))
        stack.broker.restart(killed=True)
        stack.send("after", range(500))
        stack.wait_stored_once("before", range(500))
        stack.wait_stored_once("after", range(500))


def test_a_refused_password_holds_the_readings_back_and_loses_none(stack: Stack) -> None:
    site, database = stack.broker.site, stack.database
    admin = InfluxDBConnection(database.url, "admin", site.influxdb_password("admin"))
    with stack.telegraf() as telegraf:
        admin.execute("SET PASSWORD FOR \"telegraf\" = 'another'")
        stack.send("refused", range(300))
        wait_until(lambda: "401" in telegraf.log(last=10**7), within_s=20, what="InfluxDB to refuse Telegraf")
        admin.execute(f"SET PASSWORD FOR \"telegraf\" = '{site.influxdb_password('telegraf')}'")
        stack.wait_stored_once("refused", range(300))


@pytest.mark.parametrize("shipped", [True, False], ids=["shipped", "without_startup_error_behavior"])
def test_a_broker_that_is_not_up_yet_is_waited_for(stack: Stack, shipped: bool) -> None:
    stack.broker.stop()
    line = 'startup_error_behavior = "retry"'
    telegraf = stack.telegraf(None if shipped else without_line(CONFIGURATION, line))
    telegraf.start(wait=False)
    try:
        if not shipped:
            assert telegraf.wait_ended() != 0
            return
        wait_until(lambda: "connection refused" in telegraf.log(), within_s=20, what="Telegraf to have tried")
        stack.broker.start()
        telegraf.wait_ready()
        stack.wait_caught_up()
    finally:
        telegraf.stop()


def test_without_metricpass_a_clock_a_day_ahead_is_stored_and_an_old_reading_spoils_its_batch(
    stack: Stack,
) -> None:
    [line] = [line.strip() for line in CONFIGURATION.read_text().splitlines() if "metricpass" in line]
    with (
        stack.telegraf(without_line(CONFIGURATION, line)) as telegraf,
        stack.broker.connect("simulator") as fan,
    ):
        fan.publish("fan/messages", reading("ahead", now_ms() + timedelta(days=1)))
        stack.database.wait_points("telemetry", "ahead", 1)
        fan.publish("fan/messages", reading("old", now_ms() - timedelta(days=40)))
        wait_until(lambda: "400 Bad Request" in telegraf.log(), within_s=20, what="a refused batch")


def test_a_site_that_keeps_readings_for_longer_takes_older_ones(stack: Stack) -> None:
    stack.database.prepare(retention_days=60)
    with (
        Telegraf(stack.broker, stack.database, retention_days=60) as telegraf,
        stack.broker.connect("simulator") as fan,
    ):
        for days in (61, 59, 58):
            fan.publish(
                "fan/messages", reading(f"of-{days}-days", now_ms() - timedelta(days=days, minutes=5))
            )
        stack.database.wait_points("telemetry", "of-58-days", 1)
        stack.wait_caught_up()
        assert [len(stack.database.points("telemetry", f"of-{days}-days")) for days in (61, 59, 58)] == [
            0,
            0,
            1,
        ]
        assert "400 Bad Request" not in telegraf.log()


@pytest.mark.parametrize("shipped", [True, False], ids=["shipped", "in_one_output"])
def test_the_services_figures_do_not_push_readings_out_of_the_buffer_while_influxdb_is_away(
    stack: Stack, shipped: bool
) -> None:
    registry = CollectorRegistry()
    many = Gauge("many", "More than the buffer holds.", ["number"], registry=registry)
    for number in range(1000):
        many.labels(number).set(number)
    server, _thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    # A small buffer and a short interval, so that it fills within seconds.
    configuration = CONFIGURATION.read_text().replace(
        "metric_buffer_limit = 10000", "metric_buffer_limit = 600"
    )
    configuration = configuration.replace('interval = "5s"', 'interval = "1s"', 1)
    if not shipped:
        machines = 'namepass = ["telemetry", "anomaly", "alarm", "alarm_journal"]'
        configuration = configuration.replace(
            machines, 'namepass = ["telemetry", "anomaly", "alarm", "alarm_journal", "service"]'
        )
    urls = {"predictor": f"http://127.0.0.1:{server.server_port}/metrics"}
    try:
        with Telegraf(
            stack.broker, stack.database, configuration=configuration, metrics_urls=urls
        ) as telegraf:
            stack.database.stop()
            stack.send("waiting", range(300))
            wait_until(
                lambda: "buffer overflow" in telegraf.log(last=10**7), within_s=20, what="a full buffer"
            )
            stack.database.start()
            if shipped:
                stack.wait_stored_once("waiting", range(300))
            else:
                count = 'SELECT COUNT("many") FROM "service"'
                wait_until(lambda: stack.database.query(count), within_s=30, what="what the buffer held")
                assert len(stack.numbers("waiting")) < 300
    finally:
        server.shutdown()
        server.server_close()


def test_a_time_without_a_zone_is_read_in_the_zone_of_the_setting(stack: Stack) -> None:
    second = now_ms().replace(microsecond=0)
    local: datetime = second.astimezone(ZoneInfo("Australia/Adelaide"))
    with stack.telegraf(naive_time_zone="Australia/Adelaide"), stack.broker.connect("simulator") as fan:
        fan.publish("fan/messages", reading("naive", f"{local:%Y-%m-%d %H:%M:%S}"))
        [point] = stack.database.wait_points("telemetry", "naive", 1)
    assert point["time"] == nanoseconds(second)


def test_a_zone_that_does_not_exist_is_refused_at_the_start(stack: Stack) -> None:
    telegraf = stack.telegraf(naive_time_zone="Mars/Olympus")
    telegraf.start(wait=False)
    assert telegraf.wait_ended() != 0
    assert "Mars/Olympus" in telegraf.log()


def test_the_health_check_passes_only_while_points_get_through(stack: Stack) -> None:
    # Fewer than the shipped 5,000, so that few readings show it.
    configuration = CONFIGURATION.read_text().replace("lt = 5000.0", "lt = 50.0")
    configuration = configuration.replace('interval = "5s"', 'interval = "1s"', 1)
    with stack.telegraf(configuration) as telegraf:
        telegraf.wait_healthy()
        stack.database.stop()
        stack.send("stuck", range(200))
        wait_until(lambda: telegraf.health() == 503, within_s=30, what="telegraf to be unhealthy")
        stack.database.start()
        telegraf.wait_healthy()


def test_the_buffer_holds_everything_that_may_be_unacknowledged_at_one_time() -> None:
    text = CONFIGURATION.read_text()
    [limit] = re.findall(r"metric_buffer_limit = (\d+)", text)
    assert int(limit) > sum(int(most) for most in re.findall(r"max_undelivered_messages = (\d+)", text))


def test_the_built_telegraf_has_exactly_the_plugins_that_the_configuration_names() -> None:
    text = CONFIGURATION.read_text()
    named = set(re.findall(r"^\[\[((?:inputs|outputs|processors|secretstores)\.\w+)\]\]", text, re.MULTILINE))
    named |= {f"parsers.{name}" for name in re.findall(r'data_format = "(\w+)"', text)}
    script = (REPOSITORY / "testbed" / "install.sh").read_text()
    [built] = re.findall(r'^TELEGRAF_PLUGINS="([^"]*)"', script, re.MULTILINE)
    assert set(built.split()) == named
