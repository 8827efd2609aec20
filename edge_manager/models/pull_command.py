"""``fanwatch pull model``: a bundle from a folder or a registry onto this device, if one of our keys has signed it."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from edge_manager.device.mistakes import as_sentences
from edge_manager.models.parcel import pack
from edge_manager.models.place import MODELS, Folder, Models, site_of, use_command
from edge_manager.models.signature import check_signature
from edge_manager.models.source import Wanted, fetch
from edge_manager.models.versions import ModelVersions

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, add_completion=False, pretty_exceptions_show_locals=False
)


@app.command(
    epilog="""\b
Examples:
  fanwatch pull model fan:2 --from oci://registry.example/models --key keys/model-signing.pub
  fanwatch pull model fan:2 --from /media/stick --key keys/model-signing.pub --folder /srv/fanwatch
Then:
  fanwatch model use fan 2                            or, for a site's Compose stack,
  fanwatch model use fan 2 --folder /srv/fanwatch"""
)
def model(
    wanted: Annotated[
        str, typer.Argument(metavar="NAME[:VERSION]", help="The model; without a version the newest.")
    ],
    source: Annotated[
        str,
        typer.Option(
            "--from", envvar="FANWATCH_MODEL_SOURCE", help="A folder with bundles, or oci://HOST/PATH."
        ),
    ],
    key: Annotated[list[Path], typer.Option(help="A public key whose bundles are taken; again for each.")],
    models: Models = None,
    folder: Folder = None,
    plain_http: Annotated[bool, typer.Option(help="A registry without TLS, on this machine.")] = False,
) -> None:
    """Fetch a bundle, check its signature, and put it onto this device; nothing uses it yet."""
    with as_sentences():
        site = site_of(folder, models)
        with tempfile.TemporaryDirectory(prefix="fanwatch-pull-") as scratch:
            bundle = Path(scratch)
            manifest = fetch(Wanted.parse(wanted), source, bundle, plain_http=plain_http)
            signer = check_signature(bundle, key)
            if site is None:
                ModelVersions(models or MODELS, manifest.name).add(bundle)
            else:
                with tempfile.TemporaryFile() as parcel:
                    pack(bundle, manifest, parcel)
                    parcel.seek(0)
                    site.receive_model(parcel)
    typer.echo(f"{manifest.model_id} is on this device, signed with {signer.name}. To serve it:")
    typer.echo(f"  {use_command(manifest.name, manifest.version, folder=folder, models=models)}")
