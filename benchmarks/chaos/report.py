"""The outcome of every case as JSON and as a Markdown table; a run of some cases leaves the other rows as they were."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.chaos.machine import machine
from benchmarks.chaos.trial import Result

JSON_FILE = "chaos.json"
MARKDOWN_FILE = "chaos.md"


def record(
    folder: Path, stack: str, results: Sequence[Result], left_out: Mapping[int, str]
) -> dict[str, Any]:
    """Write chaos.json and chaos.md.

    Args:
        folder: Where; made if it is not there.
        stack: What the cases ran on.
        results: Of this run.
        left_out: Cases that could not run here, and why.

    Returns:
        What chaos.json holds now: rows of an earlier run stay when they come from this machine and this kind of stack.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = _rows_of_before(folder / JSON_FILE, stack)
    today = datetime.now(UTC).date().isoformat()
    for result in results:
        rows[result.number] = {"date": today, "passed": result.passed} | dataclasses.asdict(result)
    for number, why in left_out.items():
        rows[number] = {"date": today, "number": number, "left_out": why}
    content = {
        "machine": machine(),
        "stack": stack,
        "cases": [rows[number] for number in sorted(rows)],
    }
    (folder / JSON_FILE).write_text(json.dumps(content, indent=2) + "\n")
    (folder / MARKDOWN_FILE).write_text(as_markdown(content))
    return content


def as_markdown(content: Mapping[str, Any]) -> str:
    """A sentence on the machine, and a row a case."""
    where = content["machine"]
    ran_on = f"{where['cores']} cores ({where['cpu']}), {where['memory_gib']} GiB, {where['system']}"
    lines = [
        f"{ran_on}; the stack as {content['stack']}.",
        "",
        "| case | what was done | acknowledged | lost | outcome | measured | date, seed |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_row(case) for case in content["cases"]]
    return "\n".join(lines) + "\n"


def _rows_of_before(file: Path, stack: str) -> dict[int, dict[str, Any]]:
    if not file.exists():
        return {}
    before = json.loads(file.read_text())
    if before["machine"] != machine() or before["stack"] != stack:
        return {}
    return {case["number"]: case for case in before["cases"]}


def _row(case: Mapping[str, Any]) -> str:
    if "left_out" in case:
        cells = [case["number"], f"left out: {case['left_out']}", "", "", "", "", case["date"]]
    else:
        size = "" if case["scale"] == 1 else f" (at {case['scale']:.0%} of its size)"
        outcome = case["outcome"] if case["passed"] else "FAILED: " + "; ".join(case["failures"])
        measured = "; ".join(f"{name} {_shown(value)}" for name, value in case["figures"].items())
        cells = [
            case["number"],
            case["name"] + size,
            f"{case['acknowledged']:,}",
            f"{case['lost']:,}",
            outcome,
            measured,
            f"{case['date']}, {case['seed']}",
        ]
    return "| " + " | ".join(str(cell).replace("|", "/").replace("\n", " ") for cell in cells) + " |"


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.10g}"
