"""A project: the folder in which a model is made, described by its toolkit.toml.

name = "pump"
version = "1"
threshold = 0.5                  # a fault from this probability on
model = "model.skops"            # .tflite, .keras, .onnx, .skops; or handler and files in its place
training_data = "training.csv"   # or training_data_sha256, where it lies elsewhere
sample = "sample.csv"            # a column for each signal; fault (0 or 1) says what the model should say

[[signals]]                      # in the order of the model's columns
name = "flow"
unit = "l/min"
minimum = 0                      # the plausible range, in the unit: outside of it the sensor is broken
maximum = 500

[limits]                         # what `fanwatch toolkit test` holds the model to
p99_ms = 250
memory_mib = 500
agreement = 1.0

[metrics]                        # figures on held-out data, for people
auc = 0.97
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contract.bundle import FileName, ModelSignature, ModelVersion, Sha256
from contract.identity import ModelName
from inference_toolkit.errors import ToolkitError

PROJECT_FILE = "toolkit.toml"
HANDLER_FILE = "handler.py"


class Limits(BaseModel):
    """What a model must keep to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    p99_ms: float = Field(default=250, gt=0, description="99 % of requests of one row, over HTTP.")
    memory_mib: float = Field(default=1000, gt=0, description="Of the whole service with this model.")
    agreement: float = Field(
        default=1.0, ge=0, le=1, description="Share of the sample's rows of which it says what `fault` says."
    )


class Project(ModelSignature):
    """What toolkit.toml says. Paths are beside it, or below it, or absolute."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ModelName
    version: ModelVersion
    model: Path | None = Field(default=None, description="The model's file, where no handler is needed.")
    handler: bool = Field(default=False, description="Whether handler.py computes it.")
    files: dict[FileName, Path] = Field(
        default_factory=dict,
        description="What the handler loads: names within the bundle, and where each file lies.",
    )
    sample: Path
    training_data: Path | None = None
    training_data_sha256: Sha256 | None = None
    limits: Limits = Limits()
    metrics: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.model is None) is not self.handler:
            raise ValueError('expected either model = "FILE", or handler = true for a handler.py')
        if self.files and not self.handler:
            raise ValueError("files are what a handler loads; there is none")
        if (self.training_data is None) is (self.training_data_sha256 is None):
            raise ValueError("expected training_data or training_data_sha256, one of them")
        return self


@dataclass(frozen=True)
class OpenProject:
    """A project and where it lies."""

    folder: Path
    project: Project

    def path(self, relative: Path) -> Path:
        """Where a file that the project names lies."""
        return self.folder / relative

    def read(self, relative: Path) -> bytes:
        """The content of a file that the project names.

        Raises:
            ToolkitError: It cannot be read.
        """
        path = self.path(relative)
        try:
            return path.read_bytes()
        except OSError as error:
            raise ToolkitError(
                f"{path}: cannot be read: {error.strerror}; {self.folder / PROJECT_FILE} names it"
            ) from error


def open_project(folder: Path) -> OpenProject:
    """Read a project's description.

    Raises:
        ToolkitError: There is none, or it does not describe a project.
    """
    path = folder / PROJECT_FILE
    try:
        return OpenProject(folder, Project.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))))
    except OSError as error:
        raise ToolkitError(
            f"{path}: cannot be read: {error.strerror}; `fanwatch toolkit new NAME` writes a project"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ToolkitError(f"{path}: is no TOML file: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise ToolkitError(f"{path}: {where}: {first['msg']}") from error
