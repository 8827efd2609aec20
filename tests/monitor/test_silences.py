"""Who is called silent, and when it is the way of all readings: one finding, and none of a machine beneath it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contract.rejection import Reason
from monitor.diagnosis.core import Diagnosis
from monitor.diagnosis.knowledge import Knowledge
from monitor.diagnosis.plant import Maintenance, Plant
from monitor.findings import Finding, FindingKind
from monitor.silences import WAY, Silences
from tests.monitor.made_verdicts import rejection
from tests.monitor.still_clock import StillClock

SILENT_AFTER_S = 30
WELL = (600.0, 40.0, 150.0, 48.0)
AT_REST = (0.0, 21.0, 0.0, 30.0)
PLANT = Plant.read()
DOWN, SILENT = FindingKind.NO_VERDICTS, FindingKind.SILENCE


@dataclass
class Told:
    """A diagnosis of some machines, looked at once a second; and what stands."""

    plant: Plant = PLANT
    clock: StillClock = field(default_factory=StillClock)
    offline: set[str] = field(default_factory=set)
    excused: set[str] = field(default_factory=set)
    listening: int | None = 1
    standing: set[tuple[str, FindingKind]] = field(default_factory=set)
    found: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.diagnosis = Diagnosis(self.clock, Knowledge(self.plant))
        self.restart()
        self._seq = 0

    def restart(self) -> None:
        """As a new process begins, with what the last one knew of the machines."""
        self.silences = Silences(self.diagnosis, self.clock, SILENT_AFTER_S)

    def second(self, *speaking: str, refused: str = "", values: tuple[float, ...] = WELL) -> list[Finding]:
        """One second passes, in which these speak; what changed."""
        self.clock.advance(1)
        found: list[Finding] = []
        for device in speaking:
            self._seq += 1
            moving = tuple(value + self._seq % 7 / 10 if value else value for value in values)
            found += self.diagnosis.take(device, self.clock.now(), 0.05, moving, "boot", self._seq)
        if refused:
            found += self.diagnosis.take_rejection(rejection(refused, Reason.SIGNAL_MISSING))
        found += self.silences.look(
            self.listening, verdicts=bool(speaking), offline=self.offline, excused=self.excused
        )
        for each in found:
            (self.standing.add if each.present else self.standing.discard)((each.device_id, each.kind))
        self.found += found
        return found

    def seconds(self, count: int, *speaking: str, values: tuple[float, ...] = WELL) -> None:
        for _ in range(count):
            self.second(*speaking, values=values)

    def silent(self) -> set[str]:
        return {device for device, kind in self.standing if kind is SILENT}

    @property
    def down(self) -> bool:
        down = (WAY, DOWN) in self.standing
        assert self.silences.way_is_down is down
        return down


SIX = tuple("123456")


def test_one_machine_that_falls_silent_among_others_is_silent_and_nothing_else_is() -> None:
    told = Told()
    told.seconds(20, *SIX)
    told.seconds(29, *SIX[1:])
    assert told.standing == set()
    told.second(*SIX[1:])
    assert told.standing == {("1", SILENT)}
    told.second(*SIX)
    assert told.standing == set()


def test_all_machines_silent_at_once_are_one_finding_of_the_way() -> None:
    told = Told()
    told.seconds(20, *SIX)
    told.seconds(29)
    assert told.standing == set()
    [finding] = told.second()
    assert (finding.device_id, finding.kind, finding.at) == (
        WAY,
        DOWN,
        datetime.fromtimestamp(told.clock.now(), UTC),
    )
    assert (
        finding.why
        == "No verdict for 30 seconds, of 6 machines that were heard before: the predictor is online."
    )
    assert "scoring service" in finding.inspect
    told.seconds(3600)
    assert told.standing == {(WAY, DOWN)}
    assert len(told.found) == 2, "it is told once, after the first verdict's word that all is well"


def test_a_machine_that_spoke_some_seconds_before_the_way_went_down_is_not_silent_for_that() -> None:
    told = Told()
    told.seconds(20, *SIX)
    told.seconds(10, *SIX[1:])
    told.seconds(60)
    assert told.standing == {(WAY, DOWN)}


def test_machines_that_are_all_worked_on_make_no_finding_of_the_way() -> None:
    told = Told()
    told.excused = set(SIX[1:])
    told.seconds(20, *SIX)
    told.seconds(60)
    assert not told.down
    assert told.silent() == set(SIX), "the alarms' desk keeps them from view"


def test_a_predictor_that_is_offline_is_named_and_named_again_when_it_is_back() -> None:
    told = Told()
    told.seconds(20, *SIX)
    told.offline = {"predictor", "simulator"}
    told.seconds(31)
    assert told.found[-1].why.endswith("heard before: predictor offline.")
    assert told.found[-1].inspect == "predictor"
    told.offline = set()
    [finding] = told.second()
    assert (finding.present, finding.why.endswith("the predictor is online.")) == (True, True)


def test_when_it_is_back_everybody_has_a_full_time_to_speak_and_who_does_not_is_silent() -> None:
    told = Told()
    told.seconds(20, *SIX)
    told.seconds(600)
    [back] = told.second("2")
    assert (back.kind, back.present) == (DOWN, False)
    told.seconds(29, "2", "3", "4", "5")
    assert told.standing == set()
    told.second("2", "3", "4", "5")
    assert told.standing == {("1", SILENT), ("6", SILENT)}


def test_a_machine_of_a_plant_of_one_is_silent_itself_unless_the_predictor_is_offline() -> None:
    for offline, standing in ((set(), {("1", SILENT)}), ({"predictor"}, {(WAY, DOWN)})):
        told = Told(offline=offline)
        told.seconds(20, "1")
        told.seconds(31)
        assert told.standing == standing
        told.second("1")
        assert told.standing == set()


def test_who_is_silent_already_or_switched_off_or_in_maintenance_does_not_make_a_second_one() -> None:
    soon = datetime.fromtimestamp(StillClock().now(), UTC)
    window = Maintenance.model_validate({"device": "3", "from": soon, "to": soon.replace(year=2030)})
    told = Told(PLANT.model_copy(update={"maintenance": (window,)}))
    told.seconds(20, "1", "2", "3", "4")
    told.seconds(40, "1", "2", "3")
    assert told.silent() == {"4"}
    told.seconds(10, "2", values=AT_REST)
    told.second("1")
    told.seconds(31)
    assert told.standing == {("4", SILENT), ("1", SILENT)}, "only one of them was expected to speak"


def test_refusals_go_on_while_the_scoring_service_is_away_and_are_no_sign_of_it() -> None:
    told = Told()
    told.seconds(20, *SIX)
    for _ in range(60):
        told.second(refused="1")
    assert told.silent() == set()
    assert told.down


def test_a_plant_whose_every_reading_is_refused_is_heard() -> None:
    told = Told()
    told.seconds(5, "1", "2")
    for _ in range(60):
        told.second(refused="1")
        told.second(refused="2")
    assert told.silent() == set()
    assert not told.down


def test_while_we_are_deaf_nothing_is_down_and_afterwards_the_time_begins_anew() -> None:
    told = Told()
    told.seconds(20, *SIX)
    told.listening = None
    told.seconds(600)
    told.listening = 2
    told.seconds(30)
    assert told.standing == set()
    told.second()
    assert told.standing == {(WAY, DOWN)}


@pytest.mark.parametrize("back", [False, True])
def test_a_new_process_ends_what_the_last_one_found_or_finds_it_again(back: bool) -> None:
    told = Told()
    told.seconds(20, *SIX)
    told.seconds(60)
    told.restart()
    told.seconds(60, *(SIX if back else ()))
    assert told.down is not back
    assert told.silent() == set()


def test_machines_that_speak_seldom_are_judged_by_each_others_word() -> None:
    told = Told()
    for second in range(400):
        told.second(
            *(["1"] if second % 25 == 0 else []), *(["2"] if second % 25 == 12 and second < 200 else [])
        )
        assert not told.down
    assert told.standing == {("2", SILENT)}


class AnyOutages(RuleBasedStateMachine):
    """Machines live and die, the way goes down and up, the monitor goes deaf and is killed, in any order."""

    @initialize(machines=st.integers(2, 5))
    def begin(self, machines: int) -> None:
        self.told = Told()
        self.alive = dict.fromkeys([str(n) for n in range(machines)], True)
        self.up = True
        self.deaf = False
        self.up_s = 0
        """Seconds in which the way was up and somebody was heard, without a gap, and the monitor listening."""
        self.dead_s = dict.fromkeys(self.alive, 0)
        """Of these the last in which a machine was dead."""
        self.nothing_s = 0
        """Seconds in which nobody was heard, and the monitor listening."""
        self.told.seconds(3, *self.alive)

    @rule(seconds=st.sampled_from([1, 7, 29, 30, 31, 62]))
    def time_passes(self, seconds: int) -> None:
        for _ in range(seconds):
            heard = [name for name, alive in self.alive.items() if alive and self.up and not self.deaf]
            self.told.second(*heard)
            self.up_s = self.up_s + 1 if heard else 0
            self.nothing_s = 0 if heard or self.deaf else self.nothing_s + 1
            for name, alive in self.alive.items():
                self.dead_s[name] = self.dead_s[name] + 1 if heard and not alive else 0
            self.check()

    @rule(number=st.integers(0, 4))
    def machine_dies_or_lives(self, number: int) -> None:
        name = str(number % len(self.alive))
        self.alive[name] = not self.alive[name]

    @rule()
    def way_goes_down_or_up(self) -> None:
        self.up = not self.up

    @rule()
    def monitor_is_deaf_or_hears(self) -> None:
        self.deaf = not self.deaf
        self.told.listening = None if self.deaf else (self.told.listening or 0) + 1
        self.up_s = self.nothing_s = 0

    @rule()
    def monitor_is_killed(self) -> None:
        self.told.restart()
        self.up_s = self.nothing_s = 0
        self.dead_s = dict.fromkeys(self.alive, 0)

    def check(self) -> None:
        new = {each.device_id for each in self.told.found if each.kind is SILENT and each.present}
        self.told.found = [each for each in self.told.found if each.kind is not SILENT]
        for name in new - {WAY}:
            assert not self.alive[name] or not self.up, "it speaks, and is called silent"
        if len(new) > 1:
            assert self.up_s, "more than one is called silent while nobody speaks"

    @precondition(lambda self: hasattr(self, "told"))
    @invariant()
    def while_somebody_is_heard_the_way_is_not_down(self) -> None:
        if self.up_s:
            assert not self.told.down

    @precondition(lambda self: hasattr(self, "told"))
    @invariant()
    def a_machine_that_is_dead_among_living_is_found(self) -> None:
        for name, seconds in self.dead_s.items():
            if seconds > SILENT_AFTER_S + 1:
                assert name in self.told.silent()

    @precondition(lambda self: hasattr(self, "told"))
    @invariant()
    def when_nothing_comes_somebody_is_told(self) -> None:
        if self.nothing_s > SILENT_AFTER_S + 1:
            assert self.told.down or self.told.silent()


AnyOutages.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAnyOutages = AnyOutages.TestCase
