"""Asking the cluster, as its administrator."""

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from testbed import waiting

__all__ = ["Kubectl", "wait_until"]

wait_until = partial(waiting.wait_until, pause_s=0.5)
"""Most questions start a kubectl, which takes the CPU from what is waited for."""


class Kubectl:
    """The program, with the administrator's account.

    Args:
        program: Where it lies.
        config: The account, and where the cluster is.
    """

    def __init__(self, program: Path, config: Path) -> None:
        self._command = [str(program), f"--kubeconfig={config}"]

    def run(
        self, *arguments: str, given: str | None = None, check: bool = True, within_s: float = 600
    ) -> str:
        """Returns its standard output; `given` is its standard input.

        Raises:
            RuntimeError: It failed; with what it said.
        """
        done = subprocess.run(
            [*self._command, *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get -o json`."""
        content: dict[str, Any] = json.loads(self.run("get", "-o", "json", *arguments))
        return content
