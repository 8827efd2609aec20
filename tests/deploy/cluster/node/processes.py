"""Programs in the background, each with a log, and how all of them end."""

import os
import signal
import subprocess
from pathlib import Path

__all__ = ["Processes"]


class Processes:
    """Started one after the other, ended in the other order.

    Args:
        folder: Has a folder `logs` for their output, and `tmp`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *command: str | Path) -> None:
        """Starts one; its output goes to the log of that name."""
        with (self._folder / "logs" / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdout=log,
                stderr=log,
                env=os.environ
                | {
                    "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
                    "TMPDIR": str(self._folder / "tmp"),
                },
                start_new_session=True,
            )
        self._running.append(process)

    def end(self) -> None:
        """Asks each to end, and kills it when it has not after half a minute."""
        while self._running:
            process = self._running.pop()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill(self) -> None:
        """Ends each without a word."""
        while self._running:
            process = self._running.pop()
            process.kill()
            process.wait()
