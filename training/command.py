"""The commands: generate a data set, train a bundle or learn one without labels, evaluate one."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from contract.identity import MODEL_NAME_PATTERN

if TYPE_CHECKING:
    from training.pipeline import Order
    from training.recipe import Recipe

# The libraries behind these commands take seconds to load (TensorFlow ten), so each command loads what it uses;
# `fanwatch --help` must not wait for them.

app = typer.Typer(
    no_args_is_help=True,
    help="Data sets, the model, its evaluation.",
    rich_markup_mode=None,  # it would take the brackets of a pattern for markup and swallow them
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what stands there.")]
DataFile = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="CSV file with the columns rotation, temperature, vibration, sound and faulty (0 or 1). "
        "Without it a data set of the recorded distributions is generated.",
    ),
]
Rows = Annotated[int, typer.Option(min=1000, help="Rows to generate, where no file is given.")]
Seed = Annotated[
    int, typer.Option(help="Of all that is left to chance; the same seed gives the same figures.")
]


@app.command(
    epilog="""\b
Examples:
  fanwatch generate --out fan.csv --rows 20000"""
)
def generate(
    out: Annotated[Path, typer.Option(help="The CSV file to write.")],
    rows: Rows = 20_000,
    seed: Seed = 1,
    overwrite: Overwrite = False,
) -> None:
    """Write a data set of the same distributions as the published recording."""
    from training.dataset import generate as draw_rows  # noqa: PLC0415

    if out.exists() and not overwrite:
        _fail(f"{out} is there already; choose another --out, or pass --overwrite to replace it")
    data, content = draw_rows(rows, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(content)
    typer.echo(f"{out}: {data.source}, SHA-256 {data.digest}")


@app.command(
    epilog="""\b
Examples:
  fanwatch train --overwrite                                   the committed model anew, on generated data
  fanwatch train --data FILE.csv --out models/mine --version 2"""
)
def train(  # noqa: PLR0913, PLR0917 - each is an option of the command
    data: DataFile = None,
    rows: Rows = 120_000,
    seed: Seed = 1,
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")] = Path("models/fan"),
    report: Annotated[
        Path | None,
        typer.Option(help="Folder of the plots and metrics.json; reports/NAME-VERSION if not given."),
    ] = None,
    name: Annotated[str, typer.Option(help=f"Of the model, {MODEL_NAME_PATTERN}")] = "fan",
    version: Annotated[str, typer.Option(help="Of the model; verdicts carry it as NAME:VERSION.")] = "1",
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Probability from which on it is a fault.")
    ] = 0.5,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.")] = 40,
    overwrite: Overwrite = False,
    track: Annotated[
        bool, typer.Option("--track", help="Write the run down in the registry (extra pipeline).")
    ] = False,
) -> None:
    """Train a model, judge it on rows that it never saw, and write its bundle and report."""
    from training.bundle import BundleError  # noqa: PLC0415
    from training.dataset import InvalidData  # noqa: PLC0415
    from training.pipeline import Order, run  # noqa: PLC0415
    from training.recipe import Recipe, TrainingFailed  # noqa: PLC0415

    order = Order(
        data=data,
        rows=rows,
        seed=seed,
        bundle=out,
        report=report or Path("reports", f"{name}-{version}"),
        name=name,
        version=version,
        threshold=threshold,
        overwrite=overwrite,
    )
    try:
        result = run(order, Recipe(seed=seed, epochs=epochs), progress=sys.stderr.isatty())
    except (BundleError, InvalidData, TrainingFailed, ValueError) as error:
        _fail(str(error))
    typer.echo(result.table())
    typer.echo(f"bundle: {order.bundle}   report: {order.report}")
    if track:
        _track(order, Recipe(seed=seed, epochs=epochs))


@app.command(
    epilog="""\b
