"""``fanwatch model``: ``add``, ``list``, ``use``, ``shadow``, ``rollback``, ``compare``, ``receive`` and ``state``.

With ``--folder SITE`` the same command runs in the ``model`` container of that site, which has its models.
"""

import sys
import tempfile
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated

import typer

from contract.bundle import SIGNATURE_FILE
from contract.deployment import Deployment
from edge_manager.device.mistakes import as_sentences
from edge_manager.models.parcel import pack, unpack
from edge_manager.models.place import MODELS, Folder, Models, site_of, use_command
from edge_manager.models.shadow_report import Comparison, comparisons
from edge_manager.models.state import state_of
from edge_manager.models.versions import ModelVersions, read_whole
from model_folder.folder import ModelFolderError

app = typer.Typer(
    no_args_is_help=True,
    help="The models of this device.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Name = Annotated[str, typer.Argument(help="The model: the name of its folder.")]
Why = Annotated[str, typer.Option(help="Why, in a few words; deployment.json keeps it.")]
Url = Annotated[
    str,
    typer.Option(
        envvar="FANWATCH_INFERENCE_URL",
        help="Base URL of the scoring service; with --folder the site's own is asked.",
    ),
]
_URL = "http://127.0.0.1:8000"


@app.command(
    epilog="""\b
Examples:
  fanwatch model add bundles/fan-2 --folder /srv/fanwatch
  fanwatch model add bundles/fan-2 --models /var/lib/fanwatch/models"""
)
def add(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    models: Models = None,
    folder: Folder = None,
) -> None:
    """Copy a bundle onto this device; nothing uses it yet."""
    with as_sentences():
        site = site_of(folder, models)
        if site is None:
            added = ModelVersions(models or MODELS, ModelVersions.name_of(bundle)).add(bundle)
            manifest, is_signed = added.manifest, added.is_signed
        else:
            manifest, is_signed = read_whole(bundle), (bundle / SIGNATURE_FILE).is_file()
            with tempfile.TemporaryFile() as parcel:
                pack(bundle, manifest, parcel)
                parcel.seek(0)
                site.receive_model(parcel)
    signed = "signed" if is_signed else "not signed, which the scoring service refuses unless told otherwise"
    told = f"{manifest.model_id} is on this device ({signed})."
    if context.find_root().info_name == "fanwatch":
        told += (
            f" To serve it:\n  {use_command(manifest.name, manifest.version, folder=folder, models=models)}"
        )
    else:  # in a container, where nobody knows what the host's command would be
        told += f" The same command with `use {manifest.name} {manifest.version}` serves it."
    typer.echo(told)


@app.command(
    "list",
    epilog="""\b
Examples:
  fanwatch model list fan --folder /srv/fanwatch""",
)
def list_versions(name: Name, models: Models = None, folder: Folder = None) -> None:
    """Say which versions are here, and which of them are in use."""
    with as_sentences():
        if _done_on_site(folder, models, "list", "--", name):
            return
        found = ModelVersions(models or MODELS, name)
        deployment, versions = found.deployment(), found.versions()
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
  fanwatch model use fan 2 --why 'better on the newest labels' --folder /srv/fanwatch"""
)
def use(
    name: Name,
    version: Annotated[str, typer.Argument(help="The version that is to give every verdict.")],
    models: Models = None,
    why: Why = "by hand",
    folder: Folder = None,
) -> None:
    """Make a version the champion, which gives every verdict; the scoring service follows at once."""
    with as_sentences():
        if not _done_on_site(folder, models, "use", f"--why={why}", "--", name, version):
            typer.echo(_told(ModelVersions(models or MODELS, name).use(version, why)))


@app.command(
    epilog="""\b
Examples:
  fanwatch model shadow fan 3 --folder /srv/fanwatch
  fanwatch model shadow fan --end --folder /srv/fanwatch"""
)
def shadow(
    name: Name,
    version: Annotated[str | None, typer.Argument(help="The challenger.")] = None,
    end: Annotated[bool, typer.Option("--end", help="Score with the champion alone again.")] = False,
    models: Models = None,
    why: Why = "by hand",
    folder: Folder = None,
) -> None:
    """Score a version beside the champion; none of its verdicts leaves the service."""
    with as_sentences():
        if (version is None) is not end:
            raise ModelFolderError("expected a version, or --end")
        words = ("--end", "--", name) if version is None else ("--", name, version)
        if not _done_on_site(folder, models, "shadow", f"--why={why}", *words):
            typer.echo(_told(ModelVersions(models or MODELS, name).shadow(version, why)))


@app.command(
    epilog="""\b
Examples:
  fanwatch model rollback fan --why 'too many alarms in hall 2' --folder /srv/fanwatch"""
)
def rollback(name: Name, models: Models = None, why: Why = "by hand", folder: Folder = None) -> None:
    """Make the champion before the champion again."""
    with as_sentences():
        if not _done_on_site(folder, models, "rollback", f"--why={why}", "--", name):
            typer.echo(_told(ModelVersions(models or MODELS, name).roll_back(why)))


@app.command(
    epilog="""\b
Examples:
  fanwatch model compare --folder /srv/fanwatch
  fanwatch model compare --url http://127.0.0.1:8000"""
)
def compare(url: Url = _URL, folder: Folder = None) -> None:
    """Say how the challenger does beside the champion: agreement, alarms, time."""
    with as_sentences():
        if _done_on_site(folder, None, "compare"):
            return
        found = _compared(url)
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
def receive(models: Models = None, folder: Folder = None) -> None:
    """Take a bundle from standard input onto this device, as a tar archive of its files; nothing uses it yet."""
    with as_sentences():
        if _done_on_site(folder, models, "receive", stdin=sys.stdin.buffer):
            return
        place = models or MODELS
        place.mkdir(parents=True, exist_ok=True)
        # On the same disk as the models, which has the room; a container's /tmp has not.
        with tempfile.TemporaryDirectory(dir=place, prefix=".incoming-") as scratch:
            bundle = Path(scratch)
            unpack(sys.stdin.buffer, bundle)
            added = ModelVersions(place, ModelVersions.name_of(bundle)).add(bundle)
    typer.echo(f"{added.manifest.model_id} is on this device")


@app.command(
    epilog="""\b
Examples:
  fanwatch model state fan | jq .serving"""
)
def state(name: Name, models: Models = None, url: Url = _URL, folder: Folder = None) -> None:
    """Say as JSON what is deployed, what gives verdicts and how a challenger does; for programs."""
    with as_sentences():
        if not _done_on_site(folder, models, "state", "--", name):
            found = state_of(ModelVersions(models or MODELS, name), name, url, lambda: datetime.now(UTC))
            typer.echo(found.model_dump_json())


def _done_on_site(
    folder: Path | None, models: Path | None, *arguments: str, stdin: IO[bytes] | None = None
) -> bool:
    """Whether a site is named: then its own container has run this command."""
    site = site_of(folder, models)
    if site is None:
        return False
    typer.echo(site.model(*arguments, stdin=stdin), nl=False)
    return True


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


def _compared(url: str) -> list[Comparison]:
    if not url.startswith(("http://", "https://")):
        raise ModelFolderError(f"{url}: expected an URL that begins with http:// or https://")
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/metrics", timeout=10) as answer:  # noqa: S310 - checked above
            text = answer.read().decode()
    except OSError as error:
        raise ModelFolderError(f"{url}: the scoring service does not answer: {error}") from error
    found = comparisons(text)
    if not found:
        raise ModelFolderError(
            "nothing was compared yet; `fanwatch model shadow NAME VERSION` names a challenger"
        )
    return found


if __name__ == "__main__":
    app()
