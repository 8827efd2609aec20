"""``fanwatch bundle`` and ``fanwatch install``: a site for a machine without internet."""

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from edge_manager.device.compose import Compose
from edge_manager.device.from_here import fanwatch_command
from edge_manager.device.mistakes import as_sentences
from edge_manager.installation.operations import install as install_bundle
from edge_manager.installation.operations import make_bundle

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, add_completion=False, pretty_exceptions_show_locals=False
)

_HERE = Path()


@app.command(
    epilog="""\b
Examples:
  fanwatch bundle --out site.fanwatch --key keys/model-signing.key
  fanwatch bundle --out site.fanwatch --key keys/model-signing.key --model bundles/pump/3
On the machine without internet:
  fanwatch up --bundle site.fanwatch --key model-signing.pub --folder /srv/fanwatch"""
)
def bundle(
    out: Annotated[Path, typer.Option(help="The file.")],
    key: Annotated[
        Path, typer.Option(help="The private key that it is signed with (`fanwatch model keygen`).")
    ],
    model: Annotated[
        list[Path] | None, typer.Option(help="Folder of a signed bundle to bring; again for each.")
    ] = None,
    folder: Annotated[Path, typer.Option(envvar="FANWATCH_FOLDER", help="The site's folder.")] = _HERE,
    leave_out: Annotated[list[str] | None, typer.Option(help="A service whose image stays out.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="File with the private key's password.")] = None,
) -> None:
    """Write images, configuration and models of this site into one signed file."""
    with as_sentences():
        password = None if password_file is None else password_file.read_bytes().rstrip(b"\r\n")
        made = make_bundle(
            Compose(folder),
            out,
            models=model or [],
            private_key=key,
            password=password,
            now=datetime.now(UTC),
            left_out=leave_out or [],
        )
    size = out.stat().st_size
    typer.echo(
        f"{out}: {size / 1e6:,.0f} MB, {len(made.images)} images for {made.architecture}, {len(made.files)} files; "
        f"signed with {key.name}"
    )


@app.command(
    epilog="""\b
Examples:
  fanwatch install site.fanwatch --key model-signing.pub --folder /srv/fanwatch
  fanwatch init --folder /srv/fanwatch        to say first what is particular to this site
  fanwatch up --bundle site.fanwatch --key model-signing.pub --folder /srv/fanwatch"""
)
def install(
    file: Annotated[Path, typer.Argument(help="The bundle.")],
    key: Annotated[list[Path], typer.Option(help="A public key that may have signed it; again for each.")],
    folder: Annotated[
        Path, typer.Option(envvar="FANWATCH_FOLDER", help="The site's folder; made if need be.")
    ] = _HERE,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace configuration that is there and differs.")
    ] = False,
) -> None:
    """Check a bundle, load its images, write its configuration; `fanwatch up --bundle` starts it too."""
    with as_sentences():
        manifest = install_bundle(file, key, folder, replace=replace)
    typer.echo(f"{file} of {manifest.made_at} is installed in {folder.resolve()}")
    trusted = [word for each in key for word in ("--key", str(each))]
    start = fanwatch_command(shlex.join(["up", "--bundle", str(file), *trusted]), folder)
    typer.echo("To start it, and put the bundle's models on the device:")
    typer.echo(f"  {start}")