Examples:
  fanwatch learn --data recording.csv --machine pump.toml --out models/pump"""
)
def learn(
    data: Annotated[Path, typer.Option(help="CSV file of the machine; no labels are needed.")],
    machine: Annotated[
        Path,
        typer.Option(
            help="TOML file that names the columns, their units and plausible ranges (see docs/skab.md)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    version: Annotated[str, typer.Option(help="Of the model; verdicts carry it as NAME:VERSION.")] = "1",
    overwrite: Overwrite = False,
) -> None:
    """Learn what a machine looks like when it is well, from the first rows of a recording, and write the bundle."""
    from training.baseline import learn_baseline  # noqa: PLC0415
    from training.bundle import check_target  # noqa: PLC0415
    from training.recording import read_machine, read_recording  # noqa: PLC0415

    try:
        check_target(out, overwrite=overwrite)
        described = read_machine(machine)
        healthy = read_recording(data, described).signals[: described.healthy_rows]
        baseline = learn_baseline(healthy, described.names)
        from training.baseline_bundle import write_baseline_bundle  # noqa: PLC0415 - TensorFlow, not before an error

        manifest = write_baseline_bundle(
            out,
            baseline,
            healthy,
            described.specifications,
            name=described.name,
            version=version,
            overwrite=overwrite,
        )
    except ValueError as error:  # every one of these modules says what it expected by a kind of it
        _fail(str(error))
    typer.echo(f"{manifest.model_id}: learned from {len(healthy)} rows of {data}")
    typer.echo(f"bundle: {out}")


@app.command(
    epilog="""\b
Examples:
  fanwatch evaluate                                            the committed model, on generated data
  fanwatch evaluate --data FILE.csv --report reports/mine"""
)
def evaluate(
    bundle: Annotated[Path, typer.Option(help="Folder of the bundle.")] = Path("models/fan"),
    data: DataFile = None,
    rows: Rows = 100_000,
    seed: Seed = 2,
    report: Annotated[Path | None, typer.Option(help="Folder to write plots and metrics.json into.")] = None,
) -> None:
    """Score a data set with a bundle's LiteRT file and print its figures, the oracle's beside them."""
    from training.bundle import LITERT_FILE, BundleError, litert_probabilities, read_manifest  # noqa: PLC0415
    from training.dataset import InvalidData, read_csv  # noqa: PLC0415
    from training.dataset import generate as draw_rows  # noqa: PLC0415
    from training.evaluation import evaluate as judge  # noqa: PLC0415
    from training.report import write_report  # noqa: PLC0415

    try:
        manifest = read_manifest(bundle)
        rows_read = read_csv(data, manifest.signals) if data else draw_rows(rows, seed)[0]
    except (BundleError, InvalidData) as error:
        _fail(str(error))
    scores = litert_probabilities((bundle / LITERT_FILE).read_bytes(), rows_read.signals)
    result = judge(rows_read, scores, manifest.threshold, manifest.signals)
    typer.echo(f"{manifest.model_id} on {result.table()}")
    if report:
        write_report(report, result, rows_read, manifest.signals, facts={"model_id": manifest.model_id})
        typer.echo(f"report: {report}")


def _track(order: "Order", recipe: "Recipe") -> None:
    """Write a training run down as the pipeline does with its own."""
    from dataclasses import asdict  # noqa: PLC0415

    from training.bundle import read_manifest  # noqa: PLC0415
    from training.settings import PipelineSettings  # noqa: PLC0415
    from training.tracking import Registry, RegistryUnusable  # noqa: PLC0415

    settings = PipelineSettings.read()
    manifest = read_manifest(order.bundle)
    try:
        registry = Registry(settings.registry_dir, settings.mlflow_tracking_uri)
        registry.track(
            order.name,
            f"train-{manifest.version}-{manifest.files['model.tflite'][:12]}",
            parameters=asdict(recipe) | {"threshold": order.threshold},
            metrics=manifest.metrics,
            tags={"data_sha256": manifest.training_data_sha256, "bundle_version": manifest.version},
            artifacts=order.report,
        )
    except RegistryUnusable as error:
        _fail(str(error))
    typer.echo(f"tracked in {'the server' if settings.mlflow_tracking_uri else registry.place}")


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code=1)
