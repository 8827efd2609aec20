"""``fanwatch backup``, ``backup keygen``, ``restore`` and ``upgrade``: a site in one file, and back."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from edge_manager.backup.archive import Manifest
from edge_manager.backup.encryption import LockError, Passphrase, Recipients, new_key, read_passphrase
from edge_manager.backup.operations import Opener, back_up, check
from edge_manager.backup.operations import restore as bring_back
from edge_manager.backup.site_stack import ComposeStack
from edge_manager.backup.upgrade import UpgradeError
from edge_manager.backup.upgrade_run import Upgrade
from edge_manager.device.compose import Compose
from edge_manager.device.mistakes import as_sentences

app = typer.Typer(
    no_args_is_help=True,
    help="A site in one file, and back.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Folder = Annotated[
    Path,
    typer.Option(envvar="FANWATCH_FOLDER", help="The site's folder, with docker-compose.yml."),
]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="A file whose first line is the passphrase.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON object, for programs.")]
_HERE = Path()


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
    folder: Folder = _HERE,
    as_json: AsJson = False,
) -> None:
    """Write everything that this site needs into one file, while it runs."""
    with as_sentences():
        lock = _lock(key, passphrase_file)
        manifest = back_up(
            ComposeStack(Compose(folder.resolve())),
            out,
            lock,
            datetime.now(UTC),
            lambda line: typer.echo(line, err=True),
        )
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
    public_file = out.parent / f"{out.name}.pub"
    secret, public = new_key()
    with as_sentences():
        for file, text, mode in ((out, secret, 0o600), (public_file, public, 0o644)):
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as opened:
                opened.write(f"{text}\n")
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
    folder: Folder = _HERE,
    as_json: AsJson = False,
) -> None:
    """Bring a site back from a backup, on an empty machine; it refuses where there is data."""
    with as_sentences():
        opener = Opener(key, read_passphrase(passphrase_file) if passphrase_file else None)
        if only_check:
            manifest = check(file, opener)
        else:
            manifest = bring_back(
                ComposeStack(Compose(folder.resolve())),
                file,
                opener,
                overwrite=overwrite,
                say=lambda line: typer.echo(line, err=True),
            )
    _tell(file, manifest, as_json)
    if not only_check:
        typer.echo("The site is back, and stopped. Start it: fanwatch up", err=True)


@app.command(
    epilog="""\b
Examples:
  fanwatch upgrade --backup-out before.backup --key site.pub               what the files here say now
  fanwatch upgrade --backup-out before.backup --key site.pub --to v0.2.0   that version of the clone
  fanwatch upgrade --back                                                  what ran before the last upgrade"""
)
def upgrade(
    backup_out: Annotated[
        Path | None, typer.Option(help="The new file for the backup that is made before.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Public keys of the backup, as for `fanwatch backup`.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    to: Annotated[str | None, typer.Option(help="Tag or revision of the clone to check out.")] = None,
    back: Annotated[
        bool, typer.Option("--back", help="Go back to what ran before the last upgrade.")
    ] = False,
    despite_findings: Annotated[
        bool, typer.Option("--despite-findings", help="Begin though doctor finds errors.")
    ] = False,
    folder: Folder = _HERE,
) -> None:
    """Start newer images, checked before and taken back by itself when they do not do what the old ones did."""
    with as_sentences():
        work = Upgrade(
            Compose(folder.resolve()), lambda: datetime.now(UTC), lambda line: typer.echo(line, err=True)
        )
        if back:
            noted = work.back()
            typer.echo(f"What ran at {noted.at} runs again. The data of then is in {noted.backup}")
            return
        if backup_out is None:
            raise UpgradeError("expected --backup-out FILE, for the backup that is made before (or --back)")
        changed = work.upgrade(
            backup_out, _lock(key, passphrase_file), to=to, despite_findings=despite_findings
        )
    typer.echo(f"Upgraded: {', '.join(changed) or 'every image was the newest already'}")
    typer.echo("fanwatch upgrade --back goes back", err=True)


def _lock(key: Path | None, passphrase_file: Path | None) -> Recipients | Passphrase | None:
    if key is not None and passphrase_file is not None:
        raise LockError("expected --key or --passphrase-file, not both")
    if key is not None:
        return Recipients(key)
    return read_passphrase(passphrase_file) if passphrase_file is not None else None


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
