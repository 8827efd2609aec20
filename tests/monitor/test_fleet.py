import dataclasses
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.rejection import Reason
from contract.verdict import Verdict
from monitor.condition import UNKNOWN, Condition, State
from monitor.findings import FindingKind
from monitor.fleet import DeviceView, Fleet, FleetLimits
from monitor.loss_ledger import Arrival
from tests.monitor.made_verdicts import rejection, verdict
from tests.monitor.still_clock import StillClock

LIMITS = FleetLimits(window_points=50, max_devices=20)


def new_fleet(limits: FleetLimits = LIMITS) -> tuple[Fleet, StillClock]:
    clock = StillClock()
    return Fleet(clock, limits), clock


def only(fleet: Fleet, after: int = 0) -> DeviceView:
    [device] = fleet.view(after).devices
    return device


def state_of(fleet: Fleet, device_id: str) -> State:
    [device] = fleet.view_of(device_id).devices
    return device.condition.state


HEALTHY = Condition(State.HEALTHY)
FAULT = Condition(State.FAULT, frozenset({FindingKind.MACHINE_FAULT}))
SILENT_FAULT = Condition(State.FAULT, FAULT.standing | {FindingKind.SILENCE})


def test_verdicts_alone_decide_nothing() -> None:
    fleet, clock = new_fleet()
    for second in range(20):
        fleet.take_verdict(verdict(at=clock.now() + second, seq=second, fault=1))
    device = only(fleet)
    assert (device.device_id, device.condition, device.model) == ("1", UNKNOWN, "fan:3")
    assert device.newest is not None
    assert dict(zip(device.newest.names, device.newest.values, strict=True))["rotation"] == 430.0


def test_a_device_is_in_the_condition_that_the_diagnosis_tells_since_it_told_it() -> None:
    fleet, clock = new_fleet()
    fleet.take_verdict(verdict(at=clock.now()))
    told = []
    for condition in (HEALTHY, HEALTHY, FAULT, SILENT_FAULT, HEALTHY):
        clock.advance(5)
        fleet.take_conditions({"1": condition})
        told.append((only(fleet).condition, clock.now() - (only(fleet).since or 0)))
    # The fault goes on when the fan falls silent as well.
    assert told == [(HEALTHY, 0), (HEALTHY, 5), (FAULT, 0), (SILENT_FAULT, 5), (HEALTHY, 0)]
    assert fleet.counts() == dict.fromkeys(State, 0) | {State.HEALTHY: 1}


def test_the_same_condition_again_is_no_news() -> None:
    fleet, clock = new_fleet()
    fleet.take_verdict(verdict(at=clock.now()))
    fleet.take_conditions({"1": HEALTHY})
    cursor = fleet.view().cursor
    fleet.take_conditions({"1": HEALTHY})
    assert fleet.view(cursor).devices == ()
    fleet.take_conditions({"1": FAULT})
    assert only(fleet, cursor).points == ()


def test_the_condition_of_a_device_that_is_not_kept_makes_no_device() -> None:
    fleet, _ = new_fleet()
    fleet.take_conditions({"gone": FAULT})
    assert fleet.view().total == 0


def test_what_the_last_run_knew_is_shown_before_it_is_heard() -> None:
    fleet, clock = new_fleet()
    fleet.take_verdict(verdict("quick", at=clock.now()))
    fleet.recall({"5": FAULT, "quick": HEALTHY})
    five = fleet.view_of("5").devices[0]
    assert (five.condition, five.since, five.contact_age_s, five.newest) == (FAULT, None, None, None)
    assert state_of(fleet, "quick") is State.HEALTHY
    fleet.take_verdict(verdict("5", at=clock.now()))
    fleet.take_conditions({"5": FAULT})
    five = fleet.view_of("5").devices[0]
    assert (five.condition, five.since, five.contact_age_s) == (FAULT, None, 0)


