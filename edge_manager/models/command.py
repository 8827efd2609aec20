"""``fanwatch model``: ``add``, ``list``, ``use``, ``shadow``, ``rollback``, ``compare``, ``receive`` and ``state``."""

import sys
import tempfile
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from contract.deployment import Deployment, NotDeployed
from edge_manager.models.parcel import unpack
from edge_manager.models.shadow_report import comparisons
from edge_manager.models.state import state_of
from edge_manager.models.versions import ModelVersions
from model_folder.folder import ModelFolderError

app = typer.Typer(
    no_args_is_help=True,
    help="The models of this device.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Name = Annotated[str, typer.Argument(help="The model: the name of its folder.")]
Models = Annotated[
    Path, typer.Option("--models", envvar="FANWATCH_MODELS_DIR", help="Folder that holds one folder a model.")
]
Why = Annotated[str, typer.Option(help="Why, in a few words; deployment.json keeps it.")]
_MODELS = Path("models")


@app.command(
    epilog="""\b
Examples:
  fanwatch model add bundles/fan-2
  fanwatch model add bundles/fan-2 --models /var/lib/fanwatch/models"""
)
def add(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    models: Models = _MODELS,
) -> None:
    """Copy a bundle onto this device; nothing uses it yet."""
    try:
        name = ModelVersions.name_of(bundle)
        added = ModelVersions(models, name).add(bundle)
    except (ModelFolderError, OSError) as error:
        _fail(error)
    signed = (
        "signed" if added.is_signed else "not signed, which the scoring service refuses unless told otherwise"
    )
    typer.echo(f"{added.manifest.model_id} is on this device ({signed}). To serve it:")
    typer.echo(f"  fanwatch model use {name} {added.manifest.version}")


@app.command(
    "list",
    epilog="""\b
Examples:
  fanwatch model list fan""",
)
def list_versions(name: Name, models: Models = _MODELS) -> None:
    """Say which versions are here, and which of them are in use."""
    found = ModelVersions(models, name)
    try:
        deployment, versions = found.deployment(), found.versions()
    except ModelFolderError as error:
        _fail(error)
    for version in versions:
        number = version.manifest.version
        figures = ", ".join(f"{key} {value:g}" for key, value in list(version.manifest.metrics.items())[:3])
        signed = "signed" if version.is_signed else "not signed"
        typer.echo(f"{name}:{number:<12} {_role(deployment, number):<12} {signed:<11} {figures}")
    if deployment is not None:
        typer.echo(f"since {deployment.since}: {deployment.why}")


@app.command(
    epilog="""\b
Examples:
  fanwatch model use fan 2 --why 'better on the newest labels'"""
)
def use(
    name: Name,
    version: Annotated[str, typer.Argument(help="The version that is to give every verdict.")],
    models: Models = _MODELS,
    why: Why = "by hand",
) -> None:
    """Make a version the champion, which gives every verdict; the scoring service follows at once."""
    try:
        deployment = ModelVersions(models, name).use(version, why)
    except (ModelFolderError, NotDeployed, OSError) as error:
        _fail(error)
    typer.echo(_told(deployment))


@app.command(
    epilog="""\b
Examples:
  fanwatch model shadow fan 3
  fanwatch model shadow fan --end"""
)
def shadow(
    name: Name,
    version: Annotated[str | None, typer.Argument(help="The challenger.")] = None,
    end: Annotated[bool, typer.Option("--end", help="Score with the champion alone again.")] = False,
    models: Models = _MODELS,
    why: Why = "by hand",
) -> None:
    """Score a version beside the champion; none of its verdicts leaves the service."""
    if (version is None) is not end:
        _fail(ModelFolderError("expected a version, or --end"))
    try:
        deployment = ModelVersions(models, name).shadow(version, why)
    except (ModelFolderError, NotDeployed, OSError) as error:
        _fail(error)
    typer.echo(_told(deployment))


@app.command(
    epilog="""\b
Examples:
  fanwatch model rollback fan --why 'too many alarms in hall 2'"""
)
def rollback(name: Name, models: Models = _MODELS, why: Why = "by hand") -> None:
    """Make the champion before the champion again."""
    try:
        deployment = ModelVersions(models, name).roll_back(why)
    except (ModelFolderError, NotDeployed, OSError) as error:
        _fail(error)
    typer.echo(_told(deployment))


@app.command(
    epilog="""\b
Examples:
  fanwatch model compare --url http://127.0.0.1:8000"""
)
def compare(
    url: Annotated[
        str, typer.Option(envvar="FANWATCH_INFERENCE_URL", help="Base URL of the scoring service.")
    ] = "http://127.0.0.1:8000",
) -> None:
    """Say how the challenger does beside the champion: agreement, alarms, time."""
    if not url.startswith(("http://", "https://")):
        _fail(ModelFolderError(f"{url}: expected an URL that begins with http:// or https://"))
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/metrics", timeout=10) as answer:  # noqa: S310 - checked above
            text = answer.read().decode()
    except OSError as error:
        _fail(ModelFolderError(f"{url}: the scoring service does not answer: {error}"))
    found = comparisons(text)
    if not found:
        _fail(
            ModelFolderError(
                "nothing was compared yet; `fanwatch model shadow NAME VERSION` names a challenger"
            )
        )
    for each in found:
        typer.echo(f"{each.challenger} in the shadow of {each.champion}, {each.rows:,} readings")
        typer.echo(f"  agreement     {each.agreement:.4%}")
        typer.echo(
            f"  called faulty {each.fault_rates[0]:.3%} by the champion, {each.fault_rates[1]:.3%} by it"
        )
        typer.echo(
            f"  p99 at most   {1000 * each.p99_s[0]:g} ms the champion, {1000 * each.p99_s[1]:g} ms it"
        )


@app.command(
    epilog="""\b
Examples:
  fanwatch model receive < fan-2.tar
  fanwatch fleet push model fan:2 does this on each site."""
)
def receive(models: Models = _MODELS) -> None:
    """Take a bundle from standard input onto this device, as a tar archive of its files; nothing uses it yet."""
    try:
        models.mkdir(parents=True, exist_ok=True)
        # On the same disk as the models, which has the room; a container's /tmp has not.
        with tempfile.TemporaryDirectory(dir=models, prefix=".incoming-") as scratch:
            bundle = Path(scratch)
            unpack(sys.stdin.buffer, bundle)
            name = ModelVersions.name_of(bundle)
            added = ModelVersions(models, name).add(bundle)
    except (ModelFolderError, OSError) as error:
        _fail(error)
    typer.echo(f"{added.manifest.model_id} is on this device")


@app.command(
    epilog="""\b
Examples:
  fanwatch model state fan | jq .serving"""
)
def state(
    name: Name,
    models: Models = _MODELS,
    url: Annotated[
        str, typer.Option(envvar="FANWATCH_INFERENCE_URL", help="Base URL of the scoring service.")
    ] = "http://127.0.0.1:8000",
) -> None:
    """Say as JSON what is deployed, what gives verdicts and how a challenger does; for programs."""
    try:
        found = state_of(ModelVersions(models, name), name, url, lambda: datetime.now(UTC))
    except (ModelFolderError, OSError) as error:
        _fail(error)
    typer.echo(found.model_dump_json())


def _role(deployment: Deployment | None, version: str) -> str:
    if deployment is None:
        return "in use"
    roles = {
        deployment.champion: "champion",
        deployment.challenger: "challenger",
        deployment.previous: "previous",
    }
    return roles.get(version, "")


def _told(deployment: Deployment) -> str:
    parts = [f"champion {deployment.champion}"]
    if deployment.challenger is not None:
        parts.append(f"challenger {deployment.challenger}")
    if deployment.previous is not None:
        parts.append(f"a roll-back goes to {deployment.previous}")
    return f"{deployment.model}: {', '.join(parts)}"


def _fail(error: Exception) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(code=1)


if __name__ == "__main__":
    app()
