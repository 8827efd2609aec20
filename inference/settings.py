"""The scoring service's settings, read from the environment once."""

import os
import tempfile
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contract.identity import ModelName

RuntimeName = Literal["auto", "litert", "onnx", "tensorflow", "handler"]

OUR_PUBLIC_KEY = Path(__file__).with_name("fanwatch.pub")
"""Of the models that ship with Fanwatch."""

_MEMORY_FILES = Path("/dev/shm")  # noqa: S108 - the kernel's shared memory, used through mkstemp and mkdtemp only


def _scratch() -> Path:
    if _MEMORY_FILES.is_dir() and os.access(_MEMORY_FILES, os.W_OK):
        return _MEMORY_FILES
    return Path(tempfile.gettempdir())


class InferenceSettings(BaseSettings):
    """Each field is variable FANWATCH_<NAME>; a secret would be the file fanwatch_<name> in the secrets folder."""

    model_config = SettingsConfigDict(env_prefix="FANWATCH_", extra="ignore", protected_namespaces=())

    models_dir: Path = Field(
        default=Path("models"),
        description="Holds one folder a model: a bundle, or one bundle a version and the deployment.json that says "
        "which are in use. Written to when a new champion is given up, so that a restart does not try it again.",
    )
    model_name: ModelName = Field(default="fan", description="The model to serve: its folder's name.")
    model_public_keys: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(OUR_PUBLIC_KEY,),
        min_length=1,
        description="Files in PEM, comma-separated: a bundle must be signed by one of these keys.",
    )
    allow_unsigned_models: bool = Field(
        default=False,
        description="Takes bundles without looking at their signature. Whoever can write the models folder then "
        "decides what runs here: for trying things out only.",
    )
    allow_handlers: bool = Field(
        default=False,
        description="Whether a signed bundle may bring a handler, which is code that runs with this service's rights. "
        "Off, a stolen signing key costs wrong verdicts; on, the machine. Unsigned code is never run.",
    )
    runtime: RuntimeName = Field(
        default="auto",
        description="What computes: litert (47 MB, model.tflite), onnx (the extra of that name, model.onnx), "
        "tensorflow (the extra of that name, 670 MB, ten seconds to start, model.keras) or handler (the bundle's own "
        "code); auto takes the first for which the bundle holds a file, and the handler where the manifest says so.",
    )
    listen_host: str = Field(default="127.0.0.1", description="Address to listen on.")
    listen_port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes any.")
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes. One answers 300,000 rows a second in batches; more help many small callers.",
    )
    threads: int = Field(
        default=4, ge=1, le=64, description="Threads of a process: so many requests are answered at a time."
    )
    max_body_bytes: int = Field(
        default=8 * 1024 * 1024,
        ge=1024,
        description="A larger request is refused (413) without being parsed.",
    )
    max_rows: int = Field(
        default=10_000,
        ge=1,
        description="Rows in one request; more are refused (413). Bounds the answer's time.",
    )
    keep_alive_s: int = Field(
        default=75,
        ge=1,
        description="Seconds for which an idle connection is kept. Shorter than a caller's pause between requests "
        "makes it connect anew each time.",
    )
    stop_s: int = Field(
        default=8,
        ge=0,
        description="Seconds after SIGTERM in which requests in flight may still be answered.",
    )
    scratch_dir: Path = Field(
        default_factory=_scratch,
        description="Small files of the running service (heartbeats, counters shared by the workers). Memory is "
        "best: /dev/shm where it is there, so that the root filesystem may be read-only.",
    )

    probation_s: float = Field(
        default=600,
        ge=0,
        description="Seconds for which a new champion is watched, and given up for the one before when it does not "
        "keep to the two limits below; 0 never.",
    )
    probation_most_failed: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of requests that it may fail and the one before does not.",
    )
    probation_p99_ms: float = Field(
        default=250, gt=0, description="99 % of its requests must be scored within so many milliseconds."
    )

    @field_validator("model_public_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(Path(key.strip()) for key in value.split(",") if key.strip())
        return value

    @classmethod
    def read(cls) -> Self:
        """Read the environment and the secrets folder (FANWATCH_SECRETS_DIR).

        Raises:
            pydantic.ValidationError: A variable does not have the form that its field asks for.
        """
        folder = os.environ.get("FANWATCH_SECRETS_DIR")
        return cls(_secrets_dir=folder) if folder else cls()