def test_what_the_last_run_knew_pushes_nobody_out() -> None:
    fleet, clock = new_fleet(dataclasses.replace(LIMITS, max_devices=3))
    fleet.take_verdict(verdict("heard", at=clock.now()))
    fleet.recall({str(number): HEALTHY for number in range(10)})
    assert {device.device_id for device in fleet.view().devices} == {"heard", "0", "1"}
    assert fleet.evicted == 0


def test_an_older_verdict_never_takes_the_place_of_a_newer_one() -> None:
    fleet, clock = new_fleet()
    for second in range(10):
        fleet.take_verdict(verdict(at=clock.now() - 10 + second, seq=second))
    newest = only(fleet).newest
    fleet.take_verdict(verdict(at=clock.now() - 3600, seq=99, fault=1))
    assert only(fleet).newest == newest


def test_a_late_verdict_is_filed_where_it_belongs() -> None:
    fleet, clock = new_fleet()
    start = clock.now() - 10
    for second in (0, 2, 1):
        fleet.take_verdict(verdict(at=start + second, seq=second))
    assert [point.at - start for point in only(fleet).points] == [0, 1, 2]


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)))
def test_the_order_of_arrival_changes_nothing(order: list[int], faults: set[int]) -> None:
    views = []
    for arrivals in (sorted(order), order):
        fleet, clock = new_fleet()
        for second in arrivals:
            fleet.take_verdict(
                verdict(at=clock.now() - 20 + second, seq=second, fault=1 if second in faults else 0)
            )
        device = only(fleet)
        views.append([(point.at, point.fault) for point in device.points])
    assert views[0] == views[1]


def test_a_redelivered_verdict_changes_nothing_but_the_contact() -> None:
    fleet, clock = new_fleet()
    again = verdict(at=clock.now(), seq=7)
    fleet.take_verdict(again)
    clock.advance(5)
    fleet.take_verdict(again)
    assert len(only(fleet).points) == 1
    assert only(fleet).contact_age_s == 0


def test_the_time_since_the_last_contact_is_time_that_passes_and_no_clock_that_is_set() -> None:
    fleet, clock = new_fleet()
    fleet.take_verdict(verdict(at=clock.now()))
    clock.advance(11)
    clock.set_wall(86400)
    assert only(fleet).contact_age_s == 11


def test_a_device_whose_readings_are_all_refused_has_a_reason() -> None:
    fleet, _ = new_fleet()
    fleet.take_rejection(rejection(detail="x" * 5000))
    device = only(fleet)
    assert (device.condition, device.rejected, device.refused) == (UNKNOWN, 1, True)
    assert device.refusal is not None
    assert device.refusal.reason is Reason.OUT_OF_RANGE
    assert len(device.refusal.detail) == 300


def test_a_verdict_after_a_refusal_says_that_readings_are_taken_again() -> None:
    fleet, clock = new_fleet()
    fleet.take_rejection(rejection())
    fleet.take_verdict(verdict(at=clock.now()))
    assert (only(fleet).refused, only(fleet).rejected) == (False, 1)


def test_a_refusal_that_names_nobody_makes_no_device() -> None:
    fleet, _ = new_fleet()
    fleet.take_rejection(rejection(device_id=None))
    assert fleet.view().total == 0
    assert fleet.unattributed == 1


def test_a_view_tells_only_what_changed_after_its_cursor() -> None:
    fleet, clock = new_fleet()
    fleet.take_verdict(verdict("1", at=clock.now(), seq=1))
    fleet.take_verdict(verdict("2", at=clock.now(), seq=1))
    first = fleet.view()
    assert [device.device_id for device in first.devices] == ["1", "2"]
    assert fleet.view(first.cursor).devices == ()
    fleet.take_verdict(verdict("2", at=clock.now() + 0.5, seq=2))
    second = fleet.view(first.cursor)
    [device] = second.devices
    assert (device.device_id, len(device.points), device.restarted) == ("2", 1, False)
    assert second.total == 2


