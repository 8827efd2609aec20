"""Every alert rule, on a real InfluxDB, with data on which it must fire and with data on which it must not.

Windows end when the query runs. So data that must be there then is written into the future as well, and data that must
not is kept well away from the edge: a slow machine changes no outcome.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from testbed.alert_rules import evaluate, rule
from testbed.influxdb import InfluxDB, nanoseconds
from testbed.process import REPOSITORY
from testbed.site import Site
from tests.grafana.plant import BROKEN, HEALTHY, ODD_NAME, SILENT

FAULT, QUIET = rule("fanwatch-fan-fault"), rule("fanwatch-fan-silent")
HEARTBEAT = rule("fanwatch-heartbeat")
DOWN, OFFLINE = rule("fanwatch-service-down"), rule("fanwatch-service-offline")
BROKER_AWAY, DROPPED = rule("fanwatch-broker-away"), rule("fanwatch-broker-dropped")
SEASON, SENSOR, OUTPUT = (rule(f"fanwatch-drift-{kind}") for kind in ("season", "sensor", "output"))
QUEUE, VOLUME = rule("fanwatch-broker-queue"), rule("fanwatch-broker-volume")

AHEAD_S = 200
HEARTBEATS = {
    "predictor": "fanwatch_predictor_pending_readings",
    "inference": "fanwatch_inference_ready",
    "monitor": "fanwatch_monitor_connected",
    "drift": "fanwatch_drift_connected",
    "history": "fanwatch_history_influxdb_answers",
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    """A database of this file alone: the rules look at everything there is."""
    with InfluxDB(Site(tmp_path_factory.mktemp("alerts"))) as server:
        server.prepare()
        yield server


@pytest.fixture
def influxdb(database: InfluxDB) -> InfluxDB:
    """That database, emptied."""
    database.query("DROP SERIES FROM /.*/")
    return database


def write(influxdb: InfluxDB, series: str, fields: dict[int, str]) -> None:
    """Writes points of one series; each at its number of seconds from now."""
    now = datetime.now(UTC)
    lines = [f"{series} {field} {nanoseconds(now + timedelta(seconds=s))}" for s, field in fields.items()]
    response = influxdb.write(lines)
    assert response.status_code == 204, response.text


def verdicts(influxdb: InfluxDB, fan: str, said: dict[int, int]) -> None:
    write(influxdb, f"anomaly,deviceID={fan}", {s: f"fault={fault}.0" for s, fault in said.items()})


def readings(influxdb: InfluxDB, fan: str, *seconds: int) -> None:
    write(influxdb, f"telemetry,deviceID={fan}", dict.fromkeys(seconds, "rotation=600.0"))


class TestFanAtFault:
    def test_a_broken_fan_fires_although_one_faulty_reading_in_eleven_looks_healthy(
        self, influxdb: InfluxDB
    ) -> None:
        verdicts(influxdb, "broken", {s: int(s % 11 != 0) for s in range(-120, AHEAD_S)})
        assert evaluate(FAULT, influxdb).of(deviceID="broken") is True

    def test_a_sound_fan_with_one_faulty_verdict_in_eleven_does_not(self, influxdb: InfluxDB) -> None:
        verdicts(influxdb, "sound", {s: int(s % 11 == 0) for s in range(-120, AHEAD_S)})
        assert evaluate(FAULT, influxdb).of(deviceID="sound") is False

    def test_twenty_seconds_of_fault_are_not_a_minute(self, influxdb: InfluxDB) -> None:
        verdicts(influxdb, "startled", {s: int(-20 <= s < 0) for s in range(-120, AHEAD_S)})
        assert evaluate(FAULT, influxdb).of(deviceID="startled") is False

    def test_the_first_two_verdicts_of_a_fan_are_not_a_minute(self, influxdb: InfluxDB) -> None:
        verdicts(influxdb, "new", {-2: 1, -1: 1})
        assert evaluate(FAULT, influxdb).of(deviceID="new") is False

    def test_a_fan_that_sends_every_fifteen_seconds_fires_too(self, influxdb: InfluxDB) -> None:
        verdicts(influxdb, "slow", dict.fromkeys(range(-120, AHEAD_S, 15), 1))
        assert evaluate(FAULT, influxdb).of(deviceID="slow") is True

    def test_each_fan_has_an_alert_of_its_own(self, influxdb: InfluxDB) -> None:
        verdicts(influxdb, "broken", dict.fromkeys(range(-120, AHEAD_S), 1))
        verdicts(influxdb, "sound", dict.fromkeys(range(-120, AHEAD_S), 0))
        outcome = evaluate(FAULT, influxdb)
        assert (outcome.of(deviceID="broken"), outcome.of(deviceID="sound")) == (True, False)

    def test_without_verdicts_nobody_is_mended_and_nobody_broken(self, influxdb: InfluxDB) -> None:
        verdicts(influxdb, "broken", dict.fromkeys(range(-600, -300), 1))
        assert evaluate(FAULT, influxdb).firing == {}
        assert FAULT["noDataState"] == "KeepLast"
        assert FAULT["missing_series_evals_to_resolve"] * 10 == 3600

    def test_the_broken_fan_of_the_plant_fires_alone(self, plant: InfluxDB) -> None:
        outcome = evaluate(FAULT, plant)
        assert outcome.of(deviceID=BROKEN) is True
        assert outcome.of(deviceID=HEALTHY) is False
        assert outcome.of(deviceID=ODD_NAME) is False


class TestFanSilent:
    def test_a_fan_that_stopped_a_minute_ago_fires(self, influxdb: InfluxDB) -> None:
        readings(influxdb, "gone", *range(-300, -60))
        assert evaluate(QUIET, influxdb).of(deviceID="gone") is True

    def test_a_fan_that_goes_on_does_not(self, influxdb: InfluxDB) -> None:
        readings(influxdb, "there", *range(-300, AHEAD_S))
        readings(influxdb, "slow", *range(-300, AHEAD_S, 20))
        outcome = evaluate(QUIET, influxdb)
        assert (outcome.of(deviceID="there"), outcome.of(deviceID="slow")) == (False, False)

    def test_a_fan_that_has_just_begun_does_not(self, influxdb: InfluxDB) -> None:
        readings(influxdb, "new", *range(-3, AHEAD_S))
        assert evaluate(QUIET, influxdb).of(deviceID="new") is False

    def test_a_fan_that_stopped_long_ago_is_out_of_service(self, influxdb: InfluxDB) -> None:
        readings(influxdb, "old", *range(-9000, -7200, 10))
        readings(influxdb, "there", *range(-300, AHEAD_S))
        assert evaluate(QUIET, influxdb).of(deviceID="old") is None

    def test_the_silent_fan_of_the_plant_fires_alone(self, plant: InfluxDB) -> None:
        outcome = evaluate(QUIET, plant)
        assert outcome.of(deviceID=SILENT) is True
        assert outcome.of(deviceID=HEALTHY) is False
        assert outcome.of(deviceID=BROKEN) is False


class TestHeartbeat:
    @staticmethod
    def ages(influxdb: InfluxDB, ages: dict[int, float]) -> None:
        field = "fanwatch_history_newest_verdict_age_seconds"
        write(influxdb, "service,service=history", {s: f"{field}={age}" for s, age in ages.items()})

    def test_verdicts_that_are_seconds_old_are_fresh(self, influxdb: InfluxDB) -> None:
        self.ages(influxdb, dict.fromkeys(range(-300, AHEAD_S, 5), 2.5))
        assert evaluate(HEARTBEAT, influxdb).of() is False

    def test_it_fires_when_the_newest_verdict_is_more_than_a_minute_old(self, influxdb: InfluxDB) -> None:
        self.ages(influxdb, {s: 300.0 + s for s in range(-300, AHEAD_S, 5)})
        assert evaluate(HEARTBEAT, influxdb).of() is True

    def test_it_ends_when_a_fresh_one_is_stored(self, influxdb: InfluxDB) -> None:
        self.ages(influxdb, {s: 3000.0 if s < -2 else 1.0 for s in range(-300, AHEAD_S)})
        assert evaluate(HEARTBEAT, influxdb).of() is False

    def test_it_fires_when_nobody_can_tell_because_nothing_was_ever_stored(self, influxdb: InfluxDB) -> None:
        assert evaluate(HEARTBEAT, influxdb).firing == {}
        assert HEARTBEAT["noDataState"] == "Alerting"

    def test_it_fires_when_nobody_can_tell_any_more(self, influxdb: InfluxDB) -> None:
        self.ages(influxdb, dict.fromkeys(range(-600, -120, 5), 2.5))
        assert evaluate(HEARTBEAT, influxdb).firing == {}

    def test_it_fires_when_there_are_verdicts_and_no_age_since_the_history_service_is_down(
        self, influxdb: InfluxDB
    ) -> None:
        verdicts(influxdb, "sound", dict.fromkeys(range(-120, AHEAD_S), 0))
        assert evaluate(HEARTBEAT, influxdb).firing == {}

    def test_it_fires_when_influxdb_cannot_be_asked(self) -> None:
        assert HEARTBEAT["execErrState"] == "Alerting"

    def test_the_plant_has_a_fresh_verdict(self, plant: InfluxDB) -> None:
        assert evaluate(HEARTBEAT, plant).of() is False


class TestServiceDown:
    @pytest.mark.parametrize("stopped", HEARTBEATS)
    def test_the_service_that_stopped_answering_fires_and_the_others_do_not(
        self, influxdb: InfluxDB, stopped: str
    ) -> None:
        for service, heartbeat in HEARTBEATS.items():
            end = -60 if service == stopped else AHEAD_S
            beats = dict.fromkeys(range(-300, end, 5), f"{heartbeat}=1.0")
            write(influxdb, f"service,service={service}", beats)
        outcome = evaluate(DOWN, influxdb)
        assert {service: outcome.of(service=service) for service in HEARTBEATS} == {
            service: service == stopped for service in HEARTBEATS
        }

    def test_no_figures_at_all_are_an_alert(self, influxdb: InfluxDB) -> None:
        assert evaluate(DOWN, influxdb).firing == {}
        assert DOWN["noDataState"] == "Alerting"

    def test_the_services_of_the_plant_answer(self, plant: InfluxDB) -> None:
        outcome = evaluate(DOWN, plant)
        assert [outcome.of(service=service) for service in HEARTBEATS] == [False] * len(HEARTBEATS)

    def test_a_last_will_fires_and_a_return_ends_it(self, influxdb: InfluxDB) -> None:
        for service in ("predictor", "monitor", "simulator"):
            write(influxdb, f"service,service={service}", {-86400: "online=1.0", -300: "online=0.0"})
        write(influxdb, "service,service=monitor", {-290: "online=1.0"})
        outcome = evaluate(OFFLINE, influxdb)
        assert (outcome.of(service="predictor"), outcome.of(service="monitor")) == (True, False)
        assert outcome.of(service="simulator") is None, "it is there to be stopped"


def flags(influxdb: InfluxDB, series: str, field: str, value: int) -> None:
    beats = dict.fromkeys(range(-60, AHEAD_S, 5), f"{field}={value}.0")
    write(influxdb, f"service,service=drift,{series}", beats)


class TestDrift:
    def test_a_season_fires_for_its_signal_alone(self, influxdb: InfluxDB) -> None:
        flags(influxdb, "signal=temperature", "fanwatch_drift_season", 1)
        flags(influxdb, "signal=sound", "fanwatch_drift_season", 0)
        outcome = evaluate(SEASON, influxdb)
        assert (outcome.of(signal="temperature"), outcome.of(signal="sound")) == (True, False)
        assert evaluate(SENSOR, influxdb).firing == {}

    def test_a_sensor_fires_with_its_fan_and_a_machine_does_not(self, influxdb: InfluxDB) -> None:
        flags(influxdb, "kind=sensor,deviceID=5,signals=sound", "fanwatch_drift_device_flagged", 1)
        flags(influxdb, "kind=machine,deviceID=6,signals=rotation+sound", "fanwatch_drift_device_flagged", 1)
        assert evaluate(SENSOR, influxdb).firing == {(("deviceID", "5"), ("signals", "sound")): True}
        assert evaluate(SEASON, influxdb).firing == {}

    @pytest.mark.parametrize("flagged", [0, 1])
    def test_an_output_fires_while_its_flag_is_up(self, influxdb: InfluxDB, flagged: int) -> None:
        flags(influxdb, "kind=output", "fanwatch_drift_flagged", flagged)
        flags(influxdb, "kind=machine", "fanwatch_drift_flagged", 1)
        assert evaluate(OUTPUT, influxdb).firing == {(): bool(flagged)}

    def test_a_flag_of_a_minute_ago_fires_no_more_and_silence_is_no_drift(self, influxdb: InfluxDB) -> None:
        old = dict.fromkeys(range(-300, -60, 5), "fanwatch_drift_season=1.0")
        write(influxdb, "service,service=drift,signal=sound", old)
        for rule_of_drift in (SEASON, SENSOR, OUTPUT):
            assert evaluate(rule_of_drift, influxdb).firing == {}
            assert rule_of_drift["noDataState"] == "OK"

    def test_in_the_plant_one_sensor_has_drifted(self, plant: InfluxDB) -> None:
        firing = evaluate(SENSOR, plant).firing
        assert firing == {(("deviceID", ODD_NAME), ("signals", "temperature")): True}
        assert not any(evaluate(SEASON, plant).firing.values())


class TestBroker:
    @pytest.mark.parametrize(
        ("predictor", "monitor", "away"),
        [(0, 0, True), (0, 1, False), (1, 0, False), (1, 1, False), (None, 0, True), (None, 1, False)],
    )
    def test_it_is_away_when_no_service_that_answers_is_connected(
        self, influxdb: InfluxDB, predictor: int | None, monitor: int | None, away: bool
    ) -> None:
        for service, connected in (("predictor", predictor), ("monitor", monitor)):
            if connected is not None:
                beats = dict.fromkeys(range(-120, AHEAD_S, 5), f"fanwatch_{service}_connected={connected}.0")
                write(influxdb, f"service,service={service}", beats)
        assert evaluate(BROKER_AWAY, influxdb).of() is away

    def test_that_no_service_answers_says_nothing_of_the_broker(self, influxdb: InfluxDB) -> None:
        write(influxdb, "service,service=predictor", {-120: "fanwatch_predictor_connected=0.0"})
        assert evaluate(BROKER_AWAY, influxdb).firing == {}
        assert BROKER_AWAY["noDataState"] == "OK"

    def test_the_broker_of_the_plant_is_there(self, plant: InfluxDB) -> None:
        assert evaluate(BROKER_AWAY, plant).of() is False

    def test_dropped_messages_fire(self, influxdb: InfluxDB) -> None:
        counter = {s: f"publish_messages_dropped={0 if s < -100 else 5}.0" for s in range(-300, AHEAD_S, 5)}
        write(influxdb, "broker", counter)
        assert evaluate(DROPPED, influxdb).of() is True

    def test_what_was_dropped_before_and_a_restart_of_the_broker_do_not(self, influxdb: InfluxDB) -> None:
        counter = {s: f"publish_messages_dropped={5 if s < -100 else 0}.0" for s in range(-300, AHEAD_S, 5)}
        write(influxdb, "broker", counter)
        assert evaluate(DROPPED, influxdb).of() is False

    @pytest.mark.parametrize(
        ("messages", "megabytes", "fires"),
        [(99_000, 20, False), (101_000, 20, True), (50, 99, False), (50, 110, True), (0, 0, False)],
    )
    def test_a_queue_that_may_be_half_full_in_messages_or_in_bytes_fires(
        self, influxdb: InfluxDB, messages: int, megabytes: int, fires: bool
    ) -> None:
        field = f"store_messages_count={messages}.0,store_messages_bytes={megabytes * 1024 * 1024}.0"
        write(influxdb, "broker", dict.fromkeys(range(-50, AHEAD_S, 5), field))
        assert evaluate(QUEUE, influxdb).of() is fires

    def test_the_limits_of_the_queue_are_the_brokers_own(self) -> None:
        lines = (REPOSITORY / "mosquitto" / "mosquitto.conf").read_text().splitlines()
        limits = [line.split()[1] for line in lines if line.startswith("max_queued_")]
        assert len(limits) == 2
        assert all(f"/ {limit} AS" in QUEUE["data"][0]["model"]["query"] for limit in limits)

    @pytest.mark.parametrize(("percent", "fires"), [(79.5, False), (80.5, True)])
    def test_a_volume_that_is_more_than_four_fifths_full_fires(
        self, influxdb: InfluxDB, percent: float, fires: bool
    ) -> None:
        used = dict.fromkeys(range(-50, AHEAD_S, 5), f"used_percent={percent}")
        write(influxdb, "disk,volume=broker", used)
        assert evaluate(VOLUME, influxdb).of(volume="broker") is fires
