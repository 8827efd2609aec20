"""The commands that ask a running site, for whoever reads or writes more than one answer of them."""

import subprocess
from pathlib import Path

from edge_manager.device.compose import Compose, SiteError

__all__ = ["command", "run"]


def command(*arguments: str) -> list[str]:
    """A docker compose command, to be run in the site's folder."""
    return ["docker", "compose", "--progress", "quiet", *arguments]


def run(program: list[str], site: Compose, timeout_s: float) -> str:
    """Runs a program in the site's folder and returns its standard output.

    Raises:
        SiteError: It failed or took too long; says which and why.
    """
    try:
        ended = subprocess.run(  # noqa: S603 - a list, no shell
            program, cwd=site.folder, capture_output=True, text=True, check=False, timeout=timeout_s
        )
    except FileNotFoundError as error:
        raise SiteError(f"{Path(program[0]).name} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise SiteError(f"`{' '.join(program)[:160]}` did not end within {timeout_s:g} s") from error
    if ended.returncode:
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
        raise SiteError(
            f"`{' '.join(program)[:160]}` failed: {said[-1] if said else f'exit code {ended.returncode}'}"
        )
    return ended.stdout