def test_a_device_first_heard_after_the_cursor_is_told_whole() -> None:
    fleet, clock = new_fleet()
    cursor = fleet.view().cursor
    fleet.take_verdict(verdict(at=clock.now()))
    assert only(fleet, cursor).restarted


def test_a_device_that_measures_something_else_now_is_told_anew() -> None:
    fleet, clock = new_fleet()
    fleet.take_verdict(verdict(at=clock.now() - 1, seq=1))
    cursor = fleet.view().cursor
    fleet.take_verdict(verdict(at=clock.now(), seq=2, signals={"pressure": 3.0}))
    device = only(fleet, cursor)
    assert device.restarted
    assert len(device.points) == 2


def test_a_window_keeps_the_newest_points_only() -> None:
    fleet, clock = new_fleet()
    for second in range(200):
        fleet.take_verdict(verdict(at=clock.now() - 200 + second, seq=second))
    points = only(fleet).points
    assert len(points) == LIMITS.window_points
    assert points[-1].identity[2] == 199


def test_a_machine_with_very_many_signals_keeps_a_shorter_window() -> None:
    fleet, clock = new_fleet(dataclasses.replace(LIMITS, window_points=1000))
    wide = {f"s{number}": float(number) for number in range(512)}
    for second in range(100):
        fleet.take_verdict(verdict(at=clock.now() - 100 + second, seq=second, signals=wide))
    assert len(only(fleet).points) == 32


def test_too_many_devices_push_out_the_one_that_was_heard_longest_ago() -> None:
    fleet, clock = new_fleet(dataclasses.replace(LIMITS, max_devices=3))
    for name in ("a", "b", "c", "a", "d"):
        clock.advance(1)
        fleet.take_verdict(verdict(name, at=clock.now()))
    assert {device.device_id for device in fleet.view().devices} == {"a", "c", "d"}
    assert fleet.evicted == 1


def test_a_flood_of_refused_names_never_pushes_out_a_device_with_verdicts() -> None:
    fleet, clock = new_fleet(dataclasses.replace(LIMITS, max_devices=3))
    fleet.take_verdict(verdict("real", at=clock.now()))
    for number in range(100):
        clock.advance(0.01)
        fleet.take_rejection(rejection(f"flood{number}"))
    assert fleet.view().total == 3
    assert len(fleet.view_of("real").devices) == 1


def test_a_device_not_heard_of_for_a_week_is_taken_off_the_page() -> None:
    fleet, clock = new_fleet()
    fleet.take_verdict(verdict(at=clock.now()))
    clock.advance(7 * 86400 + 1)
    assert fleet.view().total == 0


def test_a_sensor_ahead_of_time_does_not_hide_what_comes_after_its_clock_is_right() -> None:
    fleet, clock = new_fleet()
    for _ in range(5):
        clock.advance(1)
        fleet.take_verdict(verdict(at=clock.now() + 240))
    for _ in range(2):
        clock.advance(1)
        fleet.take_verdict(verdict(at=clock.now(), fault=1))
    newest = only(fleet).newest
    assert newest is not None
    assert newest.fault


def test_a_clock_that_was_set_back_an_hour_is_borne() -> None:
    fleet, clock = new_fleet()
    fleet.take_verdict(verdict(at=clock.now()))
    for _ in range(40):
        clock.advance(1)
        fleet.take_verdict(verdict(at=clock.now() - 3600, fault=1))
    device = only(fleet)
    assert device.newest is not None
    assert device.newest.fault
    assert device.behind_s == 3600


def test_a_backlog_beside_present_verdicts_is_not_taken_for_a_clock_set_back() -> None:
    fleet, clock = new_fleet()
    for second in range(100):
        clock.advance(1)
        fleet.take_verdict(verdict(at=clock.now(), seq=second))
        fleet.take_verdict(verdict(at=clock.now() - 86400, seq=second, fault=1, boot="before"))
    newest = only(fleet).newest
    assert newest is not None
    assert not newest.fault


