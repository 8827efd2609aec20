"""A model onto every site: the canary first, watched; then the others side by side, until the first failure.

Safe to run again: what a site has is asked of the site, so a second run goes on where the first one stopped.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from contract.timestamp import parse_timestamp
from edge_manager.models.state import ModelState

__all__ = ["Limits", "Outcome", "Pushed", "Site", "SiteFailed", "push"]


class SiteFailed(RuntimeError):  # noqa: N818 - it names what happened
    """What went wrong on a site, and what is there now."""


class Site(Protocol):
    """What can be done with the model on one site. Each may raise SiteFailed."""

    name: str

    def state(self) -> ModelState:
        """What is deployed and served."""

    def receive(self) -> None:
        """Brings the bundle there; nothing uses it yet. Again changes nothing."""

    def shadow(self, version: str) -> None:
        """Scores it beside the champion, unseen."""

    def use(self, version: str) -> None:
        """Makes it the champion."""

    def roll_back(self, why: str) -> None:
        """Makes the champion before the champion again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a canary must keep to.

    Attributes:
        shadow_s: Seconds in the shadow of the model in use, before it gives verdicts; 0 leaves that out.
        least_agreement: Share of readings on which both must say the same meanwhile.
        least_readings: That they must both have scored, for this to say anything.
        watch_s: Seconds for which it is watched as champion.
        served_within_s: Seconds within which the scoring service of a site must serve it.
        poll_s: Seconds between two looks.
    """

    shadow_s: float = 300
    least_agreement: float = 0.9
    least_readings: int = 100
    watch_s: float = 600
    served_within_s: float = 60
    poll_s: float = 5


class Outcome(StrEnum):
    """What became of a site."""

    HAS_IT = "has it"
    HAD_IT = "had it"
    FAILED = "failed"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Pushed:
    """One site afterwards."""

    site: str
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, injected."""

    now: Callable[[], float]
    """Seconds, never going back."""
    wait: Callable[[float], None]


def push(
    sites: Iterable[Site],
    canary: str,
    version: str,
    limits: Limits,
    clock: Clock,
    *,
    parallel: int,
    tell: Callable[[str], None],
) -> list[Pushed]:
    """Makes a version the champion everywhere.

    Args:
        sites: All of them, the canary too.
        canary: Its name.
        version: Of the model.
        limits: For the canary.
        clock: What the time is, and how to wait.
        parallel: How many sites at a time.
        tell: Gets a line about what happens.

    Returns:
        What became of each site, in their order. Nothing was changed anywhere when one cannot be asked beforehand.
    """
    by_name = {site.name: site for site in sites}
    done: dict[str, Pushed] = {}
    states = _ask_all(by_name, parallel, done)
    first = by_name[canary]
    if not any(each.outcome is Outcome.FAILED for each in done.values()):
        try:
            done[canary] = _canary(first, states[canary], version, limits, clock, tell)
        except SiteFailed as error:
            done[canary] = Pushed(canary, Outcome.FAILED, str(error))
        if done[canary].outcome is not Outcome.FAILED:
            others = {name: site for name, site in by_name.items() if name != canary}
            _push_others(others, states, version, limits, clock, parallel, tell, done)
    return [done.get(name, Pushed(name, Outcome.NOT_TRIED)) for name in by_name]


def _ask_all(sites: dict[str, Site], parallel: int, done: dict[str, Pushed]) -> dict[str, ModelState]:
    def ask(site: Site) -> ModelState | None:
        try:
            return site.state()
        except SiteFailed as error:
            done[site.name] = Pushed(site.name, Outcome.FAILED, str(error))
            return None

    with ThreadPoolExecutor(max_workers=parallel) as pool:
        states = dict(zip(sites, pool.map(ask, sites.values()), strict=True))
    return {name: state for name, state in states.items() if state is not None}


def _serves(state: ModelState, version: str) -> bool:
    return state.champion == version and state.serving == version


def _canary(
    site: Site, before: ModelState, version: str, limits: Limits, clock: Clock, tell: Callable[[str], None]
) -> Pushed:
    left = limits.watch_s
    had_it = _serves(before, version)
    if had_it:
        if before.deployment is None:
            return Pushed(site.name, Outcome.HAD_IT, "it came with the device")
        used_for = parse_timestamp(before.at) - parse_timestamp(before.deployment.since)
        left -= used_for.total_seconds()
        if left <= 0:
            tell(f"{site.name}: the canary has it for {used_for.total_seconds():.0f} s already")
            return Pushed(site.name, Outcome.HAD_IT)
    else:
        site.receive()
        tell(f"{site.name}: the canary has the bundle")
        if limits.shadow_s and before.serving is not None:
            _compare(site, version, limits, clock, tell)
        site.use(version)
        _wait_served(site, version, limits, clock)
    _watch(site, version, left, limits, clock, tell)
    return Pushed(site.name, Outcome.HAD_IT if had_it else Outcome.HAS_IT)


