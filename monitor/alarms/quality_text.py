"""The quality report for a person at a terminal, and for a program or the page."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from contract.timestamp import format_timestamp
from monitor.alarms.quality import QualityReport


def report_body(report: QualityReport) -> dict[str, Any]:
    """The report as JSON's types: times as RFC 3339, priorities and outcomes by their names."""
    body: dict[str, Any] = _plain(asdict(report))
    body["priorities"] = {priority.name.lower(): count for priority, count in report.priorities.items()}
    body["outcomes"] = {outcome.value: count for outcome, count in report.outcomes.items()}
    return body


def report_json(report: QualityReport) -> str:
    """The report as JSON."""
    return json.dumps(report_body(report), indent=2)


def report_text(report: QualityReport) -> str:
    """The report as a table and lists, 100 columns wide."""
    people = f"{report.operators} operator{'' if report.operators == 1 else 's'}"
    lines = [
        f"Alarms from {report.start:%Y-%m-%d %H:%M} to {report.end:%Y-%m-%d %H:%M} UTC, for {people}",
        f"{report.alarms} alarms: {report.verdict} (EEMUA 191)",
        "",
    ]
    for measure in report.measures:
        word = {True: "good", False: "bad", None: "-"}[measure.met]
        value = f"{measure.value:.3g} {measure.unit}"
        lines.append(f"  {word:<5}{measure.name:<38}{value:<28}{measure.target:<12}{measure.source}")
    if report.worst:
        lines += ["", "Most frequent"]
        lines += [
            f"  {each.alarms:>6}  {100 * each.share:>5.1f} %  {each.device_id}, {_kind(each.kind)}"
            for each in report.worst
        ]
    if report.chattering:
        lines += ["", "Chattering: alarms in their worst minute"]
        lines += [f"  {each.alarms:>6}  {each.device_id}, {_kind(each.kind)}" for each in report.chattering]
    if report.stale:
        lines += ["", "Stale: active for more than a day"]
        lines += [
            f"  {each.hours:>6.0f} h  {each.device_id}, {_kind(each.kind)}, alarm {each.alarm_id}"
            for each in report.stale
        ]
    if report.floods:
        lines += ["", "Floods"]
        lines += [
            f"  {flood.start:%Y-%m-%d %H:%M} to {flood.end:%H:%M}: {flood.alarms} alarms, at most "
            f"{flood.most_in_10_minutes} in 10 minutes"
            for flood in report.floods
        ]
    counts = ", ".join(f"{count} {priority.name.lower()}" for priority, count in report.priorities.items())
    found = ", ".join(f"{count} {outcome.value}" for outcome, count in report.outcomes.items())
    return "\n".join([*lines, "", f"Priorities: {counts}", f"Closed as: {found}"])


def _kind(kind: str) -> str:
    return str(kind).replace("_", " ")


def _plain(value: Any) -> Any:  # noqa: ANN401 - anything that a dataclass may hold
    if isinstance(value, datetime):
        return format_timestamp(value)
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
