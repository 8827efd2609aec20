"""Driving the Compose project of a site, as a person would with `docker compose`."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from edge_manager.device.docker import Docker, Run, SiteError

__all__ = ["COMPOSE_FILE", "Compose"]

COMPOSE_FILE = "docker-compose.yml"
_QUICK_S = 60
_SIGNAL = "kill -HUP 1"


class Compose:
    """The Compose project of one site.

    Args:
        folder: The site's folder: the one with docker-compose.yml and .env.
        run: Starts a program.

    Attributes:
        docker: The engine's own commands, from this folder.

    Raises:
        edge_manager.device.docker.SiteError: That is no site's folder, or Docker is not installed.
    """

    def __init__(self, folder: Path, run: Run = subprocess.run) -> None:
        if not (folder / COMPOSE_FILE).is_file():
            raise SiteError(
                f"{folder.resolve()} is not a site's folder: it has no {COMPOSE_FILE}. Go to the folder of the clone, "
                "or name it with --folder or FANWATCH_FOLDER"
            )
        self.folder = folder
        self.docker = Docker(folder, run)
        self._program = self.docker.program

    def command(self, *arguments: str) -> list[str]:
        """A docker compose command, for whoever runs it in the site's folder and reads or writes while it runs."""
        return [self._program, "compose", "--progress", "quiet", *arguments]

    def answer(
        self, *arguments: str, timeout_s: float | None = _QUICK_S, stdin: IO[bytes] | None = None
    ) -> str:
        """What a docker compose command writes to standard output.

        Raises:
            SiteError: It failed; with the sentence of whoever refused.
        """
        done = self.docker.start("compose", *arguments, timeout_s=timeout_s, stdin=stdin)
        if done.returncode:
            raise SiteError(self.why(done.stderr))
        return done.stdout

    def show(self, *arguments: str) -> int:
        """Runs a docker compose command on the person's own terminal; its exit code."""
        return self.docker.start("compose", *arguments, timeout_s=None, capture_output=False).returncode

    def lines(self, *arguments: str) -> Iterator[str]:
        """What a docker compose command writes to standard output, line by line while it runs.

        Raises:
            SiteError: It failed; when all lines have come.
        """
        with (
            tempfile.TemporaryFile("w+", errors="replace") as errors,
            subprocess.Popen(  # noqa: S603 - docker, by its whole path
                [self._program, "compose", *arguments],
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

    def resolved(self, *options: str) -> dict[str, Any]:
        """docker-compose.yml with every variable filled in, as `docker compose OPTIONS config` says it."""
        content: dict[str, Any] = json.loads(self.answer(*options, "config", "--format", "json"))
        return content

    def model(self, *arguments: str, stdin: IO[bytes] | None = None) -> str:
        """What a command of `fanwatch model` answers in the container that has the site's models.

        Raises:
            SiteError: It refused; with its sentence.
        """
        # Built before, where it is not there: building writes to where the answer is read.
        [image] = self.answer("config", "--images", "model").split()
        if not self.docker.has_image(image):
            self.answer("build", "--quiet", "model", timeout_s=3600)
        run = ("--progress", "quiet", "run", "--rm", "--no-deps", "-T", "model")
        return self.answer(*run, *arguments, stdin=stdin, timeout_s=600)

    def receive_model(self, parcel: IO[bytes]) -> None:
        """Puts a packed bundle of a model among those of the site; nothing uses it yet.

        Raises:
            SiteError: The site refused it.
        """
        self.model("receive", stdin=parcel)

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
        return self.docker.answer("volume", "ls", "--quiet", "--filter", label).split()

    def reload_broker(self) -> bool:
        """Makes a running broker read passwords, rules and certificate again; whether there is one.

        Not by `docker kill`: the engine takes any signal that it sends for a wish that the container stay down, and
        would not start it again after a crash or at the machine's next start
        (https://github.com/moby/moby/issues/41302).
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

    def compose_version(self) -> str:
        """The version of Compose.

        Raises:
            SiteError: There is no Compose v2.
        """
        done = self.docker.start("compose", "version", "--short")
        if done.returncode:
            raise SiteError(
                "Docker has no Compose v2 (`docker compose version` fails): see https://docs.docker.com/compose/install"
            )
        return done.stdout.strip().removeprefix("v")

    def why(self, errors: str) -> str:
        """The sentence of our own container, or the engine's silence, or what Docker says."""
        ours = [line.removeprefix("error: ") for line in errors.splitlines() if line.startswith("error: ")]
        if ours:
            return "; ".join(ours)
        self.compose_version()
        self.docker.engine_version()
        return errors.strip()[-2000:] or "docker compose failed and said nothing"
