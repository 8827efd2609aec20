"""What a backup asks of a site: the commands that send and take its data. Compose's here; the tests have processes."""

import platform
from abc import ABC, abstractmethod
from pathlib import Path

from edge_manager.device_health.compose import Compose, ComposeError, run

__all__ = ["DATABASE_BACKUP", "DATABASE_RESTORE", "ComposeStack", "SiteStack"]

_SERVICE = "archive"
"""In docker-compose.yml."""

DATABASE_BACKUP = r"""
set -eu
scratch=$1/.fanwatch-backup
trap 'rm -rf "$scratch"' EXIT
rm -rf "$scratch"
needed=$(du -sk "$1/data" "$1/wal" | awk '{ sum += $1 } END { print sum }')
set -- "$1" "$2" $(df -Pk "$1" | awk 'NR == 2 { print $2, $4 }')
if [ $(($4 - needed)) -lt $(($3 / 10)) ]; then
  echo "no room for a copy of InfluxDB's $((needed / 1024)) MB: $(($4 / 1024)) MB are free, and a tenth of the disk" \
    "has to stay so; make room" >&2
  exit 1
fi
influxd backup -portable -db fan -host "$2" "$scratch" >&2
tar -C "$scratch" -cf - .
"""
"""For `sh -c`, with InfluxDB's folder and the address of its backup service. influxd's portable backup is one state of
each shard, made while it writes; users are not in it, setup makes them from the secrets."""

DATABASE_RESTORE = """
set -eu
scratch=$1/.fanwatch-restore
trap 'rm -rf "$scratch"' EXIT
rm -rf "$scratch"
mkdir "$scratch"
tar -C "$scratch" -xof -
influxd restore -portable -db fan -host "$2" "$scratch" >&2
"""
"""The way back, into a running InfluxDB that has no database fan."""


class SiteStack(ABC):
    """One site."""

    @abstractmethod
    def images(self) -> dict[str, str]:
        """The image of each service, for the record."""

    @abstractmethod
    def site_files(self) -> dict[str, Path]:
        """The files of the host that belong to the site, by their name in a backup; where they are or would be."""

    @abstractmethod
    def places(self, verb: str) -> list[str]:
        """The command of edge_manager.backup.places: collect, place, held or clear."""

    @abstractmethod
    def database(self, script: str) -> list[str]:
        """The command that runs DATABASE_BACKUP or DATABASE_RESTORE beside InfluxDB."""

    @abstractmethod
    def running(self) -> list[str]:
        """The services that run."""

    @abstractmethod
    def stop(self) -> None:
        """Stops all of them."""

    @abstractmethod
    def start_database(self) -> None:
        """Starts InfluxDB alone and waits until it answers."""

    def host(self) -> str:
        """The machine's name."""
        return platform.node()


class ComposeStack(SiteStack):
    """The stack of docker-compose.yml.

    Args:
        compose: Drives it.
    """

    def __init__(self, compose: Compose) -> None:
        self._compose = compose

    def images(self) -> dict[str, str]:
        """The images of the containers that are there."""
        return {str(each["Service"]): str(each.get("Image", "")) for each in self._compose.services()}

    def site_files(self) -> dict[str, Path]:
        """.env, and the plant's file if .env names one of this folder."""
        folder = self._compose.folder
        found = {"env": folder / ".env"}
        named = _variable(folder / ".env", "FANWATCH_PLANT_FILE")
        plant = (folder / named).resolve() if named else folder / "plant.toml"
        # A file elsewhere is brought back beside docker-compose.yml: a backup does not say where to write.
        found["plant.toml"] = plant if plant.is_file() else folder / "plant.toml"
        return found

    def places(self, verb: str) -> list[str]:
        """A container that has the volumes and no network; its image is made before, as building writes to stdout."""
        self._need_image()
        return self._compose.command("run", "--rm", "--no-deps", "-T", _SERVICE, verb)

    def _need_image(self) -> None:
        [name] = self._compose.run("config", "--images", _SERVICE).split()
        try:
            run(["docker", "image", "inspect", name], self._compose.folder, 60)
        except ComposeError:
            self._compose.run("build", "--quiet", _SERVICE, timeout_s=3600)

    def database(self, script: str) -> list[str]:
        """In InfluxDB's own container: its backup service listens there alone."""
        inside = ("sh", "-c", script, "sh", "/var/lib/influxdb", "127.0.0.1:8088")
        return self._compose.command("exec", "-T", "influxdb", *inside)

    def running(self) -> list[str]:
        """The services with a running container."""
        return sorted(
            {str(each["Service"]) for each in self._compose.services() if each.get("State") == "running"}
        )

    def stop(self) -> None:
        """`docker compose down`; volumes stay."""
        self._compose.run("down", "--remove-orphans", timeout_s=300)

    def start_database(self) -> None:
        """InfluxDB's container, until it is healthy."""
        self._compose.run(
            "up", "--detach", "--no-deps", "--wait", "--wait-timeout", "120", "influxdb", timeout_s=180
        )


def _variable(file: Path, name: str) -> str | None:
    """A variable of an environment file, which Compose reads: NAME=value, quotes around it or not."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    values = [
        line.partition("=")[2].strip().strip("'\"") for line in lines if line.strip().startswith(f"{name}=")
    ]
    return values[-1] if values and values[-1] else None