def test_old_readings_are_said_to_be_old() -> None:
    fleet, clock = new_fleet()
    fleet.take_verdict(verdict(at=clock.now() - 7200))
    assert only(fleet).behind_s == 7200


def test_a_first_generation_time_is_read_in_the_plants_zone() -> None:
    fleet, clock = new_fleet(dataclasses.replace(LIMITS, naive_time_zone=ZoneInfo("Europe/Berlin")))
    clock.wall = datetime(2026, 11, 23, 11, 0, tzinfo=UTC).timestamp()
    old = Verdict.model_validate(
        {**verdict(at=0).model_dump(by_alias=True, exclude_none=True), "timeStamp": "2026-11-23 12:00:00"}
    )
    fleet.take_verdict(old)
    assert only(fleet).behind_s == 0


def test_a_time_that_is_none_is_refused_and_leaves_no_trace() -> None:
    fleet, clock = new_fleet()
    wrong = Verdict.model_validate(
        {
            **verdict(at=clock.now()).model_dump(by_alias=True, exclude_none=True),
            "timeStamp": "2026-02-31 12:00:00",
        }
    )
    with pytest.raises(ValueError, match="day"):
        fleet.take_verdict(wrong)
    assert fleet.view().total == 0


def test_the_services_are_known_by_their_newest_status() -> None:
    fleet, _ = new_fleet()
    fleet.take_status("predictor", "online")
    fleet.take_status("predictor", "offline")
    assert fleet.view().services == {"predictor": "offline"}


def test_a_verdict_and_a_refusal_both_answer_a_reading() -> None:
    fleet, clock = new_fleet()
    fleet.take_verdict(verdict(at=clock.now(), seq=1))
    fleet.take_verdict(verdict(at=clock.now(), seq=3))
    assert only(fleet).losses.missing == 1
    fleet.take_rejection(rejection(payload=b'{"seq": 2, "bootID": "boot", "rotation": 1e9}'))
    losses = only(fleet).losses
    assert (losses.received, losses.missing, losses.of(Arrival.OUT_OF_ORDER)) == (3, 0, 1)


def missing_by_device(fleet: Fleet) -> dict[str, int]:
    return {device_id: losses.missing for device_id, losses in fleet.losses_by_device().items()}


def test_the_losses_of_the_fleet_are_those_of_all_devices() -> None:
    fleet, clock = new_fleet()
    for device, seqs in {"1": (1, 2, 4), "2": (7, 9, 9), "3": (5, 6)}.items():
        for seq in seqs:
            fleet.take_verdict(verdict(device, at=clock.now(), seq=seq))
    fleet.take_verdict(verdict("4", at=clock.now()))
    total = fleet.losses()
    assert (total.received, total.missing) == (9, 2)
    assert (total.of(Arrival.DUPLICATE), total.of(Arrival.UNNUMBERED)) == (1, 1)
    assert fleet.view().losses == total
    assert missing_by_device(fleet) == {"1": 1, "2": 1}


def test_the_losses_of_a_device_that_had_to_go_stay_in_those_of_the_fleet() -> None:
    fleet, clock = new_fleet(dataclasses.replace(LIMITS, max_devices=1))
    for device in ("1", "2"):
        for seq in (1, 3):
            fleet.take_verdict(verdict(device, at=clock.now(), seq=seq))
    assert (fleet.losses().received, fleet.losses().missing) == (4, 2)
    assert missing_by_device(fleet) == {"2": 1}


def test_what_passed_while_nobody_listened_is_not_taken_for_lost() -> None:
    fleet, clock = new_fleet()
    for seq in (1, 3):
        fleet.take_verdict(verdict(at=clock.now(), seq=seq))
    fleet.begin_anew()
    for seq in (500, 502):
        fleet.take_verdict(verdict(at=clock.now(), seq=seq))
    assert (only(fleet).losses.missing, fleet.losses().missing) == (2, 2)
