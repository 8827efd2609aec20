"""`python -m benchmarks.sizing`: measures, unless `--table`, and writes the tables of docs/sizing.md anew."""

import json
import sys
from pathlib import Path

from benchmarks.sizing.measures import measure_all
from benchmarks.sizing.table import as_markdown

RESULTS = Path(__file__).parents[1] / "results"
PAGE = Path(__file__).parents[2] / "docs" / "sizing.md"
BEGIN, END = "<!-- begin: benchmarks.sizing -->\n", "<!-- end -->\n"


def main() -> None:
    """Measure and write."""
    if "--table" not in sys.argv:
        (RESULTS / "sizing.json").write_text(json.dumps(measure_all(), indent=1) + "\n")
    sizing = json.loads((RESULTS / "sizing.json").read_text())
    table = as_markdown(json.loads((RESULTS / "latest.json").read_text()), sizing)
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    PAGE.write_text(before + BEGIN + table + END + rest.split(END, 1)[1])
    print(json.dumps(sizing, indent=1))
    print(table)


if __name__ == "__main__":
    main()
