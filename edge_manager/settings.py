"""The environment of setup and history, read once."""

import os
from pathlib import Path

from pydantic import Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from edge_manager.site.certificates import server_names
from edge_manager.site.kubernetes_secrets import KubernetesSecrets, KubernetesSecretStore
from edge_manager.site.secret_store import SecretStore

__all__ = ["HistorySettings", "SetupSettings", "secrets_dir"]

_DEFAULT_SECRETS_DIR = "/run/fanwatch"


def secrets_dir() -> str | None:
    """The folder with this reader's secrets; None where there is none, since pydantic warns about that."""
    folder = Path(os.environ.get("FANWATCH_SECRETS_DIR", _DEFAULT_SECRETS_DIR))
    return str(folder) if folder.is_dir() else None


class _InfluxDBSettings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="FANWATCH_", use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True
    )

    influxdb_url: HttpUrl = HttpUrl("http://127.0.0.1:8086")
    """Where InfluxDB answers HTTP. A wrong one: setup gives up after the wait and says so."""

    schema_dir: Path = Path("influxdb/schema")
    """The folder with schema.influxql, users.influxql and backfill.influxql."""


class SetupSettings(_InfluxDBSettings):
    """What `python -m edge_manager setup` reads."""

    secrets_root: Path = Path("/secrets")
    """The folder under which each reader's volume is mounted: mosquitto, telegraf, grafana and so on."""

    secrets_in_kubernetes: bool = False
    """Whether each reader's folder is a Kubernetes Secret (deploy/helm), of which secrets_root is the working copy."""

    acl_file: Path = Path("mosquitto/acl")
    """The broker's shipped access rules; setup adds those of the clients that people added."""

    hostnames: str = ""
    """Names and addresses under which devices reach the broker, separated by commas: its certificate is for these."""

    bind: str = "127.0.0.1"
    """The address that the broker's port is published on; its certificate is for this one too."""

    retention_days: int | None = Field(default=None, ge=2, le=364)
    """Days that single readings are kept. None leaves InfluxDB's policy as it stands, at first 30 days."""

    influxdb_wait_s: float = Field(default=120, gt=0)
    """Seconds to wait for InfluxDB before giving up with an error."""

    page_url: str = "http://127.0.0.1:8080"
    """The live page's address as people reach it; only printed."""

    grafana_url: str = "http://127.0.0.1:3000"
    """Grafana's address as people reach it; only printed."""

    show_command: str = "docker compose run --rm --no-deps setup show"
    """The command that shows a credential; only printed."""

    def open_store(self) -> SecretStore:
        """The secrets, wherever this site keeps them.

        Raises:
            OSError: Kubernetes does not let this pod at them.
        """
        if self.secrets_in_kubernetes:
            return KubernetesSecretStore(self.secrets_root, KubernetesSecrets())
        return SecretStore(self.secrets_root)

    @property
    def broker_names(self) -> tuple[str, ...]:
        """What the broker's certificate is for.

        Raises:
            ValueError: A name is impossible.
        """
        return server_names([*self.hostnames.split(","), self.bind])


class HistorySettings(_InfluxDBSettings):
    """What `python -m edge_manager history` reads."""

    influxdb_username: str = "history"
    """The InfluxDB user of the backfill."""

    influxdb_password: SecretStr
    """Its password: the file fanwatch_influxdb_password in the secrets folder. No default."""

    backfill_cron: str = "17 2 * * *"
    """When the backfill runs, as a crontab line in UTC. Nightly, because it reads every raw reading again."""

    backfill_start_delay_s: float = Field(default=600, ge=0)
    """Seconds from the start to the first backfill: a machine that is off at night has one all the same."""

    backfill_days: int = Field(default=30, ge=1)
    """Whole days to compute again, counted back from today. More than the raw retention does nothing more."""

    history_state_file: Path = Path("/tmp/fanwatch-history.json")  # noqa: S108 # the container's own tmpfs
    """Where the service notes its last success for `python -m edge_manager health`."""

    history_check_interval_s: float = Field(default=30, gt=0)
    """Seconds between two checks that InfluxDB answers; health fails when three are missed."""

    heartbeat_interval_s: float = Field(default=5, ge=1)
    """Seconds between two looks for the newest verdict in InfluxDB; as often as Telegraf asks for its age."""

    listen_host: str = "127.0.0.1"
    """Address of /metrics."""

    listen_port: int = Field(default=9103, ge=1, le=65535)
    """Port of /metrics."""
