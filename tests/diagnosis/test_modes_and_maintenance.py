from datetime import UTC, datetime, timedelta

import pytest

from contract.command import Condition
from monitor.diagnosis.mode import Mode
from monitor.diagnosis.plant import Maintenance, Plant
from monitor.findings import FindingKind
from tests.diagnosis.told import Told, Values, changes

STANDING: Values = (0.0, 36.0, 0.0, 30.0)
SEIZED: Values = (0.0, 55.0, 0.0, 60.0)


def run_down(steps: int = 4) -> list[Values]:
    """A fan that was switched off: ever slower, cooler and quieter."""
    return [(700.0 - 700 * i / steps, 40.0, 150 - 140 * i / steps, 48.0 - i) for i in range(1, steps + 1)]


def test_a_planned_stop_is_no_alarm_however_long_it_lasts() -> None:
    told = Told()
    told.run(Condition.HEALTHY, 30)
    told.tell_all(run_down())
    told.tell_all([STANDING] * 500)
    assert told.status().mode is Mode.STOPPED
    told.tell_all(run_down()[::-1])
    told.run(Condition.HEALTHY, 30)
    assert told.status().mode is Mode.RUNNING
    assert told.found == []


def test_a_stopped_fan_whose_sensors_were_switched_off_with_it_is_not_silent() -> None:
    told = Told()
    told.run(Condition.HEALTHY, 30)
    told.tell_all([STANDING] * 5)
    assert told.wait(3600) == []


def test_a_fan_that_stands_still_hot_and_loud_is_stuck() -> None:
    told = Told()
    told.run(Condition.HEALTHY, 30)
    assert changes(told.tell_all([SEIZED] * 10)) == [(FindingKind.MACHINE_FAULT, True)]
    assert told.found[0].why.startswith("Rotation 0 r/min")


def test_a_fault_outlives_a_stop() -> None:
    told = Told()
    told.run(Condition.FAULTY, 20)
    told.tell_all([STANDING] * 100)
    assert told.status().standing == {FindingKind.MACHINE_FAULT}
    assert changes(told.run(Condition.FAULTY, 50)) == []


@pytest.mark.parametrize("readings", [1, 2])
def test_fewer_readings_than_the_debounce_change_no_mode_and_are_no_evidence(readings: int) -> None:
    told = Told()
    for _ in range(20):
        told.run(Condition.HEALTHY, 10)
        told.tell_all([STANDING] * readings)
        assert told.status().mode is Mode.RUNNING
    assert told.found == []


def test_a_fan_that_does_not_come_up_to_speed_becomes_a_fault_after_its_time_to_start() -> None:
    told = Told()
    told.tell_all([STANDING] * 10)
    started = now_of(told)
    found = told.tell_all(
        (200.0 + n % 9, 41.0 + n % 7 / 10, 120.0 + n % 5, 47.0 + n % 3 / 10) for n in range(60)
    )
    assert changes(found) == [(FindingKind.MACHINE_FAULT, True)]
    assert started + timedelta(seconds=60) <= found[0].at <= started + timedelta(seconds=80)


def now_of(told: Told) -> datetime:
    return datetime.fromtimestamp(told.clock.now(), UTC)


def maintained(window: Maintenance) -> Told:
    return Told(plant=Plant.read().model_copy(update={"maintenance": (window,)}))


def test_in_maintenance_nothing_of_the_fan_is_an_alarm_and_of_others_all() -> None:
    start = now_of(Told())
    told = maintained(
        Maintenance.model_validate({"device": "1", "from": start, "to": start + timedelta(hours=1)})
    )
    told.run(Condition.FAULTY, 100, fan="1")
    told.wait(600)
    assert [finding for finding in told.found if finding.device_id == "1"] == []
    assert told.status("1").in_maintenance
    assert changes(told.run(Condition.FAULTY, 20, fan="2")) == [(FindingKind.MACHINE_FAULT, True)]


def test_after_maintenance_a_fault_is_seen_from_new_readings_alone() -> None:
    start = now_of(Told())
    told = maintained(
        Maintenance.model_validate({"device": "*", "from": start, "to": start + timedelta(minutes=2)})
    )
    told.run(Condition.FAULTY, 59)
    assert told.found == []
    found = told.run(Condition.FAULTY, 20)
    assert changes(found) == [(FindingKind.MACHINE_FAULT, True)]
    assert found[0].at >= start + timedelta(minutes=2)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-22T00:59:59+00:00", False),  # a Sunday; Berlin is an hour ahead in winter
        ("2026-11-22T01:00:00+00:00", True),
        ("2026-11-22T04:59:59+00:00", True),
        ("2026-11-22T05:00:00+00:00", False),
        ("2026-07-05T00:00:00+00:00", True),  # and two in summer
        ("2026-11-23T02:00:00+00:00", False),
    ],
)
def test_a_weekly_window_follows_local_time(moment: str, expected: bool) -> None:
    window = Maintenance.model_validate(
        {"device": "*", "weekday": "sunday", "at": "02:00:00", "hours": 4, "zone": "Europe/Berlin"}
    )
    assert window.covers(datetime.fromisoformat(moment).timestamp()) is expected
