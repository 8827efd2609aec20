"""A site's folder whose docker is played (tests/edge_manager/played_engine.py), and the clone that it lies in."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from edge_manager.backup.command import app
from tests.edge_manager import played_engine

__all__ = ["PlayedSite"]


class PlayedSite:
    """A site's folder with an engine that is played, and the clone that it lies in.

    Args:
        folder: Empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._programs = folder / "bin"
        self._programs.mkdir()
        program = self._programs / "docker"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {played_engine.__file__} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        (folder / played_engine.STATE).write_text(json.dumps({"containers": {}, "images": {}}))
        (folder / "docker-compose.yml").write_text(json.dumps({"services": {}}))

    def lies_here(self, services: dict[str, object]) -> None:
        """Puts a release's file into the folder."""
        (self.folder / "docker-compose.yml").write_text(json.dumps({"services": services}))

    def is_released(self, tag: str, services: dict[str, object]) -> None:
        """Commits a release to the clone, and leaves what was there."""
        if not (self.folder / ".git").exists():
            self.git("init", "--quiet")
            self.git("add", "docker-compose.yml")
            self.git("commit", "--quiet", "--message", "first")
            self.git("tag", "first")
        self.lies_here(services)
        self.git("commit", "--quiet", "--all", "--message", tag)
        self.git("tag", tag)
        self.git("checkout", "--quiet", "first")

    def git(self, *arguments: str) -> None:
        name = ("-c", "user.name=test", "-c", "user.email=test@fanwatch.example")
        subprocess.run(
            ["git", *name, *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60
        )

    def docker(self, *arguments: str) -> None:
        """As a person would."""
        subprocess.run(
            [self._programs / "docker", *arguments],
            cwd=self.folder,
            check=True,
            capture_output=True,
            timeout=60,
        )

    def stop(self, name: str, exit_code: int = 0) -> None:
        engine = played_engine.Engine(self.folder)
        engine.containers[name]["state"] = {"Status": "exited", "ExitCode": exit_code}
        engine.keep()

    def containers(self) -> dict[str, str]:
        """The image of each container that is there."""
        found = played_engine.Engine(self.folder).containers
        return {name: each["image"] for name, each in found.items()}

    def states(self) -> dict[str, str]:
        """Of each container."""
        found = played_engine.Engine(self.folder).containers
        return {name: each["state"]["Status"] for name, each in found.items()}

    def asked(self) -> list[str]:
        """What docker was asked so far."""
        log = self.folder / played_engine.LOG
        return log.read_text().splitlines() if log.exists() else []

    def fanwatch(self, *arguments: str) -> Result:
        """Runs `fanwatch backup`, `restore` or `upgrade` there."""
        return CliRunner().invoke(
            app,
            [*arguments, "--folder", str(self.folder)],
            env={"PATH": f"{self._programs}:{os.environ['PATH']}"},
        )
