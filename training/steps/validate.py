"""Validate: bad rows are reported and left out; too many of them end the run."""

import json

import pandas as pd

from training.readings_file import DEVICE, TIME, write_table
from training.readings_schema import Checked, check_readings
from training.steps import extract
from training.steps.runner import Outcome, Run, Step, StepFailed

NAME = "validate"
ROWS_FILE = "rows.csv"
BAD_ROWS_FILE = "bad_rows.csv"
GAPS_FILE = "gaps.csv"
REPORT_FILE = "report.json"
_SHOWN = 3


def _work(run: Run) -> Outcome:
    order, folder = run.order, run.of(NAME)
    text = pd.read_csv(run.of(extract.NAME) / extract.READINGS_FILE, dtype=str, keep_default_na=False)
    checked = check_readings(text, order.signals)
    write_table(folder / ROWS_FILE, checked.good)
    write_table(folder / BAD_ROWS_FILE, checked.bad)
    write_table(folder / GAPS_FILE, checked.gaps)
    (folder / REPORT_FILE).write_text(json.dumps(_report(checked, order.names), indent=2) + "\n")
    share = checked.bad_rows / max(1, len(text))
    if not len(checked.good) or share > order.most_bad_share:
        raise StepFailed(
            f"{checked.bad_rows} of {len(text)} rows are bad, {share:.1%}; expected at most {order.most_bad_share:.1%} "
            f"(--most-bad). {_shown(checked)} All of them: {folder / BAD_ROWS_FILE}"
        )
    bad = (
        f"{checked.bad_rows} bad rows left out ({folder / BAD_ROWS_FILE})"
        if checked.bad_rows
        else "no bad row"
    )
    gaps = f"{len(checked.gaps)} gaps" if len(checked.gaps) else "no gap"
    return Outcome(f"{len(checked.good)} rows are good, {bad}, {gaps}")


def _shown(checked: Checked) -> str:
    first = checked.bad.head(_SHOWN)
    return " ".join(
        f"{row[DEVICE]} at {row[TIME]}: {row['column']}: expected {row['expected']}, found {row['found']!r}."
        for _, row in first.iterrows()
    )


def _report(checked: Checked, names: list[str]) -> dict[str, object]:
    good = checked.good
    return {
        "good_rows": len(good),
        "bad_rows": checked.bad_rows,
        "objections": checked.bad.groupby(["column", "expected"]).size().reset_index().values.tolist(),
        "gaps": len(checked.gaps),
        "rows_by_device": {str(device): int(rows) for device, rows in good[DEVICE].value_counts().items()},
        "first": str(good[TIME].min()),
        "last": str(good[TIME].max()),
        "quartiles": {name: good[name].quantile([0, 0.25, 0.5, 0.75, 1]).tolist() for name in names},
    }


VALIDATE = Step(
    name=NAME,
    purpose="columns, ranges, duplicates, gaps",
    asks=("columns", "most_bad_share"),
    after=(extract.NAME,),
    work=_work,
)
