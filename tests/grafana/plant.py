"""A plant whose data has come the real way: broker, Telegraf, InfluxDB; with a past of its services written beside it.

Readings and verdicts carry times of the last minutes and hours, so their past comes the real way too. What Telegraf
asks of services and broker is always of now: one real answer of each is stored, and written again at earlier times with
smaller counters, so that the shape is Telegraf's and the tests need not run for a quarter of an hour.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, start_http_server

from contract.alarm import AlarmPriority
from contract.rejection import Reason
from contract.topics import Topics
from contract.verdict import Verdict
from drift.following import Follower
from drift.metrics import DriftMetrics
from drift.trained import read_trained
from drift.watch import WatchLimits
from edge_manager.history.heartbeat import Heartbeat
from edge_manager.history.metrics import HistoryMetrics
from edge_manager.influxdb import InfluxDB as InfluxDBConnection
from edge_manager.statements import fill_in, read_statements
from inference.metrics import InferenceMetrics
from monitor.alarms.database import AlarmDatabase
from monitor.alarms.desk import AlarmDesk
from monitor.alarms.figures import AlarmCollector, AlarmFigures, Counts, Waiting
from monitor.alarms.outbox import JOURNAL, PUBLISH, Outbox
from monitor.alarms.policy import AlarmPolicy, Rule
from monitor.clock import HeldClock, SystemClock
from monitor.findings import Finding, FindingKind
from monitor.fleet import Fleet, FleetLimits
from monitor.metrics import MonitorMetrics
from predictor.metrics import PredictorMetrics
from testbed.influxdb import SCHEMA, InfluxDB, nanoseconds
from testbed.mosquitto import Mosquitto
from testbed.ports import free_port
from testbed.process import REPOSITORY
from testbed.readings import reading, verdict
from testbed.site import Site
from testbed.telegraf import Telegraf
from testbed.waiting import wait_until
from training.fan import HEALTHY as HEALTHY_FANS

HEALTHY, BROKEN, SILENT, ODD_NAME = "1", "5", "3", "hall-2.fan_6"
SIMILAR_NAME = "hall-2xfan_6"
"""What the dot of the odd name would match as well, were it not escaped."""
FANS = (HEALTHY, SILENT, BROKEN, ODD_NAME, SIMILAR_NAME)
LOSSY_SEQS = (0, 7, 4, 4, 5)
"""What the monitor heard of the fan with the odd name: four are missing, two came late, one came twice."""

MINUTES_AGO = 20
STEP = timedelta(seconds=2)
AHEAD = timedelta(minutes=3)
"""Readings reach a little into the future, so that a slow test still finds some in the last seconds."""
BREAKS_AGO = timedelta(minutes=5)
FALLS_SILENT_AGO = timedelta(minutes=2)
HOURS_AGO = 3
CHATTERS_AGO = timedelta(minutes=30)
CHATTERS = 5
"""So many times spikes came and went within the minute."""
MENDED_AGO = timedelta(days=2)
STANDS_FOR = timedelta(hours=26)
WAITING_CALLS, OLDEST_CALL_S = 3, 40.0

PAST_STEP_S = 5
PAST_STEPS = 200
IDLE_STEPS = 24
"""The predictor has had nothing to do for the last two minutes."""


@contextmanager
def running_plant(site: Site) -> Iterator[InfluxDB]:
    """The database of the plant, filled; its servers run as long as the block."""
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(site))
        database = stack.enter_context(InfluxDB(site))
        database.prepare()
        now = datetime.now(UTC)
        password = database.site.influxdb_password("history")
        # Its clock stands still, so that a slow run makes nothing older.
        heartbeat = Heartbeat(InfluxDBConnection(database.url, "history", password), lambda: now)
        urls = {name: _serve(registry, stack) for name, registry in _registries(heartbeat).items()}
        stack.enter_context(Telegraf(broker, database, metrics_urls=urls))
        _publish_statuses(broker)
        count = _publish_readings(broker, now)
        for measurement in ("telemetry", "anomaly"):
            _wait_stored(database, measurement, count)
        for measurement, count in _publish_alarms(broker, now).items():
            _wait_stored(database, measurement, count)
        heartbeat.look()
        _wait_services_and_broker(database)
        for measurement in ("service", "broker"):
            _write_the_past(database, measurement, now)
        _fill_history(database, now)
        yield database


def _registries(heartbeat: Heartbeat) -> dict[str, CollectorRegistry]:
    """The services' own metrics, so that a renamed one is found here and not by a dark panel."""
    predictor = PredictorMetrics()
    predictor.received.inc(10_000)
    predictor.verdicts.inc(9_900)
    predictor.rejected.labels(reason=Reason.OUT_OF_RANGE).inc(60)
    predictor.rejected.labels(reason=Reason.NOT_A_READING).inc(40)
    predictor.scoring_failures.inc(20)
    predictor.pending.set(12)
    predictor.connected.set(1)
    for seconds, times in ((0.03, 600), (0.08, 350), (0.4, 50)):
        for _ in range(times):
            predictor.reading_to_verdict.observe(seconds)
    for _ in range(500):
        predictor.scoring_seconds.observe(0.02)
        predictor.batch_readings.observe(20)
    inference = InferenceMetrics()
    inference.ready.set(1)
    fleet = Fleet(SystemClock(), FleetLimits())
    for fan in FANS:
        for seq in LOSSY_SEQS if fan == ODD_NAME else range(3):
            said = verdict(fan, datetime.now(UTC), seq=seq, bootID="b")
            fleet.take_verdict(Verdict.from_json(said.encode()))
    monitor = MonitorMetrics(fleet, lambda: 0.0)
    monitor.connected.set(1)
    figures = AlarmFigures(
        Counts({AlarmPriority.HIGH: 1, AlarmPriority.MEDIUM: 2}, {AlarmPriority.HIGH: 1}, hidden=1),
        {PUBLISH: Waiting(0, 0.0), "notify:0": Waiting(WAITING_CALLS, OLDEST_CALL_S)},
        commit_failures=0,
        takes_commits=True,
    )
    monitor.registry.register(AlarmCollector(lambda: figures, lambda: None, lambda: 0))
    return {
        "predictor": predictor.registry,
        "inference": inference._registry,
        "monitor": monitor.registry,
        "drift": DriftMetrics(_stuck_sensor()).registry,
        "history": HistoryMetrics(heartbeat).registry,
    }


