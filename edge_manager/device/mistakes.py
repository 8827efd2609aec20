"""What a person does wrong, or finds wrong, ends a command with a sentence and no traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from contract.deployment import NotDeployed
from edge_manager.device.docker import SiteError
from edge_manager.installation.bundle_file import BundleError
from model_folder.folder import ModelFolderError

__all__ = ["as_sentences"]


@contextmanager
def as_sentences() -> Iterator[None]:
    """Ends the command with exit code 1 and one sentence for each of these."""
    try:
        yield
    except (SiteError, BundleError, ModelFolderError, NotDeployed, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
