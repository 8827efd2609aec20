"""Docker Compose, asked and told from the host, as an operator would: the services' own networks have no way in."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Compose", "ComposeError"]


class ComposeError(RuntimeError):
    """A docker command failed or is not there; says which and what it said."""


@dataclass(frozen=True, slots=True)
class Compose:
    """The stack of one folder.

    Attributes:
        folder: Holds docker-compose.yml and .env. Which project it is, Compose itself decides (COMPOSE_PROJECT_NAME).
    """

    folder: Path

    def command(self, *arguments: str) -> list[str]:
        """A docker compose command about this stack."""
        return ["docker", "compose", "--project-directory", str(self.folder), *arguments]

    def run(self, *arguments: str, timeout_s: float = 120) -> str:
        """Runs one and returns what it wrote.

        Raises:
            ComposeError: It failed, took too long, or there is no Docker.
        """
        return run(self.command(*arguments), self.folder, timeout_s)

    def services(self) -> list[dict[str, Any]]:
        """Every container of the stack, the ended ones too, as `docker compose ps` tells of them.

        Raises:
            ComposeError: Nobody answers.
        """
        return json_lines(self.run("ps", "--all", "--format", "json", timeout_s=30))

    def configuration(self) -> dict[str, Any]:
        """The stack's file with every variable filled in.

        Raises:
            ComposeError: There is no such file, or it is none.
        """
        found: dict[str, Any] = json.loads(self.run("config", "--format", "json", timeout_s=30))
        return found


def run(command: list[str], folder: Path, timeout_s: float) -> str:
    """Runs a program of this machine and returns its standard output.

    Raises:
        ComposeError: As Compose.run().
    """
    try:
        ended = subprocess.run(  # noqa: S603 - a list, no shell
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            env=os.environ,
        )
    except FileNotFoundError as error:
        raise ComposeError(
            f"{error.filename} is not there: Docker is not installed, or the folder is"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ComposeError(f"`{_short(command)}` did not end within {timeout_s:g} s") from error
    if ended.returncode:
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
        raise ComposeError(
            f"`{_short(command)}` failed: {said[-1] if said else f'exit code {ended.returncode}'}"
        )
    return ended.stdout


def json_lines(text: str) -> list[dict[str, Any]]:
    """What `--format json` writes: one object a line, or in older versions of Compose one list."""
    text = text.strip()
    if text.startswith("["):
        listed: list[dict[str, Any]] = json.loads(text)
        return listed
    return [json.loads(line) for line in text.splitlines() if line]


def _short(command: list[str]) -> str:
    words = [word for word in command if "\n" not in word]
    return " ".join(words)[:160]