def _stuck_sensor() -> Follower:
    """What a drift watch knows when the temperature of one fan stands still."""
    follower = Follower("fan", partial(read_trained, REPOSITORY / "models"), WatchLimits(), lambda: 0.0)
    random = np.random.default_rng(1)
    now = datetime.now(UTC)
    for row in np.round(random.uniform(HEALTHY_FANS.low, HEALTHY_FANS.high, (300, len(FANS), 4)), 1).tolist():
        for fan, (rotation, temperature, vibration, sound) in zip(FANS, row, strict=True):
            signals = {
                "rotation": rotation,
                "temperature": 40.0 if fan == ODD_NAME else temperature,
                "vibration": vibration,
                "sound": sound,
            }
            said = verdict(fan, now, fault=0, probability=0.1, model="fan:1", **signals)
            follower.take(Verdict.from_json(said.encode()))
    return follower


def _serve(registry: CollectorRegistry, stack: ExitStack) -> str:
    port = free_port()
    server, thread = start_http_server(port, "127.0.0.1", registry)
    stack.callback(thread.join)
    stack.callback(server.server_close)
    stack.callback(server.shutdown)
    return f"http://127.0.0.1:{port}/metrics"


def _publish_statuses(broker: Mosquitto) -> None:
    for service in ("predictor", "monitor", "simulator"):
        with broker.connect(service) as connection:
            connection.publish(f"fan/status/{service}", '{"status":"online"}', retain=True)


def _publish_readings(broker: Mosquitto, now: datetime) -> int:
    """Publishes readings and their verdicts; the number of each."""
    minutes = timedelta(minutes=MINUTES_AGO)
    moments = [now - minutes + STEP * n for n in range(int((minutes + AHEAD) / STEP))]
    earlier = [now - timedelta(minutes=m) for m in range(MINUTES_AGO + 1, HOURS_AGO * 60)]
    readings: list[tuple[str, bytes | str]] = []
    verdicts: list[tuple[str, bytes | str]] = []
    for fan in FANS:
        for seq, at in enumerate([*reversed(earlier), *moments]):
            if fan == SILENT and at > now - FALLS_SILENT_AGO:
                continue
            # One faulty reading in eleven looks healthy, and a healthy one in three hundred faulty.
            broken = fan == BROKEN and at > now - BREAKS_AGO
            fault = int(seq % 11 != 0) if broken else int(seq % 300 == 299)
            signals = {"rotation": 460.0 if broken else 600.0, "temperature": 40.5, "sound": 48.5, "seq": seq}
            said = {"fault": fault, "probability": 0.96 if fault else 0.04}
            readings.append((f"fan/messages/{fan}", reading(fan, at, **signals)))
            verdicts.append((f"fan/anomaly/{fan}", verdict(fan, at, **signals, **said)))
    with broker.connect("simulator") as simulator:
        simulator.publish_all(readings)
    with broker.connect("predictor") as predictor:
        predictor.publish_all(verdicts)
    return len(readings)


