"""What a backup asks of a site: the commands that send and take its data. Compose's here; the tests have processes."""

import platform
from abc import ABC, abstractmethod
from pathlib import Path

from edge_manager.backup.site_files import SiteFile, site_files
from edge_manager.device.compose import Compose

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
    """One site.

    Attributes:
        folder: Where its commands are run.
    """

    folder: Path

    @abstractmethod
    def images(self) -> dict[str, str]:
        """The image of each service, for the record."""

    @abstractmethod
    def site_files(self) -> dict[str, SiteFile]:
        """The files of the host that belong to the site, by their name in a backup."""

    @abstractmethod
    def places(self, verb: str) -> list[str]:
        """The command of edge_manager.backup.places: collect, place, held or clear."""

    @abstractmethod
    def database(self, script: str) -> list[str]:
        """The command that runs DATABASE_BACKUP or DATABASE_RESTORE beside InfluxDB."""

    @abstractmethod
    def running(self) -> list[str]:
        """The services that run."""

    def prepare(self) -> None:  # noqa: B027 - most have nothing to make
        """Makes what volumes need to be there, from the site's files."""

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
        self.folder = compose.folder

    def images(self) -> dict[str, str]:
        """The images of the containers that are there."""
        return {str(each["Service"]): str(each.get("Image", "")) for each in self._compose.containers()}

    def site_files(self) -> dict[str, SiteFile]:
        """Those of its folder."""
        return site_files(self.folder)

    def places(self, verb: str) -> list[str]:
        """A container that has the volumes and no network; its image is made before, as building writes to stdout."""
        self._need_image()
        return self._compose.command("run", "--rm", "--no-deps", "-T", _SERVICE, verb)

    def _need_image(self) -> None:
        [name] = self._compose.answer("config", "--images", _SERVICE).split()
        if not self._compose.docker.has_image(name):
            self._compose.answer("build", "--quiet", _SERVICE, timeout_s=3600)

    def database(self, script: str) -> list[str]:
        """In InfluxDB's own container: its backup service listens there alone."""
        inside = ("sh", "-c", script, "sh", "/var/lib/influxdb", "127.0.0.1:8088")
        return self._compose.command("exec", "-T", "influxdb", *inside)

    def prepare(self) -> None:
        """The folders of docker-compose.data-dir.yml, where .env says that data lives in one."""
        for volume in self._compose.resolved().get("volumes", {}).values():
            place = ((volume or {}).get("driver_opts") or {}).get("device")
            if place:
                Path(place).mkdir(parents=True, exist_ok=True, mode=0o755)

    def running(self) -> list[str]:
        """The services with a running container."""
        return sorted(self._compose.running())

    def stop(self) -> None:
        """`docker compose down`; volumes stay."""
        self._compose.answer("down", "--remove-orphans", timeout_s=300)

    def start_database(self) -> None:
        """InfluxDB's container, until it is healthy."""
        self._compose.answer(
            "up", "--detach", "--no-deps", "--wait", "--wait-timeout", "120", "influxdb", timeout_s=180
        )
