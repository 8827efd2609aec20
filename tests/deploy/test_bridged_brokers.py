"""Sites bridged to a hub: nothing is lost while the hub is away, and two fans of one name stay two."""

import json
import queue
import re
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from testbed.bridged import Hub, await_bridge, site_broker
from testbed.chart import pod_of, rendered
from testbed.influxdb import InfluxDB
from testbed.mosquitto import Connection, Mosquitto
from testbed.pod_files import arguments_in, mount_config_maps, variables_of
from testbed.process import server_binary
from testbed.readings import now_ms, reading
from testbed.telegraf import Telegraf
from testbed.waiting import wait_until

SITES = ("berlin", "munich", "vienna")
EACH = 400


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with Hub(tmp_path_factory.mktemp("bridged")) as running:
        yield running


@pytest.fixture(scope="module")
def sites(hub: Hub) -> Iterator[dict[str, Mosquitto]]:
    brokers = {name: site_broker(hub.folder.parent, name, hub) for name in SITES}
    for broker in brokers.values():
        broker.start()
    yield brokers
    for broker in brokers.values():
        broker.stop()


class OfTheHub(Telegraf):
    """Telegraf with files, arguments and variables as the chart renders them for a hub.

    Args:
        mosquitto: The hub's broker.
        influxdb: The hub's database.
        filtered: Without it the arguments are those of a site: none.
    """

    def __init__(self, mosquitto: Mosquitto, influxdb: InfluxDB, *, filtered: bool = True) -> None:
        super().__init__(mosquitto, influxdb, name="telegraf" if filtered else "telegraf-unfiltered")
        objects = rendered("values-hub.yaml")
        self._pod = pod_of(objects, "telegraf")
        self._filtered = filtered
        self._root = self.folder / "root"
        mount_config_maps(self._pod, objects, self._root)

    def command(self) -> list[str]:
        program, *arguments = arguments_in(self._pod, self._root)
        assert program == "telegraf"
        # Where the image's Telegraf looks by itself.
        configuration = ["--config", str(self._root / "etc/telegraf/telegraf.conf")]
        return [str(server_binary(program)), *(arguments if self._filtered else []), *configuration]

    def environment(self) -> dict[str, str]:
        here = super().environment() | {"FANWATCH_TELEGRAF_DIR": str(self._root / "etc/telegraf")}
        return variables_of(self._pod) | here

    def complaints(self) -> list[str]:
        """Whose errors it logs."""
        return [str(event.get("plugin")) for event in self.events() if event.get("level") == "ERROR"]


def patient(hub: Hub) -> Connection:
    """A reader for whom the hub keeps what comes while it is away."""
    return hub.broker.connect("telegraf", client_id="listener", clean_start=False, session_expiry_s=3600)


def numbered(first: int, count: int) -> list[tuple[str, bytes | str]]:
    return [("fan/messages/1", reading("1", seq=number)) for number in range(first, first + count)]


def kill_between_turns(broker: Mosquitto, senders: Iterable[Mosquitto] = ()) -> None:
    """Kills it when it has committed what it has acknowledged: its last turn may be lost (docs/nothing-lost.md).

    Its senders stand still meanwhile. A turn reads 4 KiB of what each has sent before, the next one commits that.
    """
    turns = 2 + EACH * len(reading("1", seq=EACH)) // 4096
    for sender in senders:
        sender.send(signal.SIGSTOP)
    with broker.connect("probe") as another:
        for _ in range(2 * turns):
            another.settle()
    broker.kill()
    for sender in senders:
        sender.send(signal.SIGCONT)


def arrived(listener: Connection, wanted: int) -> dict[str, list[int]]:
    """The numbers that came, by site, without those that came again."""
    found: dict[str, set[int]] = {name: set() for name in SITES}
    while sum(len(numbers) for numbers in found.values()) < wanted:
        try:
            message = listener.next(within_s=60)
        except queue.Empty:
            break  # the comparison shows what is missing
        found[message.topic.split("/")[0]].add(json.loads(message.payload)["seq"])
    return {name: sorted(numbers) for name, numbers in found.items()}


