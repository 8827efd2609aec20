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

ALARM, QUIET = rule("fanwatch-alarm-high"), rule("fanwatch-fan-silent")
ALARMS_DOWN = rule("fanwatch-alarms-down")
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


def journal(influxdb: InfluxDB, fan: str, kind: str, lines: dict[int, tuple[int, int]]) -> None:
    """Lines of the journal of alarms: each whether it is unacknowledged from then on, and its priority."""
    fields = {s: f"unacknowledged={waits}.0,priority={priority}.0" for s, (waits, priority) in lines.items()}
    write(influxdb, f"alarm_journal,deviceID={fan},kind={kind}", fields)


class TestAlarmOfHighPriority:
    def test_an_alarm_that_nobody_has_answered_fires_however_long_ago_it_was_raised(
        self, influxdb: InfluxDB
    ) -> None:
        journal(influxdb, "new", "machine_fault", {-5: (1, 1)})
        journal(influxdb, "old", "machine_fault", {-20 * 86400: (1, 1)})
        outcome = evaluate(ALARM, influxdb)
        assert outcome.of(deviceID="new", kind="machine_fault") is True
        assert outcome.of(deviceID="old", kind="machine_fault") is True

    def test_it_ends_with_the_answer_or_with_the_cause(self, influxdb: InfluxDB) -> None:
        journal(influxdb, "answered", "machine_fault", {-60: (1, 1), -30: (0, 1)})
        assert evaluate(ALARM, influxdb).of(deviceID="answered", kind="machine_fault") is False

    def test_it_comes_again_with_the_alarm(self, influxdb: InfluxDB) -> None:
        journal(influxdb, "again", "machine_fault", {-60: (1, 1), -30: (0, 1), -10: (1, 1)})
        assert evaluate(ALARM, influxdb).of(deviceID="again", kind="machine_fault") is True

    def test_less_urgent_alarms_do_not_fire_and_hide_no_urgent_one(self, influxdb: InfluxDB) -> None:
        journal(influxdb, "worn", "wear", {-20: (1, 2)})
        journal(influxdb, "worn", "flat_line", {-10: (1, 3)})
        journal(influxdb, "worn", "machine_fault", {-30: (1, 1)})
        outcome = evaluate(ALARM, influxdb)
        assert [
            outcome.of(deviceID="worn", kind=kind) for kind in ("wear", "flat_line", "machine_fault")
        ] == [
            False,
            False,
            True,
        ]

    def test_without_alarms_there_is_nothing_to_say(self, influxdb: InfluxDB) -> None:
        verdicts(influxdb, "broken", dict.fromkeys(range(-120, AHEAD_S), 1))
        assert evaluate(ALARM, influxdb).firing == {}
        assert ALARM["noDataState"] == "OK"
        assert ALARM["execErrState"] == "KeepLast"

    def test_the_broken_fan_of_the_plant_fires_alone(self, plant: InfluxDB) -> None:
        outcome = evaluate(ALARM, plant)
        assert [dict(labels) for labels, fires in outcome.firing.items() if fires] == [
            {"deviceID": BROKEN, "kind": "machine_fault"}
        ]
        assert outcome.of(deviceID=HEALTHY, kind="machine_fault") is False, (
            "it was acknowledged and is mended"
        )


class TestAlarmsDoNotWork:
    @staticmethod
    def says(influxdb: InfluxDB, works: dict[int, int]) -> None:
        beats = {s: f"fanwatch_monitor_alarms_work={each}.0" for s, each in works.items()}
        write(influxdb, "service,service=monitor", beats)

    def test_it_fires_while_the_monitor_says_so(self, influxdb: InfluxDB) -> None:
        self.says(influxdb, {s: int(s < -2) for s in range(-300, AHEAD_S)})
        assert evaluate(ALARMS_DOWN, influxdb).of() is True

    def test_it_ends_when_they_work_again(self, influxdb: InfluxDB) -> None:
        self.says(influxdb, {s: int(s >= -2) for s in range(-300, AHEAD_S)})
        assert evaluate(ALARMS_DOWN, influxdb).of() is False

    def test_it_fires_when_the_monitor_says_nothing_any_more(self, influxdb: InfluxDB) -> None:
        self.says(influxdb, dict.fromkeys(range(-600, -120, 5), 1))
        assert evaluate(ALARMS_DOWN, influxdb).firing == {}
        assert ALARMS_DOWN["noDataState"] == "Alerting"

    def test_the_alarms_of_the_plant_work(self, plant: InfluxDB) -> None:
        assert evaluate(ALARMS_DOWN, plant).of() is False


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

    def test_messages_dropped_at_once_after_a_long_quiet_fire(self, influxdb: InfluxDB) -> None:
        # The broker tells a counter when it has changed: of this one nothing else is stored.
        dropped = {-86_400: "publish_messages_dropped=0.0", -100: "publish_messages_dropped=5.0"}
        write(influxdb, "broker", dropped)
        assert evaluate(DROPPED, influxdb).of() is True
        write(influxdb, "broker", {-90_000: "publish_messages_dropped=7.0"})
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

    def test_a_queue_that_stays_as_full_as_it_is_goes_on_firing(self, influxdb: InfluxDB) -> None:
        # The broker tells a figure when it has changed, and not again.
        write(influxdb, "broker", {-7200: "store_messages_count=200000.0,store_messages_bytes=9.0"})
        assert evaluate(QUEUE, influxdb).of() is True
        write(influxdb, "broker", {-3600: "store_messages_count=20.0,store_messages_bytes=9.0"})
        assert evaluate(QUEUE, influxdb).of() is False

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