def _compare(site: Site, version: str, limits: Limits, clock: Clock, tell: Callable[[str], None]) -> None:
    """In the shadow. What fails here has never given a verdict."""
    site.shadow(version)
    tell(f"{site.name}: in the shadow for {limits.shadow_s:.0f} s")
    end = clock.now() + limits.shadow_s
    while clock.now() < end:
        clock.wait(min(limits.poll_s, max(0.0, end - clock.now())))
    state = site.state()
    found = [each for each in state.compared if each.challenger.rpartition(":")[2] == version]
    rows = sum(each.rows for each in found)
    if rows < limits.least_readings:
        raise SiteFailed(
            f"in the shadow only {rows} readings were scored by both in {limits.shadow_s:.0f} s, expected "
            f"{limits.least_readings}: no readings flow, or the scoring service refuses the bundle; it stays in "
            "the shadow"
        )
    agreement = sum(each.agreement * each.rows for each in found) / rows
    if agreement < limits.least_agreement:
        raise SiteFailed(
            f"it agrees with the model in use on {agreement:.1%} of {rows:,} readings, expected "
            f"{limits.least_agreement:.0%}; it stays in the shadow"
        )
    tell(f"{site.name}: agrees on {agreement:.2%} of {rows:,} readings")


def _wait_served(site: Site, version: str, limits: Limits, clock: Clock) -> ModelState:
    """Awaits that the scoring service gives verdicts by it, and says how it does; goes back when it does not."""
    end = clock.now() + limits.served_within_s
    state = site.state()
    while not _serves(state, version):
        if state.champion != version:
            raise SiteFailed(f"it was given up: {_why(state)}")
        if clock.now() >= end:
            site.roll_back(f"not served within {limits.served_within_s:.0f} s")
            raise SiteFailed(
                f"the scoring service still serves {state.serving} after {limits.served_within_s:.0f} s and its log "
                f"says why (a signature of nobody that it knows?); rolled back. {state.problem}"
            )
        clock.wait(limits.poll_s)
        state = site.state()
    return state


def _watch(
    site: Site, version: str, for_s: float, limits: Limits, clock: Clock, tell: Callable[[str], None]
) -> None:
    """Watches a champion: it is served, verdicts flow, and nobody has gone back; else goes back."""
    tell(f"{site.name}: watched for {for_s:.0f} s")
    if for_s <= 0:
        return
    state = site.state()
    last, verdicts = state.rows or 0.0, 0.0
    end = clock.now() + for_s
    while clock.now() < end:
        clock.wait(min(limits.poll_s, max(0.0, end - clock.now())))
        state = site.state()
        if not _serves(state, version):
            # A service may be started again meanwhile; one that does not come back to it shall not stay so.
            state = _wait_served(site, version, limits, clock)
        rows = state.rows or 0.0
        # A service that was started again counts from 0.
        verdicts, last = verdicts + (rows - last if rows >= last else rows), rows
    if not verdicts:
        site.roll_back(f"no verdict in {for_s:.0f} s")
        raise SiteFailed(f"no verdict was given in {for_s:.0f} s, so nothing is known of it; rolled back")
    tell(f"{site.name}: {verdicts:,.0f} verdicts, no roll-back")


def _why(state: ModelState) -> str:
    return state.deployment.why if state.deployment is not None else "nothing is deployed any more"


def _push_others(
    sites: dict[str, Site],
    states: dict[str, ModelState],
    version: str,
    limits: Limits,
    clock: Clock,
    parallel: int,
    tell: Callable[[str], None],
    done: dict[str, Pushed],
) -> None:
    stop = threading.Event()

    def one(site: Site) -> Pushed | None:
        if _serves(states[site.name], version):
            return Pushed(site.name, Outcome.HAD_IT)
        if stop.is_set():
            return None
        try:
            site.receive()
            site.use(version)
            _wait_served(site, version, limits, clock)
        except SiteFailed as error:
            stop.set()
            tell(f"{site.name}: failed")
            return Pushed(site.name, Outcome.FAILED, str(error))
        tell(f"{site.name}: has it")
        return Pushed(site.name, Outcome.HAS_IT)

    with ThreadPoolExecutor(max_workers=parallel) as pool:
        done.update({each.site: each for each in pool.map(one, sites.values()) if each is not None})
