"""What an air-gapped install asks of Docker, on the machine that makes the bundle and on the one that gets it."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edge_manager.installation.bundle_file import BundleError

__all__ = ["Engine"]

_QUICK_S = 120
_LONG_S = 3600


@dataclass(frozen=True, slots=True)
class Engine:
    """Docker, seen from one folder with docker-compose.yml.

    Attributes:
        folder: The site's.
    """

    folder: Path

    def architecture(self) -> str:
        """Of the machine that the containers run on: amd64, arm64."""
        return self._run("version", "--format", "{{.Server.Arch}}").strip()

    def config(self) -> dict[str, Any]:
        """docker-compose.yml with everything filled in, the services behind a profile too."""
        content: dict[str, Any] = json.loads(
            self._run("compose", "--profile", "*", "config", "--format", "json")
        )
        return content

    def images(self) -> list[str]:
        """The images that the site's services run."""
        return sorted(set(self._run("compose", "--profile", "*", "config", "--images").split()))

    def has_image(self, name: str) -> bool:
        """Whether it is on this machine."""
        return self._start(("image", "inspect", "--format", "{{.Id}}", name), _QUICK_S).returncode == 0

    def save(self, images: list[str], out: Path) -> None:
        """Writes images into one archive."""
        self._run("save", "--output", str(out.absolute()), *images, timeout_s=_LONG_S)

    def load(self, archive: Path) -> None:
        """Takes them onto this machine."""
        self._run("load", "--quiet", "--input", str(archive.absolute()), timeout_s=_LONG_S)

    def receive_model(self, parcel: IO[bytes]) -> None:
        """Puts a bundle of a model among those of the running site."""
        self._run(
            "compose", "run", "--rm", "--no-deps", "-T", "model", "receive", stdin=parcel, timeout_s=600
        )

    def _run(self, *arguments: str, timeout_s: float = _QUICK_S, stdin: IO[bytes] | None = None) -> str:
        done = self._start(arguments, timeout_s, stdin)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-600:]
            raise BundleError(f"docker {' '.join(arguments[:3])} failed: {said or done.returncode}")
        return done.stdout.decode()

    def _start(
        self, arguments: tuple[str, ...], timeout_s: float, stdin: IO[bytes] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        docker = shutil.which("docker")
        if docker is None:
            raise BundleError(
                "Docker is not installed (no `docker` in PATH): see https://docs.docker.com/engine/install"
            )
        try:
            return subprocess.run(  # noqa: S603 - docker by its whole path
                [docker, *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                capture_output=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BundleError(
                f"docker {' '.join(arguments[:3])} did not end within {timeout_s:.0f} s"
            ) from None
