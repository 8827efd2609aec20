"""A restart loses nothing: a snapshot at any moment, and the messages after it, give the same findings."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.command import Condition
from contract.rejection import Reason
from monitor.diagnosis.core import Diagnosis
from monitor.diagnosis.evidence import Health
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import Plant
from monitor.findings import Finding, FindingKind
from tests.diagnosis.told import Told, Values
from tests.monitor.made_verdicts import rejection
from tests.monitor.still_clock import StillClock

KNOWLEDGE = Knowledge(Plant.read())


@dataclass(frozen=True)
class Step:
    """One message: values with their probability and how late they are, or a refusal."""

    values: Values | None
    probability: float
    late_s: float


STEPS = st.lists(
    st.builds(
        Step,
        st.one_of(
            st.none(),
            st.tuples(
                st.sampled_from([0.0, 200.0, 430.0, 610.0, 655.5, 900.0]),
                st.floats(35, 56).map(lambda v: round(v, 1)),
                st.sampled_from([0.0, 120.0, 150.0, 231.0]),
                st.floats(45, 61).map(lambda v: round(v, 1)),
            ),
        ),
        st.sampled_from([0.0, 0.05, 0.5, 0.95, 1.0]),
        st.sampled_from([0.0, 0.0, 0.0, 5.0, 3600.0, -60.0]),
    ),
    max_size=120,
)


def tell(steps: list[Step], *, restart_each: int | None) -> list[Finding]:
    clock = StillClock()
    diagnosis = Diagnosis(clock, KNOWLEDGE)
    found: list[Finding] = []
    for seq, step in enumerate(steps):
        clock.advance(2)
        if restart_each is not None and seq and seq % restart_each == 0:
            written = json.dumps(diagnosis.snapshot("1"), allow_nan=False)
            diagnosis = Diagnosis(clock, KNOWLEDGE)
            diagnosis.restore("1", json.loads(written))
        if step.values is None:
            found += diagnosis.take_rejection(rejection(reason=Reason.OUT_OF_RANGE))
        else:
            at = clock.now() - step.late_s
            found += diagnosis.take("1", at, step.probability, step.values, "boot", seq)
    return found


@given(STEPS, st.integers(1, 20))
@settings(max_examples=150, deadline=None)
def test_whatever_happens_a_restart_changes_no_finding(steps: list[Step], restart_each: int) -> None:
    assert tell(steps, restart_each=restart_each) == tell(steps, restart_each=None)


def test_half_a_run_of_evidence_and_half_a_trend_outlive_a_restart() -> None:
    plain, restarted = Told(), Told()
    for told in (plain, restarted):
        told.run(Condition.HEALTHY, 300)
        told.run(Condition.WEARING, 140)
    state = json.loads(json.dumps(restarted.diagnosis.snapshot("1")))
    restarted.diagnosis = Diagnosis(restarted.clock, restarted.diagnosis._knowledge)
    restarted.diagnosis.restore("1", state)
    for told in (plain, restarted):
        told.run(Condition.FAULTY, 60)
    assert restarted.found == plain.found
    assert FindingKind.WEAR in {finding.kind for finding in plain.found}


def test_after_a_restart_a_fans_silence_counts_from_the_restart() -> None:
    told = Told()
    told.run(Condition.HEALTHY, 5)
    state = told.diagnosis.snapshot("1")
    told.clock.advance(3600)
    told.diagnosis = Diagnosis(told.clock, told.diagnosis._knowledge)
    told.diagnosis.restore("1", state)
    assert told.wait(29) == []
    assert [finding.kind for finding in told.wait(2)] == [FindingKind.SILENCE]


def test_a_snapshot_outlives_a_change_of_the_plants_signals() -> None:
    told = Told()
    told.run(Condition.FAULTY, 20)
    state = told.diagnosis.snapshot("1")
    plant = Plant.model_validate({"signals": {"pressure": {"usual": [2, 4]}}})
    diagnosis = Diagnosis(told.clock, Knowledge(plant))
    diagnosis.restore("1", state)
    device = diagnosis.device("1")
    assert device is not None
    assert device.health is Health.FAULT
    assert device.status(told.clock.now()).standing == {FindingKind.MACHINE_FAULT}
    diagnosis.take("1", told.clock.now(), 0.1, (3.0,), "boot", 1000)


def test_a_snapshot_of_another_format_is_refused_with_a_sentence() -> None:
    told = Told()
    told.run(Condition.HEALTHY, 1)
    state = told.diagnosis.snapshot("1") | {"format": 2}
    with pytest.raises(ValueError, match="of format 2, expected 1"):
        told.diagnosis.restore("1", state)
