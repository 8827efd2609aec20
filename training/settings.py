"""The environment of the pipeline, read once."""

import os
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["PipelineSettings", "secrets_dir"]

_DEFAULT_SECRETS_DIR = "/run/fanwatch"


def secrets_dir() -> str | None:
    """The folder with this reader's secrets; None where there is none, since pydantic warns about that."""
    folder = Path(os.environ.get("FANWATCH_SECRETS_DIR", _DEFAULT_SECRETS_DIR))
    return str(folder) if folder.is_dir() else None


class PipelineSettings(BaseSettings):
    """What a run reads of its surroundings; what it shall do are its options."""

    model_config = SettingsConfigDict(
        env_prefix="FANWATCH_", use_attribute_docstrings=True, extra="ignore", populate_by_name=True
    )

    influxdb_url: str = "http://127.0.0.1:8086"
    """Where InfluxDB answers HTTP. A wrong one: the step extract fails and says so."""

    influxdb_database: str = "fan"
    """The database; readings are taken of its retention policy raw."""

    influxdb_username: str | None = None
    """The InfluxDB user, one that may read (grafana). None: InfluxDB asks for no login."""

    influxdb_password: SecretStr | None = None
    """Its password; better as file fanwatch_influxdb_password in FANWATCH_SECRETS_DIR. No default."""

    registry_dir: Path = Path("registry")
    """The folder of the registry (mlflow.sqlite3 and artifacts/), where no server is named."""

    mlflow_tracking_uri: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_URI")
    """An MLflow server, by MLflow's own variable MLFLOW_TRACKING_URI; it replaces the folder."""

    @classmethod
    def read(cls) -> "PipelineSettings":
        """From the environment and the secrets folder."""
        return cls(_secrets_dir=secrets_dir())
