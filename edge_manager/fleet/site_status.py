"""How every site does: what `fanwatch status --json` says there."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from edge_manager.fleet.fleet_file import Fleet, SiteAddress
from edge_manager.fleet.ssh import Ssh, Unreachable

__all__ = ["SiteStatus", "ask_sites", "status_table"]

STATUS_WITHIN_S = 90
_NOT_FOUND = 127
"""The exit status of a shell that found no such command (POSIX, Shell Command Language, 2.8.2)."""


@dataclass(frozen=True, slots=True)
class SiteStatus:
    """One site.

    Attributes:
        site: Its name.
        well: Whether nothing is wrong there; None when it could not be asked.
        problem: Why it could not be asked.
        findings: What is wrong, a sentence each.
        models: Those that give verdicts.
        newest_verdict_age_s: Of the newest verdict that is stored; None when not known.
    """

    site: str
    well: bool | None
    problem: str = ""
    findings: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    newest_verdict_age_s: float | None = None
    told: dict[str, object] = field(default_factory=dict, repr=False)


def ask_sites(ssh: Ssh, fleet: Fleet, *, parallel: int) -> list[SiteStatus]:
    """Asks all of them side by side; in their order."""
    with ThreadPoolExecutor(max_workers=parallel) as pool:
        return list(pool.map(lambda site: _ask(ssh, fleet, site), fleet.sites))


def _ask(ssh: Ssh, fleet: Fleet, site: SiteAddress) -> SiteStatus:
    try:
        answer = ssh.run(site, fleet.status_command, within_s=STATUS_WITHIN_S)
    except Unreachable as error:
        return SiteStatus(site.name, None, f"not reached: {error}")
    try:
        told = json.loads(answer.output)
        figures = told.get("figures") or {}
        return SiteStatus(
            site.name,
            bool(told["well"]),
            findings=tuple(f"{each['code']}: {each['what']}" for each in told["findings"]),
            models=tuple(figures.get("models") or ()),
            newest_verdict_age_s=figures.get("newest_verdict_age_s"),
            told=told,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        problem = f"`{fleet.status_command}`: {answer.complaint}"
        if answer.status == _NOT_FOUND:
            program = fleet.status_command.split()[0]
            problem = (
                f"there is no {program} in the PATH of its SSH sessions: name its whole path in status_command "
                "(docs/fleet.md)"
            )
        return SiteStatus(site.name, None, problem)


def status_table(found: list[SiteStatus]) -> str:
    """A line a site, and what is wrong below it."""
    return "\n".join(_lines(found))


def _lines(found: list[SiteStatus]) -> Iterator[str]:
    width = max(len("site"), *(len(each.site) for each in found))
    yield f"{'site':<{width}}  {'state':<12}  {'model':<12}  newest verdict"
    for each in found:
        state = {True: "well", False: "not well", None: "not asked"}[each.well]
        age = "-" if each.newest_verdict_age_s is None else f"{each.newest_verdict_age_s:.0f} s ago"
        yield f"{each.site:<{width}}  {state:<12}  {', '.join(each.models) or '-':<12}  {age}"
        for line in (each.problem, *each.findings):
            if line:
                yield f"{'':<{width}}    {line}"
    well = sum(each.well is True for each in found)
    yield f"{well} of {len(found)} {'site is' if len(found) == 1 else 'sites are'} well"
