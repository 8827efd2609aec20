"""The simulator's settings, read once from the environment (and a directory of secrets)."""

import os
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_SECRETS_DIR = Path("/run/fanwatch")


class SimulatorSettings(BaseSettings):
    """Each field is the environment variable FANWATCH_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="FANWATCH_", extra="ignore")

    mqtt_host: str = Field(default="127.0.0.1", description="Host of the broker.")
    mqtt_port: int = Field(default=1883, ge=1, le=65535, description="Port of the broker.")
    mqtt_ca_file: Path | None = Field(
        default=None,
        description="File with the certificate authority of the site (setup show ca). With it the connection is "
        "encrypted, and the port is 8883 unless another is given; without it everything goes in clear.",
    )
    mqtt_username: str | None = Field(default=None, description="User at the broker; unset is anonymous.")
    mqtt_password: SecretStr | None = Field(
        default=None, description="Its password; in production the file fanwatch_mqtt_password instead."
    )
    topic_root: str = Field(default="fan", description="First level of every topic.")
    client_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="MQTT client id, fixed so that a restart takes its session over; each of several simulators "
        "at one broker needs its own. Unset: simulator, or fanwatch-replay.",
    )
    listen_host: str = Field(default="127.0.0.1", description="Where /metrics is served.")
    listen_port: int = Field(default=9102, ge=1, le=65535, description="Port of /metrics.")
    queue_readings: int = Field(
        default=100_000,
        ge=1,
        description="Readings kept while the broker is away (about 500 bytes each); beyond it the oldest is "
        "dropped, counted and logged.",
    )
    stop_s: float = Field(
        default=5.0,
        ge=0,
        description="Seconds after SIGTERM in which the broker may still acknowledge what is queued.",
    )

    @classmethod
    def read(cls) -> Self:
        """Read the environment and the secrets folder (FANWATCH_SECRETS_DIR, or /run/fanwatch).

        Raises:
            pydantic.ValidationError: A variable has an impossible value.
        """
        folder = Path(os.environ.get("FANWATCH_SECRETS_DIR", DEFAULT_SECRETS_DIR))
        # A missing folder is no error: without credentials the broker decides.
        return cls(_secrets_dir=folder) if folder.is_dir() else cls()
