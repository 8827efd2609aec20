"""The clone that a site's files come from, at one revision or another."""

import subprocess
from pathlib import Path

from edge_manager.backup.upgrade import UpgradeError
from edge_manager.device.docker import SiteError

__all__ = ["Clone"]

_QUICK_S = 120.0


class Clone:
    """One clone of git.

    Args:
        folder: The site's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ready_for(self, to: str) -> str:
        """The revision that is here, once it is certain that another can take its place.

        Raises:
            UpgradeError: Files were changed here.
            SiteError: There is no such revision, no clone or no git.
        """
        if self._git("status", "--porcelain", "--untracked-files=no").strip():
            raise UpgradeError(
                "not begun: files of the clone were changed here (git status), and a checkout would mix them with the "
                "new ones; commit them, or take them back"
            )
        self._git("rev-parse", "--verify", "--quiet", f"{to}^{{commit}}")
        return self._git("rev-parse", "HEAD").strip()

    def check_out(self, revision: str) -> None:
        """Makes the files those of a revision.

        Raises:
            SiteError: Git refused.
        """
        if self._git("rev-parse", "HEAD").strip() != revision:
            self._git("checkout", "--quiet", revision)

    def _git(self, *arguments: str) -> str:
        try:
            ended = subprocess.run(  # noqa: S603 - a list, no shell
                ["git", *arguments],  # noqa: S607 - the person's own
                cwd=self._folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=_QUICK_S,
            )
        except FileNotFoundError as error:
            raise SiteError("git is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise SiteError(f"`git {' '.join(arguments)}` did not end within {_QUICK_S:g} s") from error
        if ended.returncode:
            said = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
            raise SiteError(f"`git {' '.join(arguments)}` failed: {said[-1]}")
        return ended.stdout