def _publish_alarms(broker: Mosquitto, now: datetime) -> dict[str, int]:
    """Publishes what a desk makes of the plant's story, as the monitor does; how many points each measurement gets."""
    clock = HeldClock(SystemClock())
    sensor = Rule(AlarmPriority.LOW)
    rules = dict(AlarmPolicy().rules) | {
        FindingKind.SPIKES: sensor,
        FindingKind.WEAR: replace(sensor, priority=AlarmPriority.MEDIUM),
        FindingKind.MACHINE_FAULT: replace(sensor, priority=AlarmPriority.HIGH),
    }
    second = timedelta(seconds=1)
    spiky = now.replace(second=0) - CHATTERS_AGO
    wear, fault, spikes = FindingKind.WEAR, FindingKind.MACHINE_FAULT, FindingKind.SPIKES
    story = [
        *(
            (HEALTHY, fault, present, now - ago)
            for present, ago in ((True, MENDED_AGO), (False, MENDED_AGO / 2))
        ),
        (SIMILAR_NAME, wear, True, now - STANDS_FOR),
        *((ODD_NAME, spikes, n % 2 == 0, spiky + n * 5 * second) for n in range(2 * CHATTERS)),
        (BROKEN, wear, True, now - 2 * BREAKS_AGO),
        (BROKEN, fault, True, now - BREAKS_AGO),
        (SILENT, FindingKind.SILENCE, True, now - FALLS_SILENT_AGO),
    ]
    with AlarmDatabase(broker.site.folder / "alarms.sqlite3") as file:
        desk = AlarmDesk(file, AlarmPolicy(rules=rules), clock)
        for fan, kind, present, at in sorted(story, key=lambda each: each[3]):
            clock.hold(at.timestamp())
            desk.on_findings([Finding(fan, kind, present, at, f"{kind.value} of {fan}", "look at it")])
            if (fan, present) in {(HEALTHY, True), (SILENT, True)}:
                [alarm_id] = [alarm.alarm_id for alarm in desk.active() if alarm.device_id == fan]
                desk.acknowledge(alarm_id or 0, "Anna")
        out = Outbox(file)
        topics, counts = Topics(), {"alarm": out.waiting(PUBLISH), "alarm_journal": out.waiting(JOURNAL)}
        with broker.connect("monitor") as monitor:
            for channel, topic_of in ((PUBLISH, topics.alarm_of), (JOURNAL, topics.alarm_journal_of)):
                said = out.due(channel, now, 1000)
                monitor.publish_all([(topic_of(each.device_id), each.body) for each in said])
    return counts


def _wait_stored(database: InfluxDB, measurement: str, count: int) -> None:
    def stored() -> bool:
        rows = database.query(f'SELECT count("seq") FROM "{measurement}"')
        return bool(rows) and rows[0]["count"] >= count

    wait_until(stored, within_s=60, what=f"{count} points of {measurement}")


def _wait_known(database: InfluxDB, measurement: str, field: str) -> None:
    statement = f'SELECT last("{field}") FROM "{measurement}"'
    wait_until(lambda: database.query(statement), within_s=60, what=f"{field} in {measurement}")


def _wait_services_and_broker(database: InfluxDB) -> None:
    wanted: Sequence[tuple[str, str]] = (
        ("service", "fanwatch_predictor_pending_readings"),
        ("service", "fanwatch_monitor_connected"),
        ("service", "fanwatch_inference_ready"),
        ("service", "fanwatch_drift_device_flagged"),
        ("service", "fanwatch_history_newest_verdict_age_seconds"),
        ("service", "fanwatch_monitor_alarms_work"),
        ("service", "online"),
        ("broker", "uptime"),
        ("broker", "publish_messages_dropped"),
        ("broker", "clients_active"),
        ("broker", "store_messages_count"),
        ("broker", "load_publish_received_1min"),
        ("broker", "load_publish_sent_1min"),
        ("broker", "load_publish_dropped_1min"),
    )
    for measurement, field in wanted:
        _wait_known(database, measurement, field)


def _write_the_past(database: InfluxDB, measurement: str, now: datetime) -> None:
    newest: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for row in database.query(f'SELECT * FROM "{measurement}"'):
        tags = tuple(
            sorted((key, value) for key, value in row.items() if isinstance(value, str) and key != "name")
        )
        fields = {
            key: float(value)
            for key, value in row.items()
            if isinstance(value, int | float) and key not in {"time", "online"}
        }
        newest.setdefault(tags, {}).update(fields)
    lines = []
    for back in range(1, PAST_STEPS):
        time = nanoseconds(now - timedelta(seconds=back * PAST_STEP_S))
        part = min(1, 1 - (back - IDLE_STEPS) / PAST_STEPS)
        for tags, fields in newest.items():
            if fields:
                key = ",".join([measurement, *(f"{name}={value}" for name, value in tags)])
                lines.append(f"{key} {','.join(f'{n}={v * part}' for n, v in fields.items())} {time}")
    response = database.write(lines)
    assert response.status_code == 204, response.text


def _fill_history(database: InfluxDB, now: datetime) -> None:
    hour = now.replace(minute=0, second=0, microsecond=0)
    stretch: dict[str, Any] = {
        "from": (hour - timedelta(hours=HOURS_AGO)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "to": hour.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    for statement in read_statements((SCHEMA / "backfill.influxql").read_text()):
        database.query(fill_in(statement, stretch))
