"""The command: a back-test of stored data."""

import sys
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer

# The libraries behind the command take seconds to load, so it loads them when it runs.

app = typer.Typer(
    no_args_is_help=True,
    help="What the monitor would have said of stored data.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


@app.command()
def backtest(
    config: Annotated[Path, typer.Option(help="TOML file: columns, healthy stretch or model, labels.")],
    out: Annotated[Path, typer.Option(help="Folder of alarms.csv, summary.json and the plots.")],
    data: Annotated[Path | None, typer.Option(help="CSV file with a header.")] = None,
    influxdb_url: Annotated[
        str | None,
        typer.Option(
            help="In place of a file: InfluxDB 1.x. FANWATCH_INFLUXDB_USERNAME and _PASSWORD name the user."
        ),
    ] = None,
    begin: Annotated[str | None, typer.Option("--from", help="RFC 3339, with --influxdb-url.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="RFC 3339, with --influxdb-url.")] = None,
) -> None:
    """Replay stored readings through the monitor's core: what would have alarmed, when, and how early.

    Example: fanwatch backtest --data furnace.csv --config furnace.toml --out furnace
    """
    from tqdm import tqdm  # noqa: PLC0415

    from evaluation.backtest import run  # noqa: PLC0415
    from evaluation.backtest_report import write_report  # noqa: PLC0415
    from evaluation.config import BacktestConfig, ConfigError  # noqa: PLC0415
    from evaluation.influxdb_source import StoreSettings, read_influxdb  # noqa: PLC0415
    from evaluation.recorded import InvalidRecording, read_recording  # noqa: PLC0415
    from training.baseline import NotEnoughHealth  # noqa: PLC0415
    from training.bundle import BundleError  # noqa: PLC0415

    started = time.perf_counter()
    try:
        settings = BacktestConfig.read(config)
        if data is not None and influxdb_url is None:
            recorded = read_recording(data, settings)
        elif influxdb_url is not None and begin and end and data is None:
            store = StoreSettings(influxdb_url=influxdb_url)
            recorded = read_influxdb(store, settings, begin, end)
        else:
            _fail("expected either --data, or --influxdb-url with --from and --to")
        with tqdm(
            total=len(recorded), desc=settings.name, unit=" readings", unit_scale=True, file=sys.stderr
        ) as bar:
            result = run(settings, recorded, progress=bar.update)
    except (ConfigError, InvalidRecording, NotEnoughHealth, BundleError) as error:
        _fail(str(error))
    seconds = time.perf_counter() - started
    facts = {
        "name": settings.name,
        "seconds": round(seconds, 2),
        "readings_per_second": round(len(recorded) / seconds),
    }
    summary = write_report(out, result, facts)
    typer.echo(f"{summary['alarms']} alarms in {summary['readings']} readings: {summary['alarms_by_kind']}")
    if "judged" in summary:
        judged = summary["judged"]
        typer.echo(
            f"{judged['faults_found']} of {judged['faults']} faults found, median lead time "
            f"{judged['median_lead_time_s']} s, {judged['false_alarms']} false alarms"
        )
    typer.echo(f"report: {out}")


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code=1)
