"""Where the models of a command lie: in a folder, or in a site's Compose stack, whose own container changes them."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from edge_manager.device.compose import Compose
from model_folder.folder import ModelFolderError

__all__ = ["MODELS", "Folder", "Models", "site_of", "use_command"]

MODELS = Path("models")
"""The folder of models unless one is named."""

Models = Annotated[
    Path | None,
    typer.Option(
        "--models",
        envvar="FANWATCH_MODELS_DIR",
        help="Folder that holds one folder a model; ./models unless given.",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        envvar="FANWATCH_FOLDER",
        help="A site's folder: the models of its Compose stack, in place of --models.",
    ),
]


def site_of(folder: Path | None, models: Path | None) -> Compose | None:
    """The site whose models are meant; None when those of a folder are.

    Raises:
        ModelFolderError: Both are named.
        edge_manager.device.docker.SiteError: That is no site's folder, or Docker is not installed.
    """
    if folder is None:
        return None
    if models is not None:
        raise ModelFolderError(
            f"the site {folder} and the folder of models {models} are both named: give one of the two, --folder "
            "(FANWATCH_FOLDER) or --models (FANWATCH_MODELS_DIR)"
        )
    return Compose(folder)


def use_command(name: str, version: str, *, folder: Path | None = None, models: Path | None = None) -> str:
    """What a person types, wherever they stand, to serve a version that lies there."""
    if folder is not None:
        place = ["--folder", str(folder.resolve())]
    else:
        place = [] if models is None else ["--models", str(models.resolve())]
    return shlex.join(["fanwatch", "model", "use", name, version, *place])
