"""``fanwatch backup``, ``fanwatch backup keygen`` and ``fanwatch restore``: a site in one file, and back."""

import json
import os
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from edge_manager.backup.archive import ArchiveError, Manifest
from edge_manager.backup.encryption import LockError, Passphrase, Recipients, new_key, read_passphrase
from edge_manager.backup.operations import BackupError, Opener, back_up, check
from edge_manager.backup.operations import restore as bring_back
from edge_manager.backup.site_stack import ComposeStack
from edge_manager.device_health.compose import Compose, ComposeError

app = typer.Typer(
    no_args_is_help=True,
    help="A site in one file, and back.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Directory = Annotated[
    Path,
    typer.Option(envvar="FANWATCH_DIRECTORY", help="Folder of docker-compose.yml."),
]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="A file whose first line is the passphrase.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON object, for programs.")]
_HERE = Path()
_MISTAKES = (ArchiveError, LockError, BackupError, ComposeError, OSError, tarfile.TarError)


@app.command(
    epilog="""\b
Examples:
  fanwatch backup --out /mnt/nas/fanwatch-2026-11-27.backup --key site.pub
  fanwatch backup --out fanwatch.backup --passphrase-file passphrase
  fanwatch backup --out fanwatch.backup          (not encrypted: it holds every password)"""
)
def backup(
    out: Annotated[Path, typer.Option(help="The new file; never an existing one.")],
    key: Annotated[
        Path | None,
        typer.Option(
            help="A file with public keys of age or SSH; whoever has the secret key of one of them can restore."
        ),
    ] = None,
    passphrase_file: PassphraseFile = None,
    directory: Directory = _HERE,
    as_json: AsJson = False,
) -> None:
    """Write everything that this site needs into one file, while it runs."""
    try:
        if key is not None and passphrase_file is not None:
            raise LockError("expected --key or --passphrase-file, not both")
        lock: Recipients | Passphrase | None = None
        if key is not None:
            lock = Recipients(key)
        elif passphrase_file is not None:
            lock = read_passphrase(passphrase_file)
        manifest = back_up(
            ComposeStack(Compose(directory.resolve())),
            out,
            lock,
            datetime.now(UTC),
            lambda line: typer.echo(line, err=True),
        )
    except _MISTAKES as error:
        _fail(error)
    _tell(out, manifest, as_json)
    if lock is None:
        typer.echo(
            "warning: it is not encrypted and holds every password of the site; keep it like them, or use --key",
            err=True,
        )


@app.command(
    epilog="""\b
Examples:
  fanwatch backup keygen --out fanwatch.key      then copy it away from this machine, and
  fanwatch backup --out fanwatch.backup --key fanwatch.key.pub"""
)
def keygen(
    out: Annotated[Path, typer.Option(help="The new secret key; the public one gets .pub behind it.")],
) -> None:
    """Make the keys that backups are encrypted for: one public, for the device; one secret, for the safe."""
    public_file = out.with_name(f"{out.name}.pub")
    secret, public = new_key()
    try:
        for file, text, mode in ((out, secret, 0o600), (public_file, public, 0o644)):
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as opened:
                opened.write(f"{text}\n")
    except OSError as error:
        _fail(error)
    typer.echo(f"{public_file} is for the device: fanwatch backup --key {public_file}")
    typer.echo(f"{out} opens the backups: keep it away from the device, and twice")


@app.command(
    epilog="""\b
Examples:
  fanwatch restore fanwatch.backup --key fanwatch.key --check      only reads it
  fanwatch restore fanwatch.backup --key fanwatch.key"""
)
def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    key: Annotated[Path | None, typer.Option(help="The secret key, of age or SSH.")] = None,
    passphrase_file: PassphraseFile = None,
    only_check: Annotated[
        bool, typer.Option("--check", help="Verify the whole file and change nothing.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite-existing-data", help="Throw away the data of this site for the backup's."),
    ] = False,
    directory: Directory = _HERE,
    as_json: AsJson = False,
) -> None:
    """Bring a site back from a backup, on an empty machine; it refuses where there is data."""
    try:
        opener = Opener(key, read_passphrase(passphrase_file) if passphrase_file else None)
        if only_check:
            manifest = check(file, opener)
        else:
            manifest = bring_back(
                ComposeStack(Compose(directory.resolve())),
                file,
                opener,
                overwrite=overwrite,
                say=lambda line: typer.echo(line, err=True),
            )
    except _MISTAKES as error:
        _fail(error)
    _tell(file, manifest, as_json)
    if not only_check:
        typer.echo("The site is back, and stopped. Start it: docker compose up --detach", err=True)


def _tell(file: Path, manifest: Manifest, as_json: bool) -> None:
    about = manifest.about
    if as_json:
        summary = {
            "file": str(file),
            "bytes": file.stat().st_size,
            "files": len(manifest.files),
            "parts": manifest.parts(),
            **about.model_dump(),
        }
        typer.echo(json.dumps(summary))
        return
    typer.echo(
        f"{file}: {file.stat().st_size / 1e6:.1f} MB, {len(manifest.files)} files of {about.host}, "
        f"made {about.made_at} by Fanwatch {about.fanwatch}"
    )


def _fail(error: Exception) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(1)
