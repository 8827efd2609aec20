"""The drift watch's settings, read from the environment once."""

import os
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.identity import ModelName

DEFAULT_SECRETS_DIR = Path("/run/fanwatch")


class DriftSettings(BaseSettings):
    """Each field is variable FANWATCH_<NAME>; a secret is the file fanwatch_<name> in the secrets folder."""

    model_config = SettingsConfigDict(env_prefix="FANWATCH_", extra="ignore", protected_namespaces=())

    mqtt_host: str = Field(default="127.0.0.1", description="Host name or address of the broker.")
    mqtt_port: int = Field(default=1883, ge=1, le=65535, description="TCP port of the broker.")
    mqtt_username: str | None = Field(default=None, description="User at the broker; unset means anonymous.")
    mqtt_password: SecretStr | None = Field(default=None, description="That user's password.")
    client_id: str = Field(
        default="drift",
        min_length=1,
        max_length=64,
        description="Name at the broker. Two of one name throw each other out again and again.",
    )
    session_expiry_s: int = Field(
        default=300,
        ge=0,
        description="Seconds for which the broker keeps verdicts for an absent drift watch. Longer than a restart, and "
        "shorter than 500 readings a second take to fill the broker's queue: a full queue drops, and alarms.",
    )
    receive_maximum: int = Field(
        default=1000, ge=10, le=65535, description="Messages that the broker sends ahead of acknowledgements."
    )
    topic_root: str = Field(default="fan", description="First level of every topic.")
    models_dir: Path = Field(
        default=Path("models"),
        description="The folder that the scoring service serves from, for the reference in each bundle; only read.",
    )
    model_name: ModelName = Field(default="fan", description="The model whose verdicts are watched.")
    listen_host: str = Field(default="127.0.0.1", description="Address of /health, /metrics and /drift.")
    listen_port: int = Field(default=9105, ge=0, le=65535, description="Their port.")
    window_readings: int = Field(
        default=480,
        ge=100,
        le=100_000,
        description="Newest readings of the fleet that are compared. More see a smaller drift, later. They have to be "
        "long against the plant's own rhythm: a window that holds one batch or one night alone differs from the year.",
    )
    device_readings: int = Field(
        default=250,
        ge=100,
        le=100_000,
        description="Newest readings of one device that are compared, likewise.",
    )
    false_flags: float = Field(
        default=0.02, gt=0, lt=1, description="False flags that are borne in 100,000 readings without drift."
    )
    max_devices: int = Field(
        default=500,
        ge=1,
        le=10_000,
        description="Most devices remembered, at 6 KB each; beyond it the longest unheard is forgotten.",
    )
    forget_after_s: float = Field(
        default=86_400, gt=0, description="A device not heard of for so many seconds is forgotten."
    )

    @classmethod
    def read(cls) -> Self:
        """Read the environment and the secrets folder (FANWATCH_SECRETS_DIR, or /run/fanwatch).

        Raises:
            pydantic.ValidationError: A variable does not have the form that its field asks for.
        """
        folder = Path(os.environ.get("FANWATCH_SECRETS_DIR", DEFAULT_SECRETS_DIR))
        return cls(_secrets_dir=folder) if folder.is_dir() else cls()
