"""Docker on this machine, asked by its own command."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["Docker", "SiteError"]

_QUICK_S = 60
_LONG_S = 3600


class SiteError(Exception):
    """What stands in the way of a command, in a sentence that says what to do."""


Run = Callable[..., subprocess.CompletedProcess[str]]
"""subprocess.run, or what takes its place where there is no Docker."""


@dataclass(frozen=True, slots=True)
class Docker:
    """The `docker` command, run in one folder.

    Attributes:
        folder: Where it is run.
        run: Starts a program.
    """

    folder: Path
    run: Run = subprocess.run

    @property
    def program(self) -> str:
        """Its whole path.

        Raises:
            SiteError: It is not installed.
        """
        found = shutil.which("docker")
        if found is None:
            raise SiteError(
                "Docker is not installed (no `docker` in PATH): see https://docs.docker.com/engine/install"
            )
        return found

    def start(
        self,
        *arguments: str,
        timeout_s: float | None = _QUICK_S,
        stdin: IO[bytes] | None = None,
        capture_output: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a docker command to its end, which may be a failure.

        Args:
            arguments: Those after `docker`.
            timeout_s: It is killed after so many seconds; None lets it take as long as it wants.
            stdin: What it reads; without any, nothing, or the person's terminal where its output is not captured.
            capture_output: Else it writes to the person's own terminal.

        Raises:
            SiteError: Docker is not installed, or the time is over.
        """
        nothing = subprocess.DEVNULL if capture_output else None
        try:
            return self.run(
                [self.program, *arguments],
                cwd=self.folder,
                env=os.environ | {"COMPOSE_ANSI": "auto"},
                capture_output=capture_output,
                stdin=nothing if stdin is None else stdin,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise SiteError(
                f"`docker {' '.join(arguments[:3])} ...` did not end within {error.timeout:g} s: is the engine well?"
            ) from error

    def answer(self, *arguments: str, timeout_s: float | None = _QUICK_S) -> str:
        """What a docker command writes to standard output.

        Raises:
            SiteError: It failed; with Docker's sentence.
        """
        done = self.start(*arguments, timeout_s=timeout_s)
        if done.returncode:
            self.engine_version()  # which says so when that is why
            said = done.stderr.strip()[-2000:] or f"exit code {done.returncode}"
            raise SiteError(f"`docker {' '.join(arguments[:3])} ...` failed: {said}")
        return done.stdout

    def engine_version(self) -> str:
        """The version of the engine that answers.

        Raises:
            SiteError: None does.
        """
        done = self.start("version", "--format", "{{.Server.Version}}")
        if done.returncode:
            raise SiteError(_engine_silent(done.stderr))
        return done.stdout.strip()

    def architecture(self) -> str:
        """Of the machine that the containers run on: amd64, arm64."""
        return self.answer("version", "--format", "{{.Server.Arch}}").strip()

    def root(self) -> Path:
        """The folder of the engine's volumes and images."""
        return Path(self.answer("info", "--format", "{{.DockerRootDir}}").strip())

    def has_image(self, name: str) -> bool:
        """Whether it is on this machine.

        Raises:
            SiteError: No engine answers, so nobody knows.
        """
        if self.start("image", "inspect", "--format", "{{.Id}}", name).returncode == 0:
            return True
        self.engine_version()
        return False

    def save(self, images: list[str], out: Path) -> None:
        """Writes images into one archive."""
        self.answer("save", "--output", str(out.absolute()), *images, timeout_s=_LONG_S)

    def load(self, archive: Path) -> None:
        """Takes them onto this machine."""
        self.answer("load", "--quiet", "--input", str(archive.absolute()), timeout_s=_LONG_S)


def _engine_silent(errors: str) -> str:
    if "permission denied" in errors.lower():
        return (
            "you may not speak to the Docker engine: run this as root, or join the group docker and sign in again "
            "(who is in it is as good as root on this machine)"
        )
    return (
        "no Docker engine answers: start it (`sudo systemctl start docker`). Docker says: "
        f"{errors.strip().splitlines()[-1][:300] if errors.strip() else 'nothing'}"
    )
