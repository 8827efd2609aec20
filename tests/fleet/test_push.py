"""The order of a push and what stops it, with a played clock: days of watching take no time."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from contract.deployment import Deployment
from contract.timestamp import format_timestamp
from edge_manager.fleet.push import Clock, Limits, Outcome, Pushed, SiteFailed, push
from edge_manager.models.state import Compared, ModelState

START = datetime(2026, 11, 27, 12, tzinfo=UTC)
LIMITS = Limits(
    shadow_s=300, least_agreement=0.9, least_readings=100, watch_s=600, served_within_s=60, poll_s=5
)


@dataclass
class Time:
    """Stands still until somebody waits."""

    seconds: float = 0.0

    def now(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.seconds += seconds

    @property
    def date(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


@dataclass
class PlayedSite:
    """A site that does what it is told, unless a test says otherwise."""

    name: str
    time: Time
    log: list[str]
    deployment: Deployment = field(
        default_factory=lambda: Deployment.first("fan", "1", at=START - timedelta(days=1), why="it came")
    )
    rate: float = 10.0
    agreement: float = 0.99
    gives_up_at: float | None = None
    restarts_at: float | None = None
    serves_new: bool = True
    serves: dict[tuple[float, float], str | None] = field(default_factory=dict)
    """What its scoring service serves from one moment to another, whatever it was told; None while it is away."""
    is_gone: bool = False

    def state(self) -> ModelState:
        if self.is_gone:
            raise SiteFailed("not reached")
        if (
            self.gives_up_at is not None
            and self.time.seconds >= self.gives_up_at
            and self.deployment.champion == "2"
        ):
            self.deployment = self.deployment.rolled_back(at=self.time.date, why="by itself: too slow")
        since = self.time.seconds - (self.restarts_at or 0)
        rows = self.rate * (since if since >= 0 else self.time.seconds)
        challenger = self.deployment.challenger
        compared = (
            Compared(
                champion="fan:1", challenger=f"fan:{challenger}", rows=int(rows), agreement=self.agreement
            ),
        )
        return ModelState(
            model="fan",
            at=format_timestamp(self.time.date),
            deployment=self.deployment,
            versions=("1", "2"),
            serving=self.serving,
            rows=rows,
            compared=compared if challenger else (),
        )

    @property
    def serving(self) -> str | None:
        for (since, until), version in self.serves.items():
            if since <= self.time.seconds < until:
                return version
        return self.deployment.champion if self.serves_new else "1"

    def receive(self) -> None:
        self.log.append(f"{self.name} receive")

    def shadow(self, version: str) -> None:
        self.log.append(f"{self.name} shadow {version}")
        self.deployment = self.deployment.shadowed(version, at=self.time.date, why="push")

    def use(self, version: str) -> None:
        self.log.append(f"{self.name} use {version}")
        self.deployment = self.deployment.promoted(version, at=self.time.date, why="push")

    def roll_back(self, why: str) -> None:
        self.log.append(f"{self.name} roll back: {why}")
        self.deployment = self.deployment.rolled_back(at=self.time.date, why=why)


def made(*names: str) -> tuple[Time, list[str], dict[str, PlayedSite]]:
    time, log = Time(), list[str]()
    return time, log, {name: PlayedSite(name, time, log) for name in names}


def run(time: Time, sites: dict[str, PlayedSite], canary: str = "a") -> dict[str, Pushed]:
    found = push(
        sites.values(), canary, "2", LIMITS, Clock(time.now, time.wait), parallel=1, tell=lambda _line: None
    )
    assert [each.site for each in found] == list(sites)
    return {each.site: each for each in found}


def outcomes(found: dict[str, Pushed]) -> dict[str, Outcome]:
    return {name: each.outcome for name, each in found.items()}


def test_the_canary_is_in_the_shadow_then_watched_before_another_site_is_touched() -> None:
    time, log, sites = made("a", "b")
    assert outcomes(run(time, sites)) == {"a": Outcome.HAS_IT, "b": Outcome.HAS_IT}
    assert log == ["a receive", "a shadow 2", "a use 2", "b receive", "b use 2"]
    assert time.seconds == LIMITS.shadow_s + LIMITS.watch_s


def test_a_canary_that_is_given_up_by_itself_while_it_is_watched_stops_everything() -> None:
    time, log, sites = made("a", "b")
    sites["a"].gives_up_at = 500
    found = run(time, sites)
    assert outcomes(found) == {"a": Outcome.FAILED, "b": Outcome.NOT_TRIED}
    assert "too slow" in found["a"].detail
    assert "b receive" not in log


def test_a_canary_that_few_readings_reach_never_gives_a_verdict() -> None:
    time, log, sites = made("a", "b")
    sites["a"].rate = 0.1
    found = run(time, sites)
    assert outcomes(found) == {"a": Outcome.FAILED, "b": Outcome.NOT_TRIED}
    assert "only 30 readings were scored by both" in found["a"].detail
    assert "a use 2" not in log


def test_a_service_that_was_started_again_meanwhile_still_counts_as_giving_verdicts() -> None:
    time, _, sites = made("a")
    sites["a"].restarts_at = 800
    assert outcomes(run(time, sites)) == {"a": Outcome.HAS_IT}


@pytest.mark.parametrize("instead", ["1", None])
def test_a_canary_whose_service_no_longer_serves_it_while_it_is_watched_goes_back(
    instead: str | None,
) -> None:
    time, log, sites = made("a", "b")
    sites["a"].serves[500, 10_000] = instead
    found = run(time, sites)
    assert outcomes(found) == {"a": Outcome.FAILED, "b": Outcome.NOT_TRIED}
    assert "a roll back: not served within 60 s" in log
    assert sites["a"].deployment.champion == "1"
    assert "rolled back" in found["a"].detail
    assert "b receive" not in log


@pytest.mark.parametrize("instead", ["1", None])
def test_a_service_that_is_started_again_has_the_time_that_any_site_has_to_serve_it(
    instead: str | None,
) -> None:
    time, log, sites = made("a")
    sites["a"].serves[500, 545] = instead
    assert outcomes(run(time, sites)) == {"a": Outcome.HAS_IT}
    assert log == ["a receive", "a shadow 2", "a use 2"]


def test_a_canary_that_was_interrupted_is_watched_for_the_rest_of_its_time_alone() -> None:
    time, log, sites = made("a", "b")
    sites["a"].deployment = sites["a"].deployment.promoted("2", at=START - timedelta(seconds=400), why="push")
    assert outcomes(run(time, sites)) == {"a": Outcome.HAD_IT, "b": Outcome.HAS_IT}
    assert time.seconds == LIMITS.watch_s - 400
    assert log == ["b receive", "b use 2"]


def test_a_site_that_does_not_serve_it_in_time_goes_back_and_the_rest_is_not_tried() -> None:
    time, log, sites = made("a", "b", "c")
    sites["b"].serves_new = False
    assert outcomes(run(time, sites)) == {"a": Outcome.HAS_IT, "b": Outcome.FAILED, "c": Outcome.NOT_TRIED}
    assert "b roll back: not served within 60 s" in log
    assert not [line for line in log if line.startswith("c ")]


def test_a_site_that_cannot_be_asked_beforehand_keeps_everything_as_it_is() -> None:
    time, log, sites = made("a", "b", "c")
    sites["c"].is_gone = True
    assert outcomes(run(time, sites)) == {"a": Outcome.NOT_TRIED, "b": Outcome.NOT_TRIED, "c": Outcome.FAILED}
    assert log == []
