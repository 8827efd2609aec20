"""``fanwatch fleet``: many sites from one desk."""

import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from edge_manager.fleet.fleet_file import Fleet, FleetError, read_fleet
from edge_manager.fleet.push import Clock, Limits, Outcome, Pushed, push
from edge_manager.fleet.remote_site import RemoteSite
from edge_manager.fleet.site_status import ask_sites, status_table
from edge_manager.fleet.ssh import Ssh
from edge_manager.models.parcel import pack
from edge_manager.models.signature import check_signature
from edge_manager.models.source import Wanted, fetch
from model_folder.folder import ModelFolderError

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, add_completion=False, pretty_exceptions_show_locals=False
)
push_app = typer.Typer(
    no_args_is_help=True,
    help="Send something to every site.",
    rich_markup_mode=None,
    epilog="""\b
Examples:
  fanwatch fleet push model fan:2 --from bundles""",
)
app.add_typer(push_app, name="push")

FleetFile = Annotated[
    Path, typer.Option("--fleet", envvar="FANWATCH_FLEET", help="The list of sites (docs/fleet.md).")
]
Parallel = Annotated[int, typer.Option(min=1, max=200, help="How many sites at a time.")]
OnlySites = Annotated[list[str] | None, typer.Option("--site", help="This site alone; again for each.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON object, for programs.")]
_FLEET = Path("fleet.toml")


@app.command(
    epilog="""\b
Examples:
  fanwatch fleet status
  fanwatch fleet status --site hall-1 --json
Exit code: 0 when all are well, 1 when one is not, 2 when one could not be asked."""
)
def status(
    fleet_file: FleetFile = _FLEET, site: OnlySites = None, parallel: Parallel = 20, as_json: AsJson = False
) -> None:
    """Ask every site how it does, side by side."""
    try:
        fleet = _fleet(fleet_file, site)
        with Ssh(fleet) as ssh:
            found = ask_sites(ssh, fleet, parallel=parallel)
    except FleetError as error:
        _fail(error)
    typer.echo(json.dumps({"sites": [asdict(each) for each in found]}) if as_json else status_table(found))
    if any(each.well is None for each in found):
        raise typer.Exit(2)
    raise typer.Exit(0 if all(each.well for each in found) else 1)


@push_app.command(
    epilog="""\b
Examples:
  fanwatch fleet push model fan:2 --from bundles
  fanwatch fleet push model fan:2 --from oci://registry.example/models --shadow-s 3600 --watch-s 3600
Run it again after a failure: sites that have it are left alone.
Exit code: 0 when every site has it, 1 when one has not."""
)
def model(  # noqa: PLR0913, PLR0917 - one parameter an option of the command line
    wanted: Annotated[
        str, typer.Argument(metavar="NAME[:VERSION]", help="The model; without a version the newest.")
    ],
    source: Annotated[
        str,
        typer.Option(
            "--from", envvar="FANWATCH_MODEL_SOURCE", help="A folder with bundles, or oci://HOST/PATH."
        ),
    ],
    fleet_file: FleetFile = _FLEET,
    site: OnlySites = None,
    why: Annotated[
        str, typer.Option(help="Why, in a few words; each site's deployment.json keeps it.")
    ] = "fleet push",
    shadow_s: Annotated[
        float, typer.Option(min=0, help="Seconds in the canary's shadow before it gives verdicts; 0: none.")
    ] = 300,
    least_agreement: Annotated[
        float, typer.Option(min=0, max=1, help="Share of readings on which it must agree there.")
    ] = 0.9,
    least_readings: Annotated[int, typer.Option(min=0, help="Readings that this must be known of.")] = 100,
    watch_s: Annotated[
        float, typer.Option(min=0, help="Seconds that the canary is watched as it gives verdicts.")
    ] = 600,
    served_within_s: Annotated[float, typer.Option(min=1, help="Seconds until a site must serve it.")] = 60,
    parallel: Parallel = 20,
    plain_http: Annotated[bool, typer.Option(help="A registry without TLS, on this machine.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put a signed model onto every site, the canary first; stop at the first failure."""
    limits = Limits(shadow_s, least_agreement, least_readings, watch_s, served_within_s)
    try:
        fleet = _fleet(fleet_file, site)
        fleet.must_know_signers()
        with tempfile.TemporaryDirectory(prefix="fanwatch-push-") as scratch, Ssh(fleet) as ssh:
            bundle, parcel = Path(scratch, "bundle"), Path(scratch, "bundle.tar")
            bundle.mkdir()
            manifest = fetch(Wanted.parse(wanted), source, bundle, plain_http=plain_http)
            check_signature(bundle, fleet.public_keys)
            with parcel.open("wb") as file:
                pack(bundle, manifest, file)
            sites = [
                RemoteSite(ssh, fleet, address, model=manifest.name, parcel=parcel, why=why)
                for address in fleet.sites
            ]
            found = push(
                sites,
                fleet.canary_site.name,
                manifest.version,
                limits,
                Clock(time.monotonic, time.sleep),
                parallel=parallel,
                tell=lambda line: typer.echo(line, err=True),
            )
    except (FleetError, ModelFolderError, OSError) as error:
        _fail(error)
    has_it = [each.site for each in found if each.outcome in {Outcome.HAS_IT, Outcome.HAD_IT}]
    if as_json:
        typer.echo(json.dumps({"model": manifest.model_id, "sites": [asdict(each) for each in found]}))
    else:
        typer.echo(_told(manifest.model_id, found))
    raise typer.Exit(0 if len(has_it) == len(found) else 1)


def _told(model_id: str, found: list[Pushed]) -> str:
    lines = []
    for outcome in Outcome:
        those = [each for each in found if each.outcome is outcome]
        if those:
            lines.append(f"{outcome.value} ({len(those)}): {', '.join(each.site for each in those)}")
            lines += [f"  {each.site}: {each.detail}" for each in those if each.outcome is Outcome.FAILED]
    if any(each.outcome in {Outcome.FAILED, Outcome.NOT_TRIED} for each in found):
        lines.append(
            f"Not every site has {model_id}. Mend what failed and run this again: sites that have it are left alone."
        )
    else:
        lines.append(f"Every site has {model_id}.")
    return "\n".join(lines)


def _fleet(path: Path, names: list[str] | None) -> Fleet:
    fleet = read_fleet(path)
    return fleet.only(names) if names else fleet


def _fail(error: Exception) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(code=1)
