"""Manifest: what a model bundle says of itself (manifest.json, beside model.tflite, model.keras or model.onnx)."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contract.identity import ModelName, SignalName
from contract.reading import RESERVED_NAMES

MANIFEST_FILE = "manifest.json"
SIGNATURE_FILE = "model.sig"
"""Signature of every other file of the bundle, the manifest included (OpenSSF model signing specification)."""

ModelVersion = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="Of the model; also a folder's name, so it cannot begin with a dot.",
    ),
]

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, lower-case hexadecimal.")]
FileName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
        description="A plain name inside the bundle's folder; a path cannot be written.",
    ),
]


class SignalSpec(BaseModel):
    """One input of the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: SignalName
    unit: str = Field(min_length=1, max_length=32, description='As a person writes it: "r/min", "degrees C".')
    minimum: float = Field(allow_inf_nan=False, description="Lowest plausible value, in the unit.")
    maximum: float = Field(allow_inf_nan=False, description="Highest plausible value, in the unit.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.minimum >= self.maximum:
            raise ValueError(
                f"signal {self.name}: minimum {self.minimum} is not below maximum {self.maximum}"
            )
        if self.name in RESERVED_NAMES:
            raise ValueError(f"a signal may not be called {self.name}")
        return self


class ModelSignature(BaseModel):
    """What a caller must know to use a model: GET /v2/models/NAME carries it as ``parameters``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    signals: tuple[SignalSpec, ...] = Field(
        min_length=1, max_length=1024, description="The inputs, in the order of the tensor's columns."
    )
    threshold: float = Field(ge=0, le=1, description="fault is 1 from this probability on.")

    @model_validator(mode="after")
    def _no_signal_twice(self) -> Self:
        names = [signal.name for signal in self.signals]
        if len(set(names)) != len(names):
            raise ValueError(f"a signal is named twice in {names}")
        return self


class Manifest(ModelSignature):
    """The whole manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = Field(default=1, description="Version of this schema.")
    name: ModelName
    version: ModelVersion
    metrics: dict[str, float] = Field(description="Figures on the held-out split, by name.")
    training_data_sha256: Sha256 = Field(description="Digest of the training data, as the trainer read it.")
    handler: bool = Field(
        default=False,
        description="Whether handler.py of this bundle computes it: code, which the scoring service runs only from a "
        "signed bundle and where its settings allow it.",
    )
    files: dict[FileName, Sha256] = Field(min_length=1, description="Digest of each file of the bundle.")

    @property
    def model_id(self) -> str:
        """Name and version as verdicts carry them: ``name:version``."""
        return f"{self.name}:{self.version}"
