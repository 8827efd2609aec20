"""The desk: findings in, answers in, and everything of a step on the disk at once."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.alarm import Alarm, AlarmPriority, AlarmState
from monitor.alarms.board import NoSuchAlarm
from monitor.alarms.database import MIGRATIONS, AlarmDatabase, StoreError
from monitor.alarms.desk import ActiveAlarm, AlarmDesk, ModeChange
from monitor.alarms.history import Outcome
from monitor.alarms.intake_store import IntakeStore
from monitor.alarms.lifecycle import NotPossible
from monitor.alarms.outbox import PUBLISH, WORK_ORDER, notify_channel
from monitor.alarms.policy import AlarmPolicy
from monitor.findings import Finding
from monitor.intake import Checkpoint, Entry, EntryKind, Step
from tests.alarms.plant_clock import FAULT, FLAT, SILENCE, WEAR, desk_on, finding, moment, waiting
from tests.monitor.still_clock import StillClock

STEP = Step((Entry(7, 1000.5, EntryKind.VERDICT, b"{}"),), {"5": Checkpoint(7, b"half a window")}, 7)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "alarms.sqlite3"


@pytest.fixture
def desk(path: Path, clock: StillClock) -> Iterator[AlarmDesk]:
    with desk_on(path, clock, AlarmPolicy(work_orders=True, destinations=1)) as made:
        yield made


def raised(desk: AlarmDesk, clock: StillClock) -> ActiveAlarm:
    desk.on_findings([finding(clock)])
    clock.advance(5)
    desk.tick()
    (alarm,) = desk.active()
    return alarm


def test_an_alarm_goes_from_a_finding_to_the_topic_and_back_to_normal(
    desk: AlarmDesk, clock: StillClock, path: Path
) -> None:
    alarm = raised(desk, clock)
    assert (alarm.state, alarm.priority) == (AlarmState.UNACKNOWLEDGED, AlarmPriority.HIGH)
    assert alarm.actions == ("acknowledge", "close", "shelve")
    assert alarm.alarm_id is not None
    desk.acknowledge(alarm.alarm_id, "Anna")
    desk.on_findings([finding(clock, present=False)])
    clock.advance(30)
    desk.tick()
    assert desk.active() == ()
    said = [Alarm.from_json(each.body.encode()) for each in waiting(path, PUBLISH, clock)]
    assert [(body.state, body.active) for body in said] == [
        (AlarmState.UNACKNOWLEDGED, 1),
        (AlarmState.ACKNOWLEDGED, 1),
        (AlarmState.NORMAL, 0),
    ]
    assert said[1].acknowledged_by == "Anna"
    assert said[0].contributions[0].signal == "vibration"
    assert said[0].why == "machine_fault on 5"
    assert [body.seq for body in said] == sorted({body.seq for body in said})
    assert [body.time_stamp for body in said] == sorted(body.time_stamp for body in said)


def test_a_restart_goes_on_where_the_last_commit_was(path: Path, clock: StillClock) -> None:
    with desk_on(path, clock) as desk:
        alarm = raised(desk, clock)
        assert alarm.alarm_id
        desk.shelve(alarm.alarm_id, "Anna", moment(clock) + timedelta(hours=1))
        desk.on_findings([finding(clock, SILENCE, device="6")], intake=STEP)
        desk.take_out_of_service("7", WEAR, "Bo", "sensor is on order")
        desk.plan_maintenance("8", "Bo", moment(clock), moment(clock) + timedelta(hours=2))
        desk.on_findings([], modes=[ModeChange("9", True, moment(clock))])
        before, due = desk.active(), desk.next_deadline()
    with desk_on(path, clock) as desk:
        assert desk.active() == before
        desk.tick()
        assert desk.next_deadline() == due
        with desk.kept() as kept:
            assert dict(kept.checkpoints) == STEP.checkpoints
            assert tuple(kept.entries) == STEP.entries
        clock.advance(3600)
        desk.on_findings([finding(clock, FLAT, device="8"), finding(clock, device="9")])
        clock.advance(5)
        desk.tick()
        states = {each.device_id: each.state for each in desk.active()}
        assert states == {
            "5": AlarmState.UNACKNOWLEDGED,
            "6": AlarmState.UNACKNOWLEDGED,
            "7": AlarmState.OUT_OF_SERVICE,
            "8": AlarmState.SUPPRESSED,
            "9": AlarmState.SUPPRESSED,
        }


def test_numbers_of_alarms_are_never_given_twice(path: Path, clock: StillClock) -> None:
    with desk_on(path, clock) as desk:
        first = raised(desk, clock)
        assert first.alarm_id
        desk.close(first.alarm_id, "Anna", "real")
        desk.on_findings([finding(clock, present=False)])
        clock.advance(30)
        desk.tick()
    with desk_on(path, clock) as desk:
        assert raised(desk, clock).alarm_id == first.alarm_id + 1


def test_a_finding_that_is_delivered_twice_changes_nothing(
    desk: AlarmDesk, clock: StillClock, path: Path
) -> None:
    one = finding(clock)
    desk.on_findings([one])
    clock.advance(60)
    desk.tick()
    before = (desk.active(), desk.journal(), len(waiting(path, PUBLISH, clock)))
    desk.on_findings([one])
    assert (desk.active(), desk.journal(), len(waiting(path, PUBLISH, clock))) == before


def test_words_that_change_are_said_again_and_call_nobody(
    desk: AlarmDesk, clock: StillClock, path: Path
) -> None:
    raised(desk, clock)
    desk.on_findings([Finding("5", FAULT, True, moment(clock), "it is worse", "stop it")])
    said = [json.loads(each.body)["why"] for each in waiting(path, PUBLISH, clock)]
    assert said == ["machine_fault on 5", "it is worse"]
    assert len(waiting(path, notify_channel(0), clock)) == 1
    assert desk.history("5")[0].occurrence.why == "it is worse"


def test_a_finding_from_the_future_counts_from_now(desk: AlarmDesk, clock: StillClock) -> None:
    desk.on_findings([finding(clock, ago_s=-3600)])
    assert desk.next_deadline() == moment(clock) + timedelta(seconds=5)


def test_of_one_moment_the_sensor_comes_first_so_that_it_alone_is_raised(
    desk: AlarmDesk, clock: StillClock
) -> None:
    desk.on_findings([finding(clock), finding(clock, FLAT)])
    clock.advance(10)
    desk.tick()
    assert {each.kind: each.state for each in desk.active()} == {
        FLAT: AlarmState.UNACKNOWLEDGED,
        FAULT: AlarmState.SUPPRESSED,
    }


def test_every_human_action_is_in_the_audit_log_and_a_refused_one_is_not(
    desk: AlarmDesk, clock: StillClock
) -> None:
    alarm_id = raised(desk, clock).alarm_id
    assert alarm_id
    until = moment(clock) + timedelta(hours=1)
    number = desk.plan_maintenance("6", "Cy", moment(clock), until, "new belt")
    actions: list[tuple[str, Callable[[], object]]] = [
        ("acknowledge", lambda: desk.acknowledge(alarm_id, "Anna")),
        ("shelve", lambda: desk.shelve(alarm_id, "Anna", until)),
        ("unshelve", lambda: desk.unshelve(alarm_id, "Anna")),
        ("take out of service", lambda: desk.take_out_of_service("5", "machine_fault", "Anna")),
        ("return to service", lambda: desk.return_to_service("5", "machine_fault", "Anna")),
        ("close", lambda: desk.close(alarm_id, "Anna", "false", "nothing there")),
        ("cancel maintenance", lambda: desk.cancel_maintenance(number, "Anna")),
        ("signed in", lambda: desk.write_audit("Anna", "signed in", "page")),
    ]
    for name, act in actions:
        act()
        newest = desk.audit_log()[0]
        assert (newest.who, newest.action, newest.at) == ("Anna", name, moment(clock))
    written = desk.audit_log()
    assert written[-1].action == "plan maintenance"
    refusals: list[Callable[[], object]] = [
        lambda: desk.acknowledge(alarm_id, "Bo"),
        lambda: desk.reset(alarm_id, "Bo"),
        lambda: desk.unshelve(alarm_id, "Bo"),
        lambda: desk.return_to_service("5", "machine_fault", "Bo"),
        lambda: desk.shelve(alarm_id, "Bo", moment(clock)),
    ]
    for refused in refusals:
        with pytest.raises(NotPossible):
            refused()
    unknowns: list[Callable[[], object]] = [
        lambda: desk.acknowledge(999, "Bo"),
        lambda: desk.close(999, "Bo", "real"),
        lambda: desk.cancel_maintenance(999, "Bo"),
    ]
    for unknown in unknowns:
        with pytest.raises(NoSuchAlarm):
            unknown()
    mistakes: list[Callable[[], object]] = [
        lambda: desk.acknowledge(alarm_id, ""),
        lambda: desk.acknowledge(alarm_id, "a\nb"),
        lambda: desk.close(alarm_id, "Bo", "maybe"),
        lambda: desk.close(alarm_id, "Bo", "real", "x" * 1001),
        lambda: desk.shelve(alarm_id, "Bo", datetime(2030, 1, 1)),  # noqa: DTZ001 - that is the point
        lambda: desk.plan_maintenance("6", "Bo", until, until),
        lambda: desk.take_out_of_service("5", "no such kind", "Bo"),
    ]
    for wrong in mistakes:
        with pytest.raises(ValueError, match=r"expected|not a valid"):
            wrong()
    assert desk.audit_log() == written


def test_what_was_due_before_a_refused_step_has_happened_on_the_disk(path: Path, clock: StillClock) -> None:
    with desk_on(path, clock) as desk:
        desk.on_findings([finding(clock)])
        clock.advance(5)
        with pytest.raises(NoSuchAlarm):
            desk.acknowledge(999, "Anna")
    with desk_on(path, clock) as desk:
        assert [each.state for each in desk.active()] == [AlarmState.UNACKNOWLEDGED]


def test_an_alarm_is_closed_after_it_is_over_and_the_last_word_counts(
    desk: AlarmDesk, clock: StillClock
) -> None:
    alarm_id = raised(desk, clock).alarm_id
    assert alarm_id
    desk.acknowledge(alarm_id, "Anna")
    desk.on_findings([finding(clock, present=False)])
    clock.advance(86400)
    desk.tick()
    desk.close(alarm_id, "Anna", Outcome.REAL, "bearing")
    desk.close(alarm_id, "Bo", Outcome.FALSE, "it was the neighbour")
    (past,) = desk.history("5")
    assert past.close_out is not None
    assert (past.close_out.outcome, past.close_out.who) == (Outcome.FALSE, "Bo")
    assert [entry.action for entry in desk.audit_log()] == ["close", "close", "acknowledge"]


def test_a_draft_of_a_work_order_is_made_once_for_an_alarm_and_not_in_the_cooldown(
    desk: AlarmDesk, clock: StillClock, path: Path
) -> None:
    def once_more() -> None:
        desk.on_findings([finding(clock)])
        clock.advance(5)
        desk.tick()
        desk.on_findings([finding(clock, present=False)])
        clock.advance(30)
        desk.tick()
        for alarm in desk.active():
            assert alarm.alarm_id
            desk.acknowledge(alarm.alarm_id, "Anna")

    once_more()
    once_more()
    assert len(waiting(path, WORK_ORDER, clock)) == 1
    clock.advance(86400)
    once_more()
    drafts = [json.loads(each.body) for each in waiting(path, WORK_ORDER, clock)]
    assert len(drafts) == 2
    assert drafts[0]["title"] == "5: machine fault"
    assert drafts[0]["inspect"] == "look at the bearing"
    assert len({draft["key"] for draft in drafts}) == 2


def test_a_sensor_fault_makes_no_work_order_and_low_priority_calls_nobody(
    desk: AlarmDesk, clock: StillClock, path: Path
) -> None:
    desk.on_findings([finding(clock, FLAT)])
    clock.advance(60)
    desk.tick()
    assert len(desk.active()) == 1
    assert waiting(path, WORK_ORDER, clock) == waiting(path, notify_channel(0), clock) == []


def test_a_disk_that_takes_no_commit_leaves_memory_as_the_disk_is(path: Path, clock: StillClock) -> None:
    with AlarmDatabase(path) as database:
        desk = AlarmDesk(database, AlarmPolicy(), clock)
        raised(desk, clock)
        before = desk.active()
        pages = database.run("PRAGMA page_count").fetchone()[0]
        database.run(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="full"):
            desk.on_findings([finding(clock, SILENCE, device=str(number)) for number in range(2000)])
        assert desk.active() == before
        database.run("PRAGMA max_page_count = 1000000")
        desk.on_findings([finding(clock, SILENCE, device=str(number)) for number in range(2000)])
        assert len(desk.active()) == 2001


def test_nothing_to_say_is_no_commit(desk: AlarmDesk, clock: StillClock, path: Path) -> None:
    raised(desk, clock)
    size = path.with_name(path.name + "-wal").stat().st_size
    desk.on_findings([])
    desk.on_findings([finding(clock, present=False, device="well")])
    desk.tick()
    assert path.with_name(path.name + "-wal").stat().st_size == size


def test_a_file_of_a_newer_version_or_of_something_else_is_refused_with_a_sentence(tmp_path: Path) -> None:
    newer, other = tmp_path / "newer.sqlite3", tmp_path / "other"
    with AlarmDatabase(newer) as database:
        database.run("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="version 99, written by a newer Fanwatch"):
        AlarmDatabase(newer)
    other.write_text("not a database, but long enough to be read as the header of one" * 10)
    with pytest.raises(StoreError, match="cannot be used"):
        AlarmDatabase(other)
    with pytest.raises(StoreError, match="cannot be used"):
        AlarmDatabase(tmp_path / "absent", read_only=True)
    assert not (tmp_path / "absent").exists()


def test_the_file_is_kept_as_the_promise_needs_it(path: Path) -> None:
    with AlarmDatabase(path) as database:
        assert database.run("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.run("PRAGMA synchronous").fetchone() == (2,), "FULL"
        assert database.run("PRAGMA user_version").fetchone() == (2,)


def test_a_file_of_an_earlier_version_is_brought_up_and_keeps_what_it_holds(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as first:
        first.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
        first.execute("INSERT INTO diagnosis VALUES ('5', ?)", (b"half a window",))
    with AlarmDatabase(path) as database:
        kept = IntakeStore(database).kept()
        assert kept.checkpoints == {"5": Checkpoint(0, b"half a window")}
        assert list(kept.entries) == []


def test_maintenance_that_is_over_is_not_told_of(desk: AlarmDesk, clock: StillClock) -> None:
    end = moment(clock) + timedelta(hours=1)
    desk.plan_maintenance("5", "Anna", moment(clock), end, "new belt")
    (planned,) = desk.maintenance()
    assert (planned.device_id, planned.who, planned.note) == ("5", "Anna", "new belt")
    clock.advance(3600)
    assert desk.maintenance() == []
    desk.tick()
    assert desk.next_deadline() is None


def test_times_are_kept_to_the_microsecond() -> None:
    from monitor.alarms.database import microseconds, moment_of  # noqa: PLC0415

    for odd in (
        datetime(2026, 11, 25, 6, 0, 0, 123457, UTC),
        datetime(2099, 12, 31, 23, 59, 59, 999999, UTC),
    ):
        assert moment_of(microseconds(odd)) == odd
