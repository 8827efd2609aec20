"""The predictor's settings, read from the environment once."""

import os
from datetime import timedelta
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class PredictorSettings(BaseSettings):
    """Each field is variable FANWATCH_<NAME>; a secret is the file fanwatch_<name> in the secrets folder."""

    model_config = SettingsConfigDict(env_prefix="FANWATCH_", extra="ignore")

    mqtt_host: str = Field(default="127.0.0.1", description="Host name or address of the broker.")
    mqtt_port: int = Field(default=1883, ge=1, le=65535, description="TCP port of the broker.")
    mqtt_username: str | None = Field(default=None, description="User at the broker; unset means anonymous.")
    mqtt_password: SecretStr | None = Field(default=None, description="That user's password.")
    client_id: str = Field(
        default="predictor",
        min_length=1,
        max_length=64,
        description="Names the session that the broker keeps while the predictor is away. Each replica needs its "
        "own and its successor takes it over: a new name leaves the old one's readings to nobody.",
    )
    share: str = Field(
        default="predictor",
        pattern=r"^[A-Za-z0-9_-]{0,64}$",
        description="Name of the shared subscription; predictors of one name divide the readings among them. "
        "Empty: a plain subscription, for a single predictor at a broker without shared ones.",
    )
    session_expiry_s: int = Field(
        default=7 * 86400,
        ge=3600,
        description="Seconds for which the broker keeps the session of an absent predictor.",
    )
    receive_maximum: int = Field(
        default=1000,
        ge=10,
        le=65535,
        description="Readings that the broker sends ahead of acknowledgements; bounds memory and batch.",
    )
    topic_root: str = Field(default="fan", description="First level of every topic.")
    naive_time_zone: ZoneInfo = Field(
        default=ZoneInfo("UTC"), description="Zone of a first-generation time, which names none."
    )
    max_ahead: timedelta = Field(
        default=timedelta(minutes=5),
        description="A reading further in the future is refused: its clock is wrong.",
    )
    retention_days: int = Field(
        default=30,
        ge=2,
        description="Days that InfluxDB keeps single readings. An older one, less a day, is refused: it would soon "
        "be dropped again.",
    )
    max_age: timedelta | None = Field(
        default=None, description="The oldest reading that is taken; unset, a day less than retention_days."
    )
    inference_url: str = Field(
        default="http://127.0.0.1:8000",
        pattern=r"^https?://[A-Za-z0-9._\[\]:-]+(/\S*)?$",
        description="Base URL of the scoring service.",
    )
    model_name: str = Field(default="fan", description="The model that scores these readings.")
    scoring_timeout_s: float = Field(
        default=5, gt=0, le=60, description="Seconds to wait for an answer before the request is tried again."
    )
    max_batch: int = Field(default=500, ge=1, le=10_000, description="Most readings in one scoring request.")
    stall_s: float = Field(
        default=30,
        gt=0,
        description="Health turns bad after so many seconds with work waiting and no progress.",
    )
    stop_s: float = Field(
        default=8,
        ge=0,
        description="Seconds after SIGTERM in which verdicts in flight may still be confirmed.",
    )
    listen_host: str = Field(default="127.0.0.1", description="Address of /health and /metrics.")
    listen_port: int = Field(default=9101, ge=0, le=65535, description="Port of /health and /metrics.")

    @property
    def oldest(self) -> timedelta:
        """The oldest reading that is taken."""
        return timedelta(days=self.retention_days - 1) if self.max_age is None else self.max_age

    @classmethod
    def read(cls) -> Self:
        """Read the environment and the secrets folder (FANWATCH_SECRETS_DIR).

        Raises:
            pydantic.ValidationError: A variable does not have the form that its field asks for.
        """
        folder = os.environ.get("FANWATCH_SECRETS_DIR")
        return cls(_secrets_dir=folder) if folder else cls()
