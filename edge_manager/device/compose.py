"""Driving the Compose project of a site, as a person would with `docker compose`."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["COMPOSE_FILE", "Compose", "SiteError"]

COMPOSE_FILE = "docker-compose.yml"
_QUICK_S = 60
_SIGNAL = "kill -HUP 1"


class SiteError(Exception):
    """What stands in the way of a command, in a sentence that says what to do."""


Run = Callable[..., subprocess.CompletedProcess[str]]
"""subprocess.run, or what takes its place where there is no Docker."""


class Compose:
    """The Compose project of one site.

    Args:
        folder: The site's folder: the one with docker-compose.yml and .env.
        run: Starts a program.

    Raises:
        SiteError: That is no site's folder, or Docker is not installed.
    """

    def __init__(self, folder: Path, run: Run = subprocess.run) -> None:
        if not (folder / COMPOSE_FILE).is_file():
            raise SiteError(
                f"{folder.resolve()} is not a site's folder: it has no {COMPOSE_FILE}. Go to the folder of the clone, "
                "or name it with --folder or FANWATCH_FOLDER"
            )
        docker = shutil.which("docker")
        if docker is None:
            raise SiteError(
                "Docker is not installed (no `docker` in PATH): see https://docs.docker.com/engine/install"
            )
        self.folder = folder
        self._docker = docker
        self._run = run

    def answer(self, *arguments: str, timeout_s: float | None = _QUICK_S) -> str:
        """What a docker compose command writes to standard output.

        Raises:
            SiteError: It failed; with the sentence of whoever refused.
        """
        done = self._start(arguments, timeout_s, capture_output=True)
        if done.returncode:
            raise SiteError(self.why(done.stderr))
        return done.stdout

    def show(self, *arguments: str) -> int:
        """Runs a docker compose command on the person's own terminal; its exit code."""
        return self._start(arguments, None, capture_output=False).returncode

    def lines(self, *arguments: str) -> Iterator[str]:
        """What a docker compose command writes to standard output, line by line while it runs.

        Raises:
            SiteError: It failed; when all lines have come.
        """
        with (
            tempfile.TemporaryFile("w+", errors="replace") as errors,
            subprocess.Popen(  # noqa: S603 - docker, by its whole path
                [self._docker, "compose", *arguments],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                errors="replace",
            ) as process,
        ):
            try:
                for line in process.stdout or ():
                    yield line.rstrip("\n")
            finally:
                # However the reading ends: Ctrl-C, a closed pipe.
                if process.poll() is None:
                    process.terminate()
            if process.wait():
                errors.seek(0)
                raise SiteError(self.why(errors.read()))

    def setup(self, *arguments: str) -> str:
        """What a command of the setup container answers.

        Raises:
            SiteError: It refused, or there is no container; with its sentence.
        """
        # Nothing of Compose's own between its lines: a password comes this way.
        run = ("--progress", "quiet", "run", "--rm", "--no-deps", "-T", "setup")
        return self.answer(*run, *arguments, timeout_s=600)

    def running(self) -> list[str]:
        """The services that run now."""
        return self.answer("ps", "--services", "--status", "running").split()

    def resolved(self) -> dict[str, Any]:
        """docker-compose.yml with every variable filled in."""
        content: dict[str, Any] = json.loads(self.answer("config", "--format", "json"))
        return content

    def containers(self) -> list[dict[str, Any]]:
        """What Compose tells of every container of the site, the ended ones too."""
        text = self.answer("ps", "--all", "--format", "json").strip()
        # One list, or an object a line: it changed between versions.
        found: list[dict[str, Any]] = (
            json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
        )
        return found

    def volumes(self) -> list[str]:
        """The volumes that the engine keeps for this site."""
        label = f"label=com.docker.compose.project={self.resolved()['name']}"
        done = self._start(
            ("volume", "ls", "--quiet", "--filter", label), _QUICK_S, capture_output=True, compose=False
        )
        if done.returncode:
            raise SiteError(self.why(done.stderr))
        return done.stdout.split()

    def reload_broker(self) -> bool:
        """Makes a running broker read passwords, rules and certificate again; whether there is one.

        Not by `docker kill`: the engine takes any signal that it sends for a wish that the container stay down, and
        would not start it again after a crash.
        """
        if "mosquitto" not in self.running():
            return False
        self.answer("exec", "-T", "mosquitto", "sh", "-c", _SIGNAL)
        return True

    def restart(self, service: str) -> bool:
        """Starts a running service again; whether it runs."""
        if service not in self.running():
            return False
        self.answer("restart", service, timeout_s=180)
        return True

    def engine_version(self) -> str:
        """The version of the engine that answers.

        Raises:
            SiteError: None does.
        """
        done = self._start(
            ("version", "--format", "{{.Server.Version}}"), _QUICK_S, capture_output=True, compose=False
        )
        if done.returncode:
            raise SiteError(_engine_silent(done.stderr))
        return done.stdout.strip()

    def compose_version(self) -> str:
        """The version of Compose.

        Raises:
            SiteError: There is no Compose v2.
        """
        done = self._start(("version", "--short"), _QUICK_S, capture_output=True)
        if done.returncode:
            raise SiteError(
                "Docker has no Compose v2 (`docker compose version` fails): see https://docs.docker.com/compose/install"
            )
        return done.stdout.strip().removeprefix("v")

    def _start(
        self,
        arguments: tuple[str, ...],
        timeout_s: float | None,
        *,
        capture_output: bool,
        compose: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        command = [self._docker, *(["compose"] if compose else []), *arguments]
        try:
            return self._run(
                command,
                cwd=self.folder,
                env=os.environ | {"COMPOSE_ANSI": "auto"},
                capture_output=capture_output,
                stdin=subprocess.DEVNULL if capture_output else None,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise SiteError(
                f"`docker {' '.join(command[1:4])} ...` did not end within {error.timeout:g} s: is the engine well?"
            ) from error

    def why(self, errors: str) -> str:
        """The sentence of our own container, or the engine's silence, or what Docker says."""
        ours = [line.removeprefix("error: ") for line in errors.splitlines() if line.startswith("error: ")]
        if ours:
            return "; ".join(ours)
        self.compose_version()
        self.engine_version()
        return errors.strip()[-2000:] or "docker compose failed and said nothing"


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
