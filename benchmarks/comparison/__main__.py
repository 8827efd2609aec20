"""`python -m benchmarks.comparison`: measures, unless `--table`, and writes the tables of docs/comparison.md anew."""

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.comparison.asking import measure
from benchmarks.comparison.forms import FORMS, layers
from benchmarks.comparison.table import RATES, blocks
from benchmarks.speed.report import machine

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "comparison.md"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="Measure nothing; the page alone.")
    parser.add_argument(
        "--form", action="append", choices=list(FORMS), help="Which to measure; may repeat. Both without it."
    )
    parser.add_argument("--rounds", type=int, default=2, help="The forms take turns in each.")
    parser.add_argument("--seconds", type=int, default=20, help="At each rate.")
    options = parser.parse_args()
    file = RESULTS / "comparison.json"
    held = json.loads(file.read_text())
    if not options.table:
        run = measure_run(options.form or list(FORMS), options.rounds, options.seconds)
        held = {"runs": [*still_needed(held["runs"], run), run]}
        file.write_text(json.dumps(held, indent=1) + "\n")
    page = PAGE.read_text()
    for name, table in blocks(json.loads((RESULTS / "latest.json").read_text()), held).items():
        begin, end = f"<!-- begin: benchmarks.comparison {name} -->\n", "<!-- end -->\n"
        before, rest = page.split(begin)
        page = before + begin + table + end + rest.split(end, 1)[1]
    PAGE.write_text(page)


def measure_run(forms: list[str], rounds: int, seconds: int) -> dict[str, Any]:
    """Each form in turn, each started anew in every round."""
    before = os.getloadavg()[0]
    measured: dict[str, list[dict[str, Any]]] = {form: [] for form in forms}
    for number in range(1, rounds + 1):
        for form in forms:
            sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} round {number} of {rounds}: {form}\n")
            with FORMS[form]() as service:
                rates = [measure(service, rate, seconds) for rate in RATES]
                measured[form].append(
                    {"rates": rates, "memory_mb": service.memory_mb(), "ready_s": service.ready_s}
                )
    here = machine()
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "about": f"{here['cores']} cores of {here['cpu']}, bare on Python {here['python']}, load before it "
        f"{before:.1f}, {seconds} s at each rate",
        "machine": here,
        "forms": measured,
        **({"layers": layers()} if "container" in forms else {}),
    }


def still_needed(earlier: list[dict[str, Any]], run: dict[str, Any]) -> list[dict[str, Any]]:
    """The earlier runs that hold a form which this one has not."""
    return [each for each in earlier if set(each["forms"]) - set(run["forms"])]


if __name__ == "__main__":
    main()
