"""What `fanwatch status` and `doctor` find on real servers of which one is stopped, full, or near its end."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_manager.device_health.device import gather
from edge_manager.device_health.facts import Facts
from edge_manager.device_health.findings import Limits, find
from edge_manager.device_health.told import status_text
from testbed.influxdb import InfluxDB, nanoseconds
from testbed.keeping import ProcessDevice
from testbed.mosquitto import CONFIGURATION, Connection, Mosquitto
from testbed.ports import free_port
from testbed.readings import now_ms, reading
from testbed.services import Inference, Predictor
from testbed.site import Site
from testbed.small_volume import SmallVolume
from testbed.telegraf import CONFIGURATION as TELEGRAF_CONFIGURATION
from testbed.telegraf import Telegraf
from testbed.waiting import wait_until

LIMITS = Limits(stale_after_s=4, queue_growth=1000)
"""Impatient, so that a test waits seconds; the others are as shipped."""
MACHINE = {"clock_unsynchronised"}
"""What the machine of the tests may be guilty of, and no server."""

pytestmark = pytest.mark.timeout(180)


class Plant:
    """The path from a fan into InfluxDB, its figures every second."""

    def __init__(self, folder: Path) -> None:
        self.volume = SmallVolume(folder / "influxdb", 200)
        self.site = Site(folder)
        self.broker = Mosquitto(self.site)
        self.influxdb = InfluxDB(self.site)
        self.inference = Inference(self.site)
        self.predictor = Predictor(self.broker, self.inference.url)
        self.telegraf = Telegraf(
            self.broker,
            self.influxdb,
            configuration=TELEGRAF_CONFIGURATION.read_text().replace('interval = "5s"', 'interval = "1s"', 1),
            metrics_urls={
                "predictor": f"{self.predictor.health_url}/metrics",
                "inference": f"{self.inference.url}/metrics",
            },
        )
        self.device = ProcessDevice(
            self.influxdb,
            self.broker,
            {
                "mosquitto": self.broker,
                "influxdb": self.influxdb,
                "inference": self.inference,
                "predictor": self.predictor,
                "telegraf": self.telegraf,
            },
            {"the disk of InfluxDB": folder / "influxdb"},
        )

    def facts(self) -> Facts:
        return gather(self.device, lambda: datetime.now(UTC), thorough=True)

    def codes(self) -> set[str]:
        return {each.code for each in find(self.facts(), LIMITS)} - MACHINE

    def wait_codes(self, *codes: str) -> None:
        wait_until(lambda: set(codes) <= self.codes(), within_s=60, what=f"{codes}, found: {self.codes()}")

    def wait_well(self, fan: Connection) -> None:
        """A reading, and then nothing is wrong any more."""

        def well() -> bool:
            fan.publish("fan/messages/1", reading("1", seq=1))
            return self.codes() == set()

        wait_until(well, within_s=60, what=f"a device that is well; found: {self.codes()}")


def retain_all(connection: Connection, topics: list[str], payload: str) -> None:
    """Makes a payload the last word on each topic; the empty one takes it away."""
    sent = [connection.client.publish(topic, payload, qos=1, retain=True) for topic in topics]
    for info in sent:
        info.wait_for_publish(60)
    connection.settle()


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    made = Plant(tmp_path_factory.mktemp("doctor"))
    with made.volume, made.influxdb:
        made.influxdb.prepare()
        with made.broker, made.inference, made.predictor, made.telegraf:
            yield made


@pytest.fixture
def fan(plant: Plant) -> Iterator[Connection]:
    with plant.broker.connect("simulator") as connection:
        plant.wait_well(connection)
        yield connection


def test_a_device_that_is_well_says_so_with_its_figures(plant: Plant, fan: Connection) -> None:
    facts = plant.facts()
    figures = facts.figures
    assert figures is not None
    assert figures.models == ("fan:1",)
    assert figures.inference_ready is True
    assert (figures.predictor_waiting, figures.dropped_last_hour, figures.write_refused) == (0, 0, "")
    assert figures.newest_verdict_age_s is not None
    assert figures.newest_verdict_age_s < 60
    assert figures.fans["1"] < 60
    assert facts.broker is not None
    text = status_text(facts, [])
    assert "model       fan:1" in text
    assert "\n  1 " in text


def test_while_influxdb_is_stopped_the_doctor_says_so_and_the_broker_still_answers(
    plant: Plant, fan: Connection
) -> None:
    plant.influxdb.stop()
    try:
        facts = plant.facts()
        findings = {each.code: each for each in find(facts, LIMITS)}
        assert {"service_down", "influxdb_away"} <= findings.keys()
        assert "InfluxDB cannot be reached" in findings["influxdb_away"].what
        assert "InfluxDB    not known" in status_text(facts, list(findings.values()))
        assert facts.broker is not None, "asked itself, not by way of InfluxDB"
    finally:
        plant.influxdb.start()


def test_while_the_predictor_is_stopped_the_queue_grows_and_no_verdict_is_fresh(
    plant: Plant, fan: Connection
) -> None:
    plant.predictor.stop()
    try:
        fan.publish_all([("fan/messages/1", reading("1", seq=seq)) for seq in range(1500)])
        plant.wait_codes("service_down", "queue_grows", "no_fresh_verdict")
        broker = plant.facts().broker
        assert broker is not None
        assert broker.waiting >= 1500
    finally:
        plant.predictor.start()


def test_retained_alarms_of_new_fans_are_no_queue_that_grows(plant: Plant, fan: Connection) -> None:
    before = plant.facts().broker
    assert before is not None
    with plant.broker.connect("monitor") as monitor:
        topics = [f"fan/alarms/new-{number}" for number in range(1500)]
        retain_all(monitor, topics, "{}")
        wait_until(
            lambda: (figures := plant.facts().figures) is not None and figures.retained_grown >= 1500,
            within_s=60,
            what="the retained alarms among the figures",
        )
        facts = plant.facts()
        assert facts.broker is not None
        # What waited of earlier tests may have been taken meanwhile.
        assert facts.broker.retained >= before.retained + 1500
        assert facts.broker.waiting <= before.waiting + 500
        assert "queue_grows" not in {each.code for each in find(facts, LIMITS)}
        assert facts.figures is not None
        taken_for_waiting = replace(
            facts,
            broker=replace(facts.broker, retained=0),
            figures=replace(
                facts.figures, retained_grown=0, queue_messages_before=facts.broker.messages - 1500
            ),
        )
        assert "queue_grows" in {each.code for each in find(taken_for_waiting, LIMITS)}
        retain_all(monitor, topics, "")


def test_on_a_full_disk_influxdb_refuses_writes_and_the_doctor_says_why(
    plant: Plant, fan: Connection
) -> None:
    plant.volume.fill(0.85)
    assert "disk_fills" in plant.codes()
    plant.volume.fill(1)
    try:
        plant.wait_codes("disk_full", "writes_refused")
        [refused] = [each for each in find(plant.facts(), LIMITS) if each.code == "writes_refused"]
        assert "no space left on device" in refused.what
    finally:
        plant.volume.make_room()
        plant.influxdb.restart()


def test_telegraf_that_stores_nothing_is_told_from_influxdb_that_refuses(
    plant: Plant, fan: Connection
) -> None:
    plant.telegraf.stop()
    try:
        plant.wait_codes("service_down", "no_fresh_verdict")
        assert "writes_refused" not in plant.codes()
        running = replace(
            plant.facts(), services=None
        )  # as where nobody can say whether Telegraf runs: it stores nothing all the same
        assert "nothing_stored" in {each.code for each in find(running, LIMITS)}
    finally:
        plant.telegraf.start()


def test_a_fan_that_stopped_talking_is_named_and_those_that_talk_are_not(
    plant: Plant, fan: Connection
) -> None:
    fan.publish("fan/messages/quiet", reading("quiet", now_ms() - timedelta(minutes=20), seq=1))
    plant.wait_codes("fan_silent")
    silent = [each.what for each in find(plant.facts(), LIMITS) if each.code == "fan_silent"]
    assert silent == ["nothing was heard of fan quiet for 20 minutes."]
    plant.influxdb.query('DROP SERIES FROM "telemetry" WHERE "deviceID" = \'quiet\'')


def test_readings_refused_for_their_time_and_a_clock_that_was_set_back_are_found(
    plant: Plant, fan: Connection
) -> None:
    fan.publish("fan/messages/1", reading("1", now_ms() + timedelta(hours=1), seq=1))
    plant.wait_codes("readings_refused_for_time")
    ahead = nanoseconds(datetime.now(UTC) + timedelta(hours=1))
    assert plant.influxdb.write([f"broker uptime=1 {ahead}"]).status_code == 204
    assert "clock_back" in plant.codes()
    plant.influxdb.query('DROP SERIES FROM "broker"')
    plant.influxdb.query('DROP SERIES FROM "service" WHERE "reason" = \'time_ahead\'')


def test_a_version_that_the_scoring_service_refused_is_found(plant: Plant, fan: Connection) -> None:
    """The counter is not there before it first counts: its first value is the finding."""
    long_ago, just_now = (datetime.now(UTC) - timedelta(seconds=s) for s in (7200, 30))
    figure = "fanwatch_inference_model_switches_total"
    for outcome, at, count in (("promoted", long_ago, 3), ("refused", just_now, 1)):
        line = f"service,service=inference,outcome={outcome} {figure}={count} {nanoseconds(at)}"
        assert plant.influxdb.write([line]).status_code == 204
    assert plant.codes() == {"model_refused"}
    plant.influxdb.query('DROP SERIES FROM "service" WHERE "outcome" = \'refused\'')


@pytest.mark.parametrize("thorough", [True, False], ids=["doctor", "status"])
def test_a_certificate_near_its_end_is_seen_where_devices_see_it(tmp_path: Path, thorough: bool) -> None:
    site = Site(tmp_path)
    port, pem = free_port(), tmp_path / "ends-soon.pem"
    pem.write_bytes(certificate(days=12))
    listener = f"\nlistener {port} 127.0.0.1\ncertfile {pem}\nkeyfile {pem}\n"
    with Mosquitto(site, CONFIGURATION.read_text() + listener) as broker:
        device = ProcessDevice(InfluxDB(site), broker, {"mosquitto": broker})
        device.ports = [("mosquitto", "127.0.0.1", port)]
        device.encrypted_port = port
        facts = gather(device, lambda: datetime.now(UTC), thorough=thorough)
        assert facts.certificate is not None
        assert facts.certificate.days_left == pytest.approx(12, abs=0.1)
        findings = {each.code: each for each in find(facts)}
        assert "expires in 12 days" in findings["certificate_expires"].what
        later = gather(device, lambda: datetime.now(UTC) + timedelta(days=15), thorough=thorough)
        assert "certificate_expired" in {each.code for each in find(later)}


def certificate(days: int) -> bytes:
    """Key and certificate that end so soon."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=700))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + made.public_bytes(serialization.Encoding.PEM)
