"""``fanwatch alarms``: how good the alarms are, and what technicians found as labels for training."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

# What these commands use is loaded by each of them: `fanwatch --help` must not wait for it.

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_show_locals=False)
alarms = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="How good the alarms are, and labels from closed ones.",
    epilog="""\b
Examples:
  fanwatch alarms report --days 30          against the figures of EEMUA 191 and ISA-18.2
  fanwatch alarms labels --out labels.csv   what technicians found, for training""",
)
app.add_typer(alarms, name="alarms")


@app.callback()
def _room() -> None:
    """The monitor's commands."""


AlarmFile = Annotated[
    Path | None,
    typer.Option(
        "--file",
        help="The alarms' SQLite file; FANWATCH_ALARM_FILE if not given. The monitor may be running.",
    ),
]


@alarms.command(
    epilog="""\b
Examples:
  fanwatch alarms report --file alarms.sqlite3 --days 30 --operators 2
  fanwatch alarms report --json"""
)
def report(
    file: AlarmFile = None,
    days: Annotated[float, typer.Option(min=0.01, help="The last so many days.")] = 7,
    operators: Annotated[
        int | None,
        typer.Option(min=1, help="People who share the alarms; FANWATCH_ALARM_OPERATORS if not given."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for a program.")] = False,
) -> None:
    """Chattering, stale, flooding and the ten worst, against the figures of EEMUA 191 and ISA-18.2."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    from monitor.alarms.database import AlarmDatabase, StoreError  # noqa: PLC0415
    from monitor.alarms.history import AlarmHistory  # noqa: PLC0415
    from monitor.alarms.quality import assess  # noqa: PLC0415
    from monitor.alarms.quality_text import report_json, report_text  # noqa: PLC0415
    from monitor.alarms.settings import AlarmSettings  # noqa: PLC0415

    settings = AlarmSettings.read()
    end = datetime.now(UTC)
    start = end - timedelta(days=days)
    try:
        with AlarmDatabase(file or settings.alarm_file, read_only=True) as database:
            history = AlarmHistory(database)
            found = assess(
                history.journal(start=start, end=end),
                history.occurrences(since=start),
                start=start,
                end=end,
                operators=operators or settings.alarm_operators,
            )
    except StoreError as error:
        _fail(str(error))
    typer.echo(report_json(found) if as_json else report_text(found))


@alarms.command(
    epilog="""\b
Examples:
  fanwatch alarms labels --out labels.csv"""
)
def labels(
    out: Annotated[
        Path,
        typer.Option(
            help="The CSV file to write, - for the output: deviceID, from, to, label, kind, faulty."
        ),
    ],
    file: AlarmFile = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what stands there.")] = False,
) -> None:
    """Write what technicians found, as labels for training."""
    from monitor.alarms.database import AlarmDatabase, StoreError  # noqa: PLC0415
    from monitor.alarms.history import AlarmHistory  # noqa: PLC0415
    from monitor.alarms.labels import write_labels  # noqa: PLC0415
    from monitor.alarms.settings import AlarmSettings  # noqa: PLC0415

    to_output = str(out) == "-"
    if out.exists() and not overwrite and not to_output:
        _fail(f"{out} is there already; choose another --out, or pass --overwrite to replace it")
    try:
        with AlarmDatabase(file or AlarmSettings.read().alarm_file, read_only=True) as database:
            closed = list(AlarmHistory(database).closed())
    except StoreError as error:
        _fail(str(error))
    if to_output:
        write_labels(closed, sys.stdout)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as text:
        rows = write_labels(closed, text)
    typer.echo(f"{out}: {rows} closed alarm{'' if rows == 1 else 's'}")


def _fail(why: str) -> NoReturn:
    typer.echo(f"error: {why}", err=True)
    sys.exit(1)