def test_what_the_sites_broker_has_acknowledged_reaches_the_hub_though_the_hub_and_a_site_are_killed(
    hub: Hub, sites: dict[str, Mosquitto]
) -> None:
    for name in SITES:
        await_bridge(hub, name)
    with patient(hub) as listener:
        listener.subscribe("+/messages/#")

    def publish(first: int) -> None:
        for broker in sites.values():
            with broker.connect("simulator") as fan:
                fan.publish_all(numbered(first, EACH))

    publish(0)
    kill_between_turns(hub.broker, senders=sites.values())
    publish(EACH)
    kill_between_turns(sites["munich"])
    sites["munich"].start()
    publish(2 * EACH)
    hub.broker.start()
    publish(3 * EACH)

    with patient(hub) as listener:
        found = arrived(listener, 4 * EACH * len(SITES))
    assert found == {name: list(range(4 * EACH)) for name in SITES}


def test_a_site_writes_under_its_own_name_alone(hub: Hub, sites: dict[str, Mosquitto]) -> None:
    with hub.broker.connect("telegraf") as listener, sites["berlin"].connect("simulator") as fan:
        listener.subscribe("#")
        fan.publish("fan/messages/munich", reading("munich"))
        assert listener.next().topic == "berlin/messages/munich"


def test_nobody_signs_in_at_the_hub_without_a_certificate_of_its_authority(hub: Hub, tmp_path: Path) -> None:
    broker = site_broker(tmp_path, "stranger", hub, signed_by=Hub(tmp_path))
    broker.start()
    try:
        wait_until(lambda: "unknown ca" in broker.log().lower(), within_s=30, what="the refusal")
        assert "fanwatch-site-stranger" not in hub.broker.log()
    finally:
        broker.stop()


def test_the_hubs_history_tells_the_fans_of_two_sites_apart(hub: Hub, sites: dict[str, Mosquitto]) -> None:
    with InfluxDB(hub.site) as influxdb:
        influxdb.prepare()
        with OfTheHub(hub.broker, influxdb):
            at = now_ms()
            for name in ("berlin", "munich"):
                with sites[name].connect("simulator") as fan:
                    fan.publish("fan/messages/7", reading("7", at, seq=7))
                with sites[name].connect("monitor") as monitor:
                    monitor.publish("fan/status/monitor", '{"status": "online"}', retain=True)

            def tags(measurement: str, tag: str) -> set[str]:
                rows = influxdb.query(f'SELECT * FROM fan.raw."{measurement}" WHERE time > now() - 10m')
                return {row[tag] for row in rows}

            wait_until(
                lambda: {"berlin.7", "munich.7"} <= tags("telemetry", "deviceID"),
                within_s=30,
                what="a reading of each site",
            )
            wait_until(
                lambda: {"berlin.monitor", "munich.monitor"} <= tags("service", "service"),
                within_s=30,
                what="a status of each site",
            )


def test_a_hubs_telegraf_asks_for_nothing_that_a_hub_has_not(hub: Hub) -> None:
    """Its filter leaves MQTT and Telegraf's own figures, by which its probes judge it."""
    with InfluxDB(hub.site) as influxdb:
        influxdb.prepare()
        with OfTheHub(hub.broker, influxdb) as telegraf:
            telegraf.wait_healthy()
            wait_until(lambda: influxdb.query('SELECT * FROM "broker"'), within_s=30, what="$SYS")
            loaded = next(each["msg"] for each in telegraf.events() if "Loaded inputs" in str(each["msg"]))
            kinds = set(re.findall(r"[a-z]\w+", loaded.removeprefix("Loaded inputs: ")))
            assert kinds == {"mqtt_consumer", "internal"}
            assert telegraf.complaints() == []


def test_without_its_filter_it_would_complain_for_ever(hub: Hub) -> None:
    with InfluxDB(hub.site) as influxdb:
        influxdb.prepare()
        with OfTheHub(hub.broker, influxdb, filtered=False) as telegraf:
            wait_until(lambda: "prometheus" in telegraf.complaints(), within_s=30, what="a complaint")
