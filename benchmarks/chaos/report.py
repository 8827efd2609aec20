"""The run as JSON and as a Markdown table."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.chaos.machine import machine
from benchmarks.chaos.trial import Result


@dataclass(frozen=True)
class Report:
    """A whole run."""

    stack: str
    seed: int
    results: Sequence[Result]
    left_out: dict[int, str]
    """Cases that could not run here, and why."""

    @property
    def passed(self) -> bool:
        """Whether every case that ran was as it must be."""
        return all(result.passed for result in self.results)

    def as_json(self) -> dict[str, Any]:
        """Everything that was counted."""
        return {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": machine(),
            "stack": self.stack,
            "seed": self.seed,
            "passed": self.passed,
            "cases": [dataclasses.asdict(result) | {"passed": result.passed} for result in self._in_order()],
            "left_out": {str(number): why for number, why in self.left_out.items()},
        }

    def as_markdown(self) -> str:
        """A sentence on where and when, and a row a case."""
        where = machine()
        ran = (
            f"{datetime.now(UTC).date().isoformat()}, {self.stack}, {where['cores']} cores ({where['cpu']}), "
            f"{where['memory_gib']} GiB, {where['system']}, seed {self.seed}."
        )
        lines = [
            ran,
            "",
            "| case | what was done | acknowledged | lost | outcome | measured |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_row(result) for result in self._in_order()]
        lines += [f"| {number} | left out: {why} | | | | |" for number, why in sorted(self.left_out.items())]
        return "\n".join(lines) + "\n"

    def _in_order(self) -> list[Result]:
        return sorted(self.results, key=lambda result: result.number)

    def write(self, folder: Path) -> None:
        """Write chaos.json and chaos.md."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "chaos.json").write_text(json.dumps(self.as_json(), indent=2) + "\n")
        (folder / "chaos.md").write_text(self.as_markdown())


def _row(result: Result) -> str:
    size = "" if result.scale == 1 else f" (at {result.scale:.0%} of its size)"
    outcome = result.outcome if result.passed else "FAILED: " + "; ".join(result.failures)
    measured = "; ".join(f"{name} {value}" for name, value in result.figures.items())
    cells = [
        str(result.number),
        result.name + size,
        f"{result.acknowledged:,}",
        f"{result.lost:,}",
        outcome,
        measured,
    ]
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
