"""What the monitor tells of its alarms to who scrapes it, and when its health check says that they do not work."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from contract.topics import Topics
from monitor.alarms.database import StoreError
from monitor.alarms.figures import AlarmCollector
from monitor.alarms.outbox import JOURNAL, PUBLISH
from monitor.alarms.service import AlarmService
from monitor.alarms.settings import AlarmSettings
from monitor.clock import SystemClock
from monitor.login.settings import LoginSettings
from monitor.server import AllSettings, Monitor
from monitor.settings import MonitorSettings
from testbed.mosquitto import Mosquitto
from testbed.site import Site
from testbed.waiting import wait_until
from tests.alarms.own_session import own_session
from tests.alarms.plant_clock import FAULT, FLAT, SILENCE, WEAR, finding
from tests.monitor.still_clock import StillClock


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def monitor(tmp_path: Path, clock: StillClock) -> Iterator[Monitor]:
    """One that nobody has started: nothing is carried anywhere."""
    made = Monitor(
        AllSettings(
            MonitorSettings(),
            AlarmSettings(alarm_file=tmp_path / "alarms.sqlite3"),
            LoginSettings(account_file=tmp_path / "accounts.sqlite3", public_view=True),
        ),
        clock,
    )
    yield made
    made.stop()


def scraped(monitor: Monitor) -> dict[str, float]:
    """The alarms' metrics, by name and labels."""
    lines = monitor.app.test_client().get("/metrics").text.splitlines()
    told = [line.rsplit(" ", 1) for line in lines if line.startswith("fanwatch_monitor_")]
    return {name: float(value) for name, value in told}


def raise_all(monitor: Monitor, clock: StillClock) -> None:
    """A high, two medium and a low alarm."""
    monitor.alarms.desk.on_findings(
        [
            finding(clock, FAULT, device="1"),
            finding(clock, SILENCE, device="2"),
            finding(clock, WEAR, device="3"),
            finding(clock, FLAT, device="4"),
        ]
    )
    clock.advance(60)
    monitor.alarms.desk.tick()


def test_alarms_are_counted_by_priority_while_they_are_active_and_until_somebody_answers(
    monitor: Monitor, clock: StillClock
) -> None:
    raise_all(monitor, clock)
    told = scraped(monitor)
    for name in ("active", "unacknowledged"):
        assert told[f'fanwatch_monitor_alarms_{name}{{priority="high"}}'] == 1
        assert told[f'fanwatch_monitor_alarms_{name}{{priority="medium"}}'] == 2
        assert told[f'fanwatch_monitor_alarms_{name}{{priority="low"}}'] == 1
    high, medium = monitor.alarms.desk.active()[:2]
    assert high.alarm_id
    assert medium.alarm_id
    monitor.alarms.desk.acknowledge(high.alarm_id, "Anna")
    monitor.alarms.desk.take_out_of_service(medium.device_id, medium.kind, "Anna")
    told = scraped(monitor)
    assert told['fanwatch_monitor_alarms_active{priority="high"}'] == 1
    assert told['fanwatch_monitor_alarms_unacknowledged{priority="high"}'] == 0
    assert told['fanwatch_monitor_alarms_active{priority="medium"}'] == 1
    assert told["fanwatch_monitor_alarms_hidden"] == 1


def test_what_waits_to_go_out_is_counted_with_its_age(monitor: Monitor, clock: StillClock) -> None:
    assert scraped(monitor)['fanwatch_monitor_outbox_waiting{channel="publish"}'] == 0
    raise_all(monitor, clock)
    clock.advance(90)
    told = scraped(monitor)
    for channel in (PUBLISH, JOURNAL):
        assert told[f'fanwatch_monitor_outbox_waiting{{channel="{channel}"}}'] == 4
        # The silence was raised at once, a minute before the rest.
        assert told[f'fanwatch_monitor_outbox_oldest_seconds{{channel="{channel}"}}'] == 150


def test_the_alarms_do_not_work_while_the_disk_takes_no_commit(
    monitor: Monitor, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "complaint", lambda: None)  # nobody has started it
    registry = CollectorRegistry()
    registry.register(AlarmCollector(monitor.alarms.figures, monitor.complaint, lambda: 0))

    def told(name: str) -> float:
        lines = generate_latest(registry).decode().splitlines()
        [line] = [line for line in lines if line.startswith(f"{name} ")]
        return float(line.rsplit(" ", 1)[1])

    raise_all(monitor, clock)
    assert told("fanwatch_monitor_alarms_work") == 1
    database = monitor.alarms._database
    pages = database.run("PRAGMA page_count").fetchone()[0]
    database.run(f"PRAGMA max_page_count = {pages}")
    for failures in (1, 2):
        with pytest.raises(StoreError, match="full"):
            monitor.alarms.desk.on_findings([finding(clock, SILENCE, device=str(n)) for n in range(2000)])
        assert told("fanwatch_monitor_alarm_commit_failures_total") == failures
        assert told("fanwatch_monitor_alarms_work") == 0
    database.run("PRAGMA max_page_count = 1000000")
    monitor.alarms.desk.on_findings([finding(clock, SILENCE, device="last")])
    assert told("fanwatch_monitor_alarms_work") == 1
    assert told("fanwatch_monitor_alarm_commit_failures_total") == 2


def test_a_file_that_cannot_be_read_leaves_the_other_metrics(monitor: Monitor, clock: StillClock) -> None:
    raise_all(monitor, clock)
    path = monitor.alarms._path
    path.rename(path.with_suffix(".away"))
    told = scraped(monitor)
    assert told["fanwatch_monitor_alarms_work"] == 0
    assert "fanwatch_monitor_waiting" in told


def test_alarms_that_nobody_wakes_and_faults_that_nobody_explains_are_complaints(
    monitor: Monitor, clock: StillClock, new_site: Callable[[], Site]
) -> None:
    assert "wakes" in str(monitor.complaint())
    assert scraped(monitor)["fanwatch_monitor_alarms_work"] == 0
    with Mosquitto(new_site()) as broker, own_session(broker) as own:
        settings = AlarmSettings(alarm_file=monitor.alarms._path.with_name("other.sqlite3"))
        service = AlarmService(settings, Topics(), own, SystemClock())
        service.start()
        monitor.alarms = service
        assert "explains" in str(monitor.complaint())
        monitor.explainer.start()
        assert monitor.complaint() is None
        service._couriers[0].stop()
        assert "carries publish" in str(monitor.complaint())
        service.stop()


def test_the_health_check_tells_of_alarms_that_do_not_work(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor.subscriber, "complaint", lambda: None)
    answer = monitor.app.test_client().get("/health")
    assert (answer.status_code, "wakes the alarms" in answer.text) == (503, True)


def test_a_fault_that_the_scoring_service_does_not_explain_is_counted(
    monitor: Monitor, clock: StillClock
) -> None:
    # Its first words are made of the numbers alone, as the diagnosis makes them.
    first = monitor.explainer.explained(replace(finding(clock), reading=(430.0, 40.0, 231.0, 48.0)))
    monitor.explainer.explain(first, lambda *_: None)
    monitor.explainer.start()
    wait_until(
        lambda: scraped(monitor)["fanwatch_monitor_alarms_unexplained_total"] == 1,
        within_s=10,
        what="a count",
    )
