"""What the services and the broker say of themselves, on its way into the measurements service and broker."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from testbed.influxdb import InfluxDB
from testbed.mosquitto import Mosquitto
from testbed.ports import free_port
from testbed.process import without_line
from testbed.site import Site
from testbed.small_volume import SmallVolume
from testbed.telegraf import CONFIGURATION, Telegraf
from testbed.waiting import wait_until


@pytest.fixture(scope="module")
def metrics_url() -> Iterator[str]:
    """A service's /metrics, as prometheus-client writes it."""
    registry = CollectorRegistry()
    Counter("fanwatch_scored", "Readings.", registry=registry).inc(17)
    Gauge("fanwatch_not_finite", "Not a number.", registry=registry).set(float("nan"))
    Gauge("python_info", "The runtime's own.", registry=registry).set(1)
    Gauge(
        "labelled", "With a label of a name that means something here.", ["topic"], registry=registry
    ).labels("x").set(2)
    Histogram("fanwatch_seconds", "Latency.", buckets=(0.1, 1), registry=registry).observe(0.5)
    server, _thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    server.server_close()


def test_a_services_figures_are_stored_as_floats_under_its_name(
    new_site: Callable[[], Site], metrics_url: str
) -> None:
    site = new_site()
    configuration = CONFIGURATION.read_text().replace('interval = "5s"', 'interval = "1s"', 1)
    urls = dict.fromkeys(["predictor", "inference", "monitor", "drift", "history"], metrics_url)
    with Mosquitto(site) as broker, InfluxDB(site) as database:
        database.prepare()
        with Telegraf(broker, database, configuration=configuration, metrics_urls=urls) as telegraf:
            wait_until(
                lambda: len(database.query('SELECT * FROM "service"')) >= 12, within_s=20, what="figures"
            )
            assert not [event for event in telegraf.events() if event.get("level") == "ERROR"]
        rows = database.query('SELECT LAST("fanwatch_scored_total") FROM "service" GROUP BY "service"')
        assert {row["service"]: row["last"] for row in rows} == dict.fromkeys(urls, 17)
        types = {
            row["fieldKey"]: row["fieldType"] for row in database.query('SHOW FIELD KEYS FROM "service"')
        }
        assert set(types.values()) == {"float"}
        assert {
            "fanwatch_scored_total",
            "fanwatch_seconds_sum",
            "fanwatch_seconds_bucket",
            "labelled",
        } <= types.keys()
        assert not [name for name in types if name.startswith("python_") or name.endswith("_created")]


class AmongPods(Telegraf):
    """With names of several addresses, as a headless Service of Kubernetes has one for each pod."""

    def command(self) -> list[str]:
        hosts = self.folder / "hosts"
        hosts.write_text("".join(f"{address} {name}\n" for name in SEVERAL for address in PODS))
        # A view of the file system of its own, in which these names are known (the right to mount: root on Linux).
        there = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", there, str(hosts), *super().command()]


SEVERAL = ("predictor", "inference")
PODS = {"127.0.0.1": 300.0, "127.0.0.2": 7.0}
"""By address, what each pod has counted."""


@pytest.fixture
def pods_port() -> Iterator[int]:
    """A port on which each of the pods tells its own figures."""
    port = free_port()
    with ExitStack() as stack:
        for address, count in PODS.items():
            registry = CollectorRegistry()
            Counter("fanwatch_scored", "Readings.", registry=registry).inc(count)
            server, _thread = start_http_server(port, address, registry)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
        yield port


@pytest.mark.parametrize("shipped", [True, False], ids=["shipped", "by_name"])
def test_each_pod_behind_a_name_is_asked_and_its_figures_are_its_own(
    new_site: Callable[[], Site], pods_port: int, shipped: bool
) -> None:
    """Asked by the name, one pod answers for all of them."""
    site = new_site()
    configuration = CONFIGURATION.read_text().replace('interval = "5s"', 'interval = "1s"', 1)
    if not shipped:
        configuration = configuration.replace("kubernetes_services =", "urls =")
    urls = {name: f"http://{name}:{pods_port}/metrics" for name in SEVERAL}
    with Mosquitto(site) as broker, InfluxDB(site) as database:
        database.prepare()

        def told() -> dict[tuple[str, str], float]:
            rows = database.query(
                'SELECT LAST("fanwatch_scored_total") FROM "service" GROUP BY "service", "address"'
            )
            return {(row["service"], row.get("address", "")): row["last"] for row in rows}

        with AmongPods(broker, database, configuration=configuration, metrics_urls=urls):
            wait_until(lambda: {name for name, _ in told()} == set(SEVERAL), within_s=20, what="figures")
            everybody = {(name, address): count for name in SEVERAL for address, count in PODS.items()}
            assert (told() == everybody) is shipped


