"""``fanwatch model keygen``, ``sign`` and ``verify``: whose bundle it is."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

# What these commands use is loaded by each of them: `fanwatch --help` must not wait for it.

app = typer.Typer(
    no_args_is_help=True,
    help="Keys and signatures of bundles.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Bundle = Annotated[Path, typer.Argument(help="Folder of the bundle.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help="File whose content is the private key's password; never given on the command line."),
]


@app.command(
    epilog="""\b
Examples:
  fanwatch model keygen --out keys"""
)
def keygen(
    out: Annotated[Path, typer.Option(help="Folder for model-signing.key and model-signing.pub.")],
    password_file: PasswordFile = None,
) -> None:
    """Make a key pair: a private key to sign with, a public key for the devices."""
    from training.signing import SigningError, generate_keys, read_password  # noqa: PLC0415

    try:
        private, public = generate_keys(out, read_password(password_file))
    except (SigningError, OSError) as error:
        _fail(str(error))
    typer.echo(f"private key: {private}   (keep it where models are made, and nowhere else)")
    typer.echo(f"public key:  {public}   (every device gets it)")


@app.command(
    epilog="""\b
Examples:
  fanwatch model sign models/fan --key keys/model-signing.key"""
)
def sign(
    bundle: Bundle,
    key: Annotated[Path, typer.Option(help="The private key.")],
    password_file: PasswordFile = None,
) -> None:
    """Sign a bundle: writes model.sig into it."""
    from training.bundle import BundleError  # noqa: PLC0415
    from training.signing import SigningError, read_password, sign_bundle  # noqa: PLC0415

    try:
        signature = sign_bundle(bundle, key, read_password(password_file))
    except (SigningError, BundleError, OSError) as error:
        _fail(str(error))
    typer.echo(f"signed: {signature}")


@app.command(
    epilog="""\b
Examples:
  fanwatch model verify models/fan --key keys/model-signing.pub"""
)
def verify(
    bundle: Bundle,
    key: Annotated[Path, typer.Option(help="The public key.")],
) -> None:
    """Say whether a bundle is what was signed; exit code 1 when it is not."""
    from training.signing import SigningError, verify_bundle  # noqa: PLC0415

    try:
        verify_bundle(bundle, key)
    except SigningError as error:
        _fail(str(error))
    typer.echo(f"{bundle}: the signature holds")


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code=1)
