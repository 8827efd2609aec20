"""Facts and findings as text for people, and as JSON for programs."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from edge_manager.device_health.facts import Facts
from edge_manager.device_health.findings import QUEUE_LIMIT, Finding

__all__ = ["as_json", "findings_text", "status_text"]

_FANS_SHOWN = 40


def as_json(facts: Facts, findings: list[Finding]) -> dict[str, Any]:
    """One object: "well" (whether nothing is wrong), "findings", and the facts."""
    return {
        "well": not findings,
        "findings": [asdict(each) for each in findings],
        **asdict(facts),
    }


def status_text(facts: Facts, findings: list[Finding]) -> str:
    """The table of `fanwatch status`."""
    return "\n".join(_status(facts, findings))


def _status(facts: Facts, findings: list[Finding]) -> Iterator[str]:
    figures = facts.figures
    count = len(findings)
    how = "all is well" if not count else f"{count} {'thing is' if count == 1 else 'things are'} wrong"
    yield f"Fanwatch {facts.place}, {facts.at}: {how}"
    yield ""
    if facts.services is None:
        yield f"services    not known: {facts.services_unknown or 'no Compose here'}"
    else:
        yield f"{'service':<12}{'state':<12}{'health':<12}newest figures"
        for service in facts.services:
            age = figures.services.get(service.name) if figures else None
            state = f"ended ({service.exit_code})" if service.state == "exited" else service.state
            yield f"{service.name:<12}{state:<12}{service.health or '-':<12}{_age(age)}"
    yield ""
    if facts.broker is not None:
        yield (
            f"broker      {facts.broker.waiting:,} messages wait ({facts.broker.waiting / QUEUE_LIMIT:.1%} of a "
            f"queue), {facts.broker.dropped:,} dropped since its start"
        )
    else:
        yield f"broker      not known: {facts.broker_unknown}"
    if facts.certificate is not None:
        yield f"certificate {facts.certificate.days_left:.0f} days left: {facts.certificate.address}"
    for disk in facts.disks:
        yield f"disk        {disk.used:.0%} used, {disk.free_bytes / 1e9:.1f} GB free: {disk.what}"
    if figures is None:
        yield f"InfluxDB    not known: {facts.figures_unknown}"
        yield "            (and so nothing is known of predictor's queue, model, heartbeat and fans)"
        return
    if figures.broker_volume_used is not None:
        yield f"            {figures.broker_volume_used:.0%} used of the broker's volume"
    waiting = figures.predictor_waiting
    yield f"predictor   {'not known' if waiting is None else f'{waiting:,}'} readings wait for their verdict"
    yield f"model       {', '.join(figures.models) or 'none, as far as the scoring service says'}"
    yield f"heartbeat   the newest verdict in InfluxDB is {_age(figures.newest_verdict_age_s)} old"
    fans = sorted(figures.fans.items(), key=lambda each: (-each[1], each[0]))
    yield f"fans        {len(fans)}, by their last contact, longest first"
    for name, age in fans[:_FANS_SHOWN]:
        yield f"  {name:<20} {_age(age)} ago"
    if len(fans) > _FANS_SHOWN:
        yield f"  and {len(fans) - _FANS_SHOWN} more, all of them later; --json lists every fan"


def findings_text(facts: Facts, findings: list[Finding]) -> str:
    """What `fanwatch doctor` says."""
    if not findings:
        return f"Fanwatch {facts.place}, {facts.at}: nothing is wrong"
    parts = [f"Fanwatch {facts.place}, {facts.at}: {len(findings)} found"]
    for finding in findings:
        commands = "\n".join(f"    {line}" for line in finding.do.splitlines())
        parts.append(f"{finding.severity.upper()} {finding.code}\n  {finding.what}\n  do:\n{commands}")
    return "\n\n".join(parts)


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{seconds:.1f} s"
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