@pytest.mark.parametrize("shipped", [True, False], ids=["shipped", "without_omit_hostname"])
def test_no_figure_carries_the_name_of_the_container(
    new_site: Callable[[], Site], metrics_url: str, shipped: bool
) -> None:
    site = new_site()
    configuration = (
        CONFIGURATION.read_text() if shipped else without_line(CONFIGURATION, "omit_hostname = true")
    )
    configuration = configuration.replace('interval = "5s"', 'interval = "1s"', 1)
    with Mosquitto(site) as broker, InfluxDB(site) as database:
        database.prepare()
        urls = {"predictor": metrics_url}
        with Telegraf(broker, database, configuration=configuration, metrics_urls=urls):
            wait_until(lambda: database.query('SHOW TAG KEYS FROM "service"'), within_s=20, what="figures")
        tags = {row["tagKey"] for row in database.query('SHOW TAG KEYS FROM "service"')}
    assert ("host" in tags) is not shipped
    assert tags - {"host"} <= {"service", "le", "topic", "address"}


def test_a_services_status_is_stored_under_its_name(new_site: Callable[[], Site]) -> None:
    # A site of its own: on the shared broker lie the retained statuses of whatever other tests have run there.
    site = new_site()
    with Mosquitto(site) as broker, InfluxDB(site) as database:
        database.prepare()

        def online() -> dict[str, float]:
            rows = database.query('SELECT LAST("online") FROM "service" GROUP BY "service"')
            return {row["service"]: row["last"] for row in rows}

        with (
            Telegraf(broker, database),
            broker.connect("monitor") as monitor,
            broker.connect("predictor") as predictor,
        ):
            # Not as the contract says: dropped.
            predictor.publish("fan/status/predictor", "online", retain=True)
            monitor.publish("fan/status/monitor", '{"status":"online"}', retain=True)
            wait_until(lambda: online() == {"monitor": 1}, within_s=20, what="the monitor to be online")
            monitor.publish("fan/status/monitor", '{"status":"offline"}', retain=True)
            wait_until(lambda: online() == {"monitor": 0}, within_s=20, what="the monitor to be offline")


def test_how_full_the_brokers_volume_is_is_stored_as_a_float_and_nothing_else_of_it(
    new_site: Callable[[], Site],
) -> None:
    site = new_site()
    configuration = CONFIGURATION.read_text().replace('interval = "5s"', 'interval = "1s"', 1)
    with (
        SmallVolume(site.folder / "mosquitto" / "data", 32) as volume,
        Mosquitto(site) as broker,
        InfluxDB(site) as database,
    ):
        database.prepare()
        volume.fill(0.6)
        with Telegraf(broker, database, configuration=configuration, broker_volume=volume.folder):
            rows = wait_until(
                lambda: database.query('SELECT * FROM "disk"'), within_s=20, what="a figure of the volume"
            )
        types = {row["fieldKey"]: row["fieldType"] for row in database.query('SHOW FIELD KEYS FROM "disk"')}
    assert types == {"used_percent": "float"}
    assert rows[0].keys() == {"time", "name", "volume", "used_percent"}
    assert (rows[0]["volume"], round(rows[0]["used_percent"])) in {("broker", 60), ("broker", 61)}


def test_the_brokers_own_figures_are_stored_as_numbers(
    mosquitto: Mosquitto, influxdb: InfluxDB, telegraf: Telegraf
) -> None:
    wanted = {
        "uptime",
        "clients_total",
        "clients_active",
        "messages_received",
        "messages_sent",
        "publish_messages_received",
        "publish_messages_sent",
        "publish_messages_dropped",
        "load_publish_received_1min",
        "store_messages_count",
        "store_messages_bytes",
        "retained_messages_count",
        "heap_current",
    }

    def types() -> dict[str, str]:
        return {row["fieldKey"]: row["fieldType"] for row in influxdb.query('SHOW FIELD KEYS FROM "broker"')}

    wait_until(lambda: wanted <= types().keys(), within_s=30, what=f"the fields {wanted}")
    assert set(types().values()) == {"float"}
    assert influxdb.query('SHOW TAG KEYS FROM "broker"') == []
