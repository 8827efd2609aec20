"""The quality report counts what people were called for, and says what EEMUA 191 and ISA-18.2 say of it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.alarm import AlarmPriority, AlarmState
from monitor.alarms.history import CloseOut, Outcome, PastAlarm
from monitor.alarms.lifecycle import Cause, Occurrence, Transition
from monitor.alarms.quality import QualityReport, assess, most_within, rate_verdict
from monitor.alarms.quality_text import report_body, report_text
from monitor.findings import FindingKind

START = datetime(2026, 11, 18, tzinfo=UTC)
END = START + timedelta(days=7)


def call(
    seconds: float,
    device: str = "1",
    kind: FindingKind = FindingKind.MACHINE_FAULT,
    priority: AlarmPriority = AlarmPriority.LOW,
    after: AlarmState = AlarmState.UNACKNOWLEDGED,
) -> Transition:
    at = START + timedelta(seconds=seconds)
    return Transition(1, device, kind, priority, at, AlarmState.NORMAL, after, Cause.RAISED, None, "")


def past(
    alarm_id: int,
    raised_h: float,
    cleared_h: float | None,
    outcome: Outcome | None = None,
    *,
    shown: bool = True,
) -> PastAlarm:
    raised = START + timedelta(hours=raised_h)
    cleared = None if cleared_h is None else START + timedelta(hours=cleared_h)
    occurrence = Occurrence(
        alarm_id=alarm_id,
        device_id=str(alarm_id),
        kind=FindingKind.WEAR,
        priority=AlarmPriority.LOW,
        began_at=raised,
        raised_at=raised,
        cleared_at=cleared,
        ended_at=cleared,
        shown=shown,
        acknowledged_by=None,
        why="",
        inspect="",
        contributions=(),
    )
    return PastAlarm(occurrence, None if outcome is None else CloseOut(outcome, "", "Anna", END))


def judged(
    lines: list[Transition], occurrences: tuple[PastAlarm, ...] = (), operators: int = 1
) -> QualityReport:
    return assess(lines, occurrences, start=START, end=END, operators=operators)


def value(report: QualityReport, name: str) -> tuple[float, bool | None]:
    (found,) = [measure for measure in report.measures if measure.name == name]
    return found.value, found.met


@pytest.mark.parametrize(
    ("rate", "word"),
    [
        (0, "very likely to be acceptable"),
        (1, "very likely to be acceptable"),
        (1.1, "manageable"),
        (2, "manageable"),
        (5, "likely to be over-demanding"),
        (10, "likely to be over-demanding"),
        (10.1, "very likely to be unacceptable"),
    ],
)
def test_the_rate_has_the_word_of_eemua_191(rate: float, word: str) -> None:
    assert rate_verdict(rate) == word


def test_only_what_called_somebody_within_the_window_counts() -> None:
    report = judged(
        [
            call(-1),
            call(0),
            call(10, after=AlarmState.SHELVED),
            call(20, after=AlarmState.SUPPRESSED),
            call(30, after=AlarmState.ACKNOWLEDGED),
            call(7 * 86400),
        ]
    )
    assert report.alarms == 1


def test_the_average_is_in_ten_minutes_for_each_operator() -> None:
    lines = [
        call(600 * number, device=str(number)) for number in range(1008)
    ]  # one in 10 minutes, a whole week
    assert value(judged(lines), "average alarm rate") == (1.0, True)
    assert value(judged(lines * 4, operators=2), "average alarm rate") == (2.0, False)


def test_ten_alarms_in_ten_minutes_are_a_flood_until_fewer_than_five_are_left() -> None:
    lines = [call(60 * number, device=str(number)) for number in range(10)]
    (flood,) = judged(lines).floods
    assert flood.start == START + timedelta(minutes=9), "with the tenth"
    assert flood.end == START + timedelta(minutes=15), "when the alarm of minute 5 is ten minutes old"
    assert (flood.alarms, flood.most_in_10_minutes) == (10, 10)


def test_nine_in_ten_minutes_are_none_and_ten_just_further_apart_neither() -> None:
    assert judged([call(60 * number) for number in range(9)]).floods == ()
    assert judged([call(67 * number) for number in range(100)]).floods == ()


def test_a_flood_goes_on_while_five_are_in_ten_minutes_and_a_second_one_begins_anew() -> None:
    first = [call(10 * number) for number in range(10)]
    slower = [call(90 + 119 * number) for number in range(1, 20)]  # five or six in ten minutes
    second = [call(86400 + 10 * number) for number in range(12)]
    floods = judged(first + slower + second).floods
    assert [flood.alarms for flood in floods] == [29, 12]


def test_two_operators_are_flooded_by_twenty() -> None:
    lines = [call(10 * number) for number in range(19)]
    assert judged(lines, operators=2).floods == ()
    assert len(judged([*lines, call(200)], operators=2).floods) == 1


@given(st.lists(st.integers(0, 4000), max_size=60))
def test_floods_are_those_that_a_look_at_every_second_finds(seconds: list[int]) -> None:
    times = sorted(seconds)
    inside, begun = False, []
    flooded = 0
    for now in range(5000):
        in_window = sum(now - 600 < at <= now for at in times)
        if not inside and in_window >= 10 and any(at == now for at in times):
            inside = True
            begun.append(now)
        elif inside and in_window < 5:
            inside = False
        flooded += inside
    floods = judged([call(at) for at in seconds]).floods
    assert [round((flood.start - START).total_seconds()) for flood in floods] == begun
    assert sum((flood.end - flood.start).total_seconds() for flood in floods) == flooded


def test_three_within_a_minute_chatter_and_three_in_a_minute_exactly_do_not() -> None:
    lines = [call(at, "chatters") for at in (0, 20, 59)] + [call(at, "comes back") for at in (0, 30, 60)]
    report = judged(lines)
    assert [(each.device_id, each.alarms) for each in report.chattering] == [("chatters", 3)]
    assert value(report, "chattering alarms") == (1, False)


def test_kinds_and_devices_do_not_chatter_together() -> None:
    lines = [call(0, "1"), call(1, "2"), call(2, "1", FindingKind.SPIKES)]
    assert judged(lines).chattering == ()


def test_stale_is_what_was_shown_and_active_for_more_than_a_day() -> None:
    report = judged(
        [],
        (
            past(1, 0, 24),
            past(2, 0, 24.5),
            past(3, 150, None),
            past(4, -48, 2),
            past(5, 1, None),
            past(6, 0, 100, shown=False),
        ),
    )
    assert [each.alarm_id for each in report.stale] == [5, 4, 2]
    assert report.stale[0].hours == pytest.approx(167)
    assert value(report, "stale alarms, most at one time") == (1, True)


def test_five_stale_at_one_time_are_too_many_and_one_after_the_other_are_not() -> None:
    name = "stale alarms, most at one time"
    assert value(judged([], tuple(past(number, 0, 30) for number in range(5))), name) == (5, False)
    assert value(
        judged([], tuple(past(number, 26 * number, 26 * number + 25) for number in range(6))), name
    ) == (
        1,
        True,
    )


def test_the_ten_worst_come_first_with_their_share() -> None:
    lines = [call(100 * number, str(number % 12)) for number in range(12)] + [call(5, "11"), call(9000, "3")]
    report = judged(lines)
    assert len(report.worst) == 10
    assert [(each.device_id, each.alarms) for each in report.worst[:3]] == [("11", 2), ("3", 2), ("0", 1)]
    share, met = value(report, "share of the ten worst")
    assert share == pytest.approx(100 * 12 / 14)
    assert met is False


def test_what_technicians_found_is_counted() -> None:
    report = judged(
        [], (past(1, 1, 2, Outcome.REAL), past(2, 1, 2, Outcome.FALSE), past(3, 1, 2), past(4, 1, None))
    )
    assert report.outcomes == {Outcome.REAL: 1, Outcome.FALSE: 1, Outcome.PLANNED: 0}


def test_a_week_without_alarms_is_no_reason_to_judge_what_there_was_not() -> None:
    report = judged([])
    assert {measure.met for measure in report.measures} == {True, None}
    assert report.verdict == "very likely to be acceptable"


def test_a_window_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a length"):
        assess([], [], start=START, end=START)


def test_the_report_reads_as_text_and_as_json() -> None:
    lines = [call(number, "9", priority=AlarmPriority.HIGH) for number in range(12)]
    report = judged(lines, (past(1, 0, 30, Outcome.FALSE),))
    text = report_text(report)
    for part in (
        "12 alarms",
        "bad  chattering alarms",
        "9, machine fault",
        "Floods",
        "30 h",
        "1 false",
        "12 high",
    ):
        assert part in text
    body = report_body(report)
    assert body["start"] == "2026-11-18T00:00:00.000Z"
    assert body["worst"][0] == {"device_id": "9", "kind": "machine_fault", "alarms": 12, "share": 1.0}
    assert body["priorities"] == {"high": 12, "medium": 0, "low": 0}
    assert body["outcomes"]["false"] == 1


@given(st.lists(st.integers(0, 200), max_size=30), st.integers(1, 50))
def test_the_most_within_a_span_is_what_counting_finds(seconds: list[int], span: int) -> None:
    times = sorted(START + timedelta(seconds=each) for each in seconds)
    counted = max((sum(first <= at < first + span for at in seconds) for first in seconds), default=0)
    assert most_within(times, timedelta(seconds=span)) == counted
