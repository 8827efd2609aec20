from datetime import UTC, datetime

import numpy as np
import pytest

from evaluation.announced import RaisedAlarm
from evaluation.config import LabelTable
from evaluation.judgement import Fault, faults_of, judge
from evaluation.recorded import Recorded
from monitor.findings import FindingKind

DAY_S = 86_400.0


def recorded(labels: list[int] | None = None) -> Recorded:
    """One device, a reading a day for a hundred days."""
    return Recorded(
        "drawn",
        ("1",),
        np.zeros(100, np.int64),
        np.arange(0.0, 100 * DAY_S, DAY_S),
        np.zeros((100, 1)),
        None if labels is None else np.array(labels, np.int64),
    )


def alarm(
    raised: float, cleared: float | None, kind: FindingKind = FindingKind.MACHINE_FAULT, device: str = "1"
) -> RaisedAlarm:
    ends = None if cleared is None else cleared * DAY_S
    return RaisedAlarm(device, kind, raised * DAY_S, ends, (), "", "")


def fault(begin: float, end: float, failed: float | None = None) -> Fault:
    return Fault("1", begin * DAY_S, end * DAY_S, None if failed is None else failed * DAY_S)


def test_an_alarm_that_overlaps_a_fault_is_right_and_any_other_is_false() -> None:
    figures = judge([alarm(5, 6), alarm(49, 51), alarm(70, 71)], [fault(50, 60)], recorded(), {})
    assert (figures["faults_found"], figures["false_alarms"]) == (1, 2)
    assert figures["precision"] == pytest.approx(1 / 3)
    assert figures["false_alarms_in_30_device_days"] == pytest.approx(30 * 2 / 99)


def test_lead_time_counts_back_from_the_failure_and_else_from_the_begin() -> None:
    alarms = [alarm(48, 51)]
    assert judge(alarms, [fault(45, 50, failed=50)], recorded(), {})["lead_time_s"] == [2 * DAY_S]
    assert judge(alarms, [fault(47, 60)], recorded(), {})["lead_time_s"] == [-DAY_S]


def test_an_alarm_long_before_a_failure_does_not_foretell_it() -> None:
    labels = LabelTable(failures=(datetime.fromtimestamp(50 * DAY_S, UTC),), within_days=7)
    figures = judge([alarm(40, 42)], faults_of(labels, recorded()), recorded(), {})
    assert (figures["faults"], figures["faults_found"], figures["false_alarms"]) == (1, 0, 1)


def test_alarms_about_sensors_and_those_in_the_learned_stretch_are_not_judged() -> None:
    alarms = [alarm(5, 6), alarm(30, 31, FindingKind.SILENCE)]
    figures = judge(alarms, [], recorded(), {"1": 15 * DAY_S})
    assert (figures["false_alarms"], figures["precision"]) == (0, None)


def test_an_alarm_of_another_device_finds_nothing() -> None:
    figures = judge([alarm(50, 51, device="2")], [fault(50, 60)], recorded(), {})
    assert (figures["faults_found"], figures["false_alarms"]) == (0, 1)


def test_an_alarm_that_still_stands_overlaps_what_comes_later() -> None:
    assert judge([alarm(40, None)], [fault(50, 60)], recorded(), {})["faults_found"] == 1


def test_a_label_column_makes_a_fault_of_each_row_of_ones() -> None:
    labels = [0] * 10 + [1] * 5 + [0] * 80 + [1] * 5
    found = faults_of(LabelTable(column="faulty"), recorded(labels))
    assert [(one.begin / DAY_S, one.end / DAY_S) for one in found] == [(10, 14), (95, 99)]


def test_a_fault_that_the_recording_does_not_cover_does_not_count_as_missed() -> None:
    labels = LabelTable(failures=(datetime(2026, 1, 1, tzinfo=UTC),))
    assert faults_of(labels, recorded()) == []
