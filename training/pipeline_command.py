"""``fanwatch pipeline``: a run, and a schedule of runs."""

import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from contract.timestamp import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from training.steps.order import Order

# What these commands use is loaded by each of them: `fanwatch --help` must not wait for it.

REFUSED = 3
"""Exit code of a run that the gate has ended: nothing is wrong, and nothing was deployed."""

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_show_locals=False)
pipeline = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="From stored readings to a signed bundle on the device.",
    epilog="""\b
Examples:
  fanwatch pipeline run --days 30 --labels labels.csv --key keys/model-signing.key
  fanwatch pipeline run --run runs/fan-20261125T021500Z        go on where it stopped
  fanwatch pipeline schedule --cron "30 2 * * sun" -- --days 30 --labels labels.csv""",
)
app.add_typer(pipeline, name="pipeline")


@app.callback()
def _room() -> None:
    """The pipeline's commands."""


class Unlabelled(StrEnum):
    """What a reading is that no closed alarm covers."""

    LEAVE = "leave"
    HEALTHY = "healthy"


class DeployAs(StrEnum):
    """What becomes of a bundle that passed the gate."""

    CHALLENGER = "challenger"
    CHAMPION = "champion"
    NOTHING = "nothing"


@pipeline.command(
    epilog="""\b
Examples:
  fanwatch pipeline run --days 30 --labels labels.csv --key keys/model-signing.key
  fanwatch pipeline run --data readings.csv --models models
  fanwatch pipeline run --run runs/fan-20261125T021500Z        go on where it stopped
  fanwatch pipeline run --if-drift http://127.0.0.1:9104/metrics --days 30 --labels labels.csv

Exit code 0: done; 1: a step failed, its error says why; 3: the gate refused the new model."""
)
def run(  # noqa: PLR0913, PLR0917 - each is an option of the command
    run_folder: Annotated[
        Path | None,
        typer.Option(
            "--run",
            help="Folder of the run; runs/NAME-TIME if not given. One that is there is gone on with, by its own "
            "order.json: no other option but --until and --if-drift is read then.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the model; fan, or what --machine says.")] = None,
    machine: Annotated[
        Path | None,
        typer.Option(help="TOML file that describes another machine than the fan (see docs/skab.md)."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="CSV file with the readings; InfluxDB (FANWATCH_INFLUXDB_URL) if not given."),
    ] = None,
    days: Annotated[float | None, typer.Option(min=0.001, help="The last so many days.")] = None,
    begin: Annotated[str | None, typer.Option("--from", help="Readings from then on, RFC 3339.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Readings before then; now if not given.")] = None,
    labels: Annotated[Path | None, typer.Option(help="CSV file of `fanwatch alarms labels`.")] = None,
    alarms: Annotated[
        Path | None, typer.Option(help="The alarms' SQLite file, to take the labels from.")
    ] = None,
    unlabelled: Annotated[
        Unlabelled,
        typer.Option(help="What a reading is that no alarm covers; see docs/pipeline.md."),
    ] = Unlabelled.LEAVE,
    every: Annotated[
        float, typer.Option(min=0, help="Of each device one stored reading in so many seconds; 0 takes all.")
    ] = 0,
    test: Annotated[
        Path | None,
        typer.Option(help="CSV file of the frozen test set, with a column faulty; the fan has its own."),
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="Of the new bundle; the next number if not given.")
    ] = None,
    models: Annotated[Path, typer.Option(help="Folder that bundles are served from.")] = Path("models"),
    deploy_as: Annotated[
        DeployAs, typer.Option("--as", help="What becomes of a bundle that passes.")
    ] = DeployAs.CHALLENGER,
    key: Annotated[
        Path | None, typer.Option(help="Private key to sign with; without it the bundle is not signed.")
    ] = None,
    password_file: Annotated[Path | None, typer.Option(help="File with the key's password.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.")] = 40,
    seed: Annotated[int, typer.Option(help="Of all that is left to chance.")] = 1,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Probability from which on it is a fault.")
    ] = 0.5,
    most_bad: Annotated[
        float, typer.Option(min=0, max=1, help="Share of bad rows from which on the run fails.")
    ] = 0.05,
    block_minutes: Annotated[
        float,
        typer.Option(
            min=0.01, help="Readings of a device within so long are alike; the gate draws them together."
        ),
    ] = 60,
    confidence: Annotated[float, typer.Option(min=0.51, max=0.999, help="Of the gate.")] = 0.95,
    until: Annotated[str | None, typer.Option(help="Stop after this step.")] = None,
    if_drift: Annotated[
        str | None,
        typer.Option(help="/metrics of the drift service: do nothing unless it flags what training mends."),
    ] = None,
) -> None:
    """Run the steps extract, validate, train, evaluate, gate, register, package, deploy."""
    if if_drift is not None and not _drifted(if_drift):
        return
    from training.settings import PipelineSettings  # noqa: PLC0415
    from training.steps.all_steps import STEP_NAMES, STEPS  # noqa: PLC0415
    from training.steps.order import ORDER_FILE  # noqa: PLC0415
    from training.steps.runner import Run, StepFailed, Told, go, read_order, write_order  # noqa: PLC0415

    if until is not None and until not in STEP_NAMES:
        _fail(f"no step {until}; there are {', '.join(STEP_NAMES)}")

    def tell(told: Told) -> None:
        typer.echo(f"[{told.number}/{told.of}] {told.name}: {told.text}")

    try:
        if run_folder is not None and (run_folder / ORDER_FILE).exists():
            order = read_order(run_folder)
            typer.echo(f"run: {run_folder}, gone on with by its own order")
        else:
            order = _order(
                name=name,
                machine=machine,
                models=models,
                end=end if end or data else format_timestamp(datetime.now(UTC)),
                begin=begin,
                days=days,
                given={
                    "data": data,
                    "labels": labels,
                    "alarms": alarms,
                    "unlabelled": unlabelled.value,
                    "every_s": every,
                    "test": test,
                    "version": version,
                    "deploy_as": deploy_as.value,
                    "key": key,
                    "password_file": password_file,
                    "epochs": epochs,
                    "seed": seed,
                    "threshold": threshold,
                    "most_bad_share": most_bad,
                    "block_minutes": block_minutes,
                    "confidence": confidence,
                },
            )
            run_folder = run_folder or Path("runs", f"{order.name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
            write_order(run_folder, order)
            typer.echo(f"run: {run_folder}")
        done = go(
            Run(
                folder=run_folder.absolute(),
                order=order,
                settings=PipelineSettings.read(),
                now=lambda: datetime.now(UTC),
                progress=sys.stderr.isatty(),
            ),
            STEPS,
            tell=tell,
            until=until,
        )
    except (StepFailed, ValueError) as error:
        where = "" if run_folder is None else f"\nMend it and go on: fanwatch pipeline run --run {run_folder}"
        _fail(f"{error}{where}")
    if done.refused:
        typer.echo("refused: nothing was registered or deployed", err=True)
        raise typer.Exit(code=REFUSED)


@pipeline.command(
    context_settings={"allow_extra_args": True},
    epilog="""\b
Examples:
  fanwatch pipeline schedule --cron "30 2 * * sun" -- --days 30 --labels labels.csv
  fanwatch pipeline schedule --cron "*/15 * * * *" -- --if-drift http://127.0.0.1:9104/metrics --days 7""",
)
def schedule(
    context: typer.Context,
    cron: Annotated[
        str, typer.Option(help="When, as a crontab line in UTC, the day of the week by its name.")
    ],
) -> None:
    """Run the pipeline at its times, until it is stopped; what stands after -- are options of `run`."""
    from training.schedule import InvalidSchedule, keep_schedule, read_cron  # noqa: PLC0415

    try:
        trigger = read_cron(cron)
    except InvalidSchedule as error:
        _fail(str(error))
    typer.echo(f"next run: {trigger.get_next_fire_time(None, datetime.now(UTC))}")
    keep_schedule(trigger, context.args, typer.echo)


def _order(
    *,
    name: str | None,
    machine: Path | None,
    models: Path,
    begin: str | None,
    end: str | None,
    days: float | None,
    given: dict[str, object],
) -> "Order":
    """The order that the options make.

    Raises:
        ValueError: They do not fit together; every module says by a kind of it what it expected.
    """
    from training.deployed import champion_in_use  # noqa: PLC0415
    from training.fan import FAN_SIGNALS  # noqa: PLC0415
    from training.recording import read_machine  # noqa: PLC0415
    from training.steps.order import Column, Order  # noqa: PLC0415

    described = None if machine is None else read_machine(machine)
    if described is None:
        columns = tuple(Column(signal=spec, heading=spec.name) for spec in FAN_SIGNALS)
    else:
        columns = tuple(
            Column(signal=signal.specification(), heading=signal.heading) for signal in described.signals
        )
        given = given | {"separator": described.separator, "healthy_rows": described.healthy_rows}
    chosen = name or (described.name if described else "fan")
    if days is not None:
        if begin is not None or end is None:
            raise ValueError(
                "--days counts back from --to or from now; it does not go with --from, nor with a file"
            )
        begin = format_timestamp(parse_timestamp(end) - timedelta(days=days))
    absolute = {
        field: value.absolute() if isinstance(value, Path) else value for field, value in given.items()
    }
    return Order.model_validate(
        {
            "name": chosen,
            "columns": columns,
            "begin": begin,
            "end": end,
            "models_dir": models.absolute(),
            "champion": champion_in_use(models, chosen),
        }
        | absolute
    )


def _drifted(url: str) -> bool:
    from training.drift_trigger import DriftUnknown, ask_drift  # noqa: PLC0415

    try:
        drift = ask_drift(url)
    except DriftUnknown as error:
        _fail(str(error))
    if drift.to_mend:
        typer.echo(f"drift that a person has to look at, and no training mends: {', '.join(drift.to_mend)}")
    if drift.to_learn:
        typer.echo(f"drift that a new model would know: {', '.join(drift.to_learn)}")
    else:
        typer.echo("no drift that training mends: nothing to do")
    return bool(drift.to_learn)


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code=1)
