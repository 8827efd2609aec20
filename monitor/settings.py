"""The monitor's settings, read from the environment once."""

import os
from pathlib import Path
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contract.identity import ModelName
from monitor.diagnosis.plant import DEFAULT_PLANT

DEFAULT_SECRETS_DIR = Path("/run/fanwatch")


class MonitorSettings(BaseSettings):
    """Each field is variable FANWATCH_<NAME>; a secret is the file fanwatch_<name> in the secrets folder."""

    model_config = SettingsConfigDict(env_prefix="FANWATCH_", extra="ignore", protected_namespaces=())

    mqtt_host: str = Field(default="127.0.0.1", description="Host name or address of the broker.")
    mqtt_port: int = Field(default=1883, ge=1, le=65535, description="TCP port of the broker.")
    mqtt_username: str | None = Field(default=None, description="User at the broker; unset means anonymous.")
    mqtt_password: SecretStr | None = Field(default=None, description="That user's password.")
    client_id: str = Field(
        default="monitor",
        min_length=1,
        max_length=64,
        description="Name at the broker. Two monitors of one name throw each other out again and again.",
    )
    session_expiry_s: int = Field(
        default=7 * 86400,
        ge=3600,
        description="Seconds for which the broker keeps what arrives for an absent monitor.",
    )
    receive_maximum: int = Field(
        default=1000,
        ge=10,
        le=65535,
        description="Messages that the broker sends ahead of acknowledgements; bounds memory and the log.",
    )
    topic_root: str = Field(default="fan", description="First level of every topic.")
    naive_time_zone: ZoneInfo = Field(
        default=ZoneInfo("UTC"), description="Zone of a first-generation time, which names none."
    )
    inference_url: str = Field(
        default="http://127.0.0.1:8000",
        description="Base URL of the scoring service, asked for units and threshold; "
        "the page works without them while it is away.",
    )
    model_name: ModelName = Field(default="fan", description="The model whose units and threshold are shown.")
    listen_host: str = Field(default="127.0.0.1", description="Address of the page.")
    listen_port: int = Field(default=8080, ge=0, le=65535, description="Port of the page.")
    threads: int = Field(
        default=16,
        ge=2,
        le=64,
        description="Requests served at once. A browser opens connections ahead of need, and each holds a thread for "
        "up to five seconds until it is used or set aside.",
    )
    demo: bool = Field(
        default=False,
        description="Shows the buttons that break and mend a simulated fan, and accepts their commands.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Host names, comma-separated, under which the page may send commands; "
        "localhost and every IP address always may.",
    )
    plant_file: Path = Field(
        default=DEFAULT_PLANT,
        description="What the plant knows of its machines: usual ranges, limits of wear, what to look at, planned "
        "maintenance, and the figures of the diagnosis.",
    )
    forget_after_s: float = Field(
        default=7 * 86400,
        gt=0,
        description="A device not heard of for so many seconds is taken off the page.",
    )
    window_points: int = Field(
        default=300, ge=16, le=10_000, description="Newest verdicts kept for each device, in memory."
    )
    max_devices: int = Field(
        default=500,
        ge=1,
        le=10_000,
        description="Most devices kept; beyond it the longest unheard is dropped.",
    )

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(host.strip().lower() for host in value.split(",") if host.strip())
        return value

    @classmethod
    def read(cls) -> Self:
        """Read the environment and the secrets folder (FANWATCH_SECRETS_DIR, or /run/fanwatch).

        Raises:
            pydantic.ValidationError: A variable does not have the form that its field asks for.
        """
        folder = Path(os.environ.get("FANWATCH_SECRETS_DIR", DEFAULT_SECRETS_DIR))
        return cls(_secrets_dir=folder) if folder.is_dir() else cls()
