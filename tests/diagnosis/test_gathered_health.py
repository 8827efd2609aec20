"""A plant whose file says ``evidence = "gathering"``: the health of its machines is gathered over time, by signals."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.rejection import Reason
from monitor.diagnosis.core import Diagnosis
from monitor.diagnosis.evidence import Health
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import Plant, PlantError
from monitor.findings import Finding, FindingKind
from tests.diagnosis.told import changes
from tests.monitor.made_verdicts import rejection
from tests.monitor.still_clock import StillClock

PLANT: dict[str, Any] = {
    "health": {"evidence": "gathering"},
    "gathering": {"healthy_readings": 100},
    "signals": {"flow": {"unit": "l/min", "usual": [90, 110]}, "power": {"unit": "kW", "usual": [10, 30]}},
    "inspect": [{"when": ["flow low"], "look_at": "the filter"}],
}
WELL = 0.01
BEGIN, END = 200, 300
"""Between these readings the flow is low."""

Values = npt.NDArray[np.float64]


def readings(count: int = 400, *, drop: float = 8.0, seed: int = 1) -> Values:
    rng = np.random.default_rng(seed)
    rows = np.column_stack([rng.normal(100, 1, count), rng.normal(20, 0.5, count)])
    rows[BEGIN:END, 0] -= drop
    return rows.round(3)


@dataclass
class Machine:
    """One device, told a reading a second."""

    plant: dict[str, Any] = field(default_factory=lambda: PLANT)
    clock: StillClock = field(default_factory=StillClock)
    found: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.began = self.clock.now()
        self.diagnosis = Diagnosis(self.clock, Knowledge(Plant.model_validate(self.plant)))

    def tell(self, seq: int, values: tuple[float, ...], probability: float = WELL) -> None:
        """A verdict on the reading of second ``seq``, now."""
        self.found += self.diagnosis.take("1", self.began + seq, probability, values, "boot", seq)

    def tell_all(self, rows: Values, *, start: int = 0, probability: float = WELL) -> "Machine":
        for seq, row in enumerate(rows.tolist(), start):
            self.clock.advance(1)
            self.tell(seq, tuple(row), probability)
        return self

    def at(self, finding: Finding) -> float:
        """At which reading."""
        return finding.at.timestamp() - self.began

    @property
    def health(self) -> Health:
        device = self.diagnosis.device("1")
        assert device is not None
        return device.health


def test_a_shift_is_a_fault_that_names_its_signal_and_ends_with_it() -> None:
    machine = Machine().tell_all(readings())
    assert changes(machine.found) == [(FindingKind.MACHINE_FAULT, True), (FindingKind.MACHINE_FAULT, False)]
    fault, over = machine.found
    assert BEGIN <= machine.at(fault) <= BEGIN + 10
    assert END <= machine.at(over) <= END + 60
    assert fault.inspect == "the filter"
    assert fault.why.startswith("Flow 9")
    assert fault.why.endswith(": look at the filter.")
    [part] = fault.contributions
    assert (part.signal, part.unit, part.share) == ("flow", "l/min", 1)
    assert part.value < part.usual_low < 100 < part.usual_high
    assert fault.reading == ()


def test_what_only_the_model_sees_is_a_fault_too_and_its_signals_go_to_the_model_to_be_explained() -> None:
    machine = Machine()
    rows = readings(drop=0.0)
    machine.tell_all(rows[:BEGIN]).tell_all(rows[BEGIN:], start=BEGIN, probability=0.9)
    [fault] = machine.found
    assert fault.why == (
        "Each signal is near its level, but the model finds them unusual together: look at the machine."
    )
    assert fault.contributions == ()
    assert fault.reading == pytest.approx((100, 20), abs=1)


def test_where_the_model_alone_has_strayed_and_a_signal_is_out_of_its_usual_range_that_is_the_reason() -> (
    None
):
    plant = PLANT | {"signals": {"flow": {"usual": [90, 99]}, "power": {"usual": [10, 30]}}}
    machine = Machine(plant)
    rows = readings(drop=0.0)
    machine.tell_all(rows[:BEGIN]).tell_all(rows[BEGIN:], start=BEGIN, probability=0.9)
    [fault] = machine.found
    assert fault.why.startswith("Flow 100")
    assert fault.why.endswith("(usual 90 to 99): look at the machine.")
    assert fault.reading != ()


def test_while_it_learns_the_health_is_unknown() -> None:
    machine = Machine()
    seen = [machine.tell_all(row[np.newaxis], start=seq).health for seq, row in enumerate(readings(102))]
    assert seen == [Health.UNKNOWN] * 100 + [Health.HEALTHY] * 2
    assert machine.found == []


@given(st.integers(0, 10_000), st.integers(2, 200))
@settings(max_examples=25, deadline=None)
def test_readings_that_several_predictors_scatter_make_the_same_findings_as_in_order(
    seed: int, apart: int
) -> None:
    """They arrive at full speed, each up to ``apart`` places from its own."""
    rows = readings()
    plain, scattered = Machine(), Machine()
    for machine in (plain, scattered):
        machine.clock.advance(1000)
    places = np.arange(len(rows)) + np.random.default_rng(seed).uniform(0, apart, len(rows))
    places[0] = 0  # where a run begins is the first reading that is heard of it
    for seq in range(len(rows)):
        plain.tell(seq, tuple(rows[seq].tolist()))
    for seq in np.argsort(places).tolist():
        scattered.tell(seq, tuple(rows[seq].tolist()))
    assert scattered.found == plain.found
    assert len(plain.found) == 2


def test_a_reading_delivered_twice_counts_once_and_one_that_was_refused_is_not_awaited_for_long() -> None:
    rows = readings()
    plain, other = Machine().tell_all(rows), Machine()
    for seq, row in enumerate(rows.tolist()):
        other.clock.advance(1)
        if seq % 50 == 49:
            other.found += other.diagnosis.take_rejection(rejection(reason=Reason.OUT_OF_RANGE))
        else:
            other.tell(seq, tuple(row))
            other.tell(seq, tuple(row))
    assert changes(other.found) == changes(plain.found)
    assert abs(other.at(other.found[0]) - plain.at(plain.found[0])) <= 4


def test_while_a_sensor_stands_still_the_machine_is_not_blamed() -> None:
    rows = readings(drop=0.0)
    rows[BEGIN:END, 0] = 80.0  # far below, and the very same again and again
    machine = Machine().tell_all(rows)
    kinds = [finding.kind for finding in machine.found if finding.present]
    assert FindingKind.FLAT_LINE in kinds
    assert machine.health is Health.HEALTHY


@pytest.mark.parametrize("stop", [50, 99, 100, 205, 250, 310])
def test_a_restart_loses_nothing_neither_of_what_is_learned_nor_of_what_waits(stop: int) -> None:
    rows = readings()
    plain, restarted = Machine(), Machine()
    for machine in (plain, restarted):
        machine.clock.advance(1000)
        order = [*range(stop), stop + 2, stop, stop + 1, *range(stop + 3, len(rows))]
        for place, seq in enumerate(order):
            machine.tell(seq, tuple(rows[seq].tolist()))
            if machine is restarted and place == stop:
                state = json.loads(json.dumps(machine.diagnosis.snapshot("1"), allow_nan=False))
                machine.diagnosis = Diagnosis(machine.clock, Knowledge(Plant.model_validate(PLANT)))
                machine.diagnosis.restore("1", state)
    assert restarted.found == plain.found
    assert len(plain.found) == 2


def test_a_repair_that_says_so_is_learned_anew_and_a_cleaning_is_not() -> None:
    rows = readings()
    rows[END:] = rows[:100] - [8.0, 0.0]  # it stays low: repaired, it runs so
    for learn_anew in (True, False):
        began = StillClock().now()
        window = {"device": "1", "learn_anew": learn_anew} | {
            key: datetime.fromtimestamp(began + at, UTC) for key, at in (("from", 250), ("to", 260))
        }
        machine = Machine(PLANT | {"maintenance": [window]}).tell_all(rows)
        if learn_anew:
            assert changes(machine.found) == [
                (FindingKind.MACHINE_FAULT, True),
                (FindingKind.MACHINE_FAULT, False),
            ]
            assert machine.found[1].why == "It was maintained; what is usual for it is learned anew."
            assert machine.at(machine.found[1]) == 260
            assert machine.health is Health.HEALTHY
        else:
            assert machine.health is Health.FAULT


def test_a_plant_that_changes_its_mind_about_the_evidence_begins_anew_and_keeps_what_stands() -> None:
    gathered = Machine().tell_all(readings()[:250])
    assert gathered.health is Health.FAULT
    tested = Machine({"signals": PLANT["signals"]}, gathered.clock)
    tested.diagnosis.restore("1", gathered.diagnosis.snapshot("1"))
    device = tested.diagnosis.device("1")
    assert device is not None
    assert device.health is Health.UNKNOWN
    assert device.status(0).standing == {FindingKind.MACHINE_FAULT}
    tested.clock.advance(250)
    tested.tell_all(readings()[:20], start=250)
    assert changes(tested.found) == [(FindingKind.MACHINE_FAULT, False)]
    back = Machine(PLANT, gathered.clock)
    back.diagnosis.restore("1", tested.diagnosis.snapshot("1"))
    assert back.health is Health.UNKNOWN


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            '[health]\nevidence = "gatherin"',
            "health.evidence: Input should be 'sequential_test' or 'gathering'",
        ),
        (
            '[health]\nevidence = "gathering"',
            "gathering looks at the signals: expected at least one under [signals]",
        ),
        ("[gathering]\nlimit = 4", "[gathering] is not read while health.evidence is 'sequential_test'"),
        (
            '[health]\nevidence = "gathering"\n[evidence]\nprior_fault = 0.1\n[signals.a]\nusual = [1, 2]',
            "[evidence] is not read while health.evidence is 'gathering'",
        ),
        (
            '[[maintenance]]\ndevice = "*"\nweekday = "sunday"\nat = 02:00:00\nhours = 4\nlearn_anew = true',
            "learn_anew goes with from and to",
        ),
    ],
)
def test_a_plants_file_with_a_mistake_is_refused_with_a_sentence(
    tmp_path: Path, more: str, sentence: str
) -> None:
    file = tmp_path / "plant.toml"
    file.write_text(more)
    with pytest.raises(PlantError) as refused:
        Plant.read(file)
    assert sentence in str(refused.value)
