"""A folder on a file system of its own, so small that it can be filled: what a full volume is to a server."""

import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

MEGABYTE = 1024 * 1024
_BALLAST = "somebody-elses-file"


class SmallVolume:
    """A tmpfs over a folder; needs the right to mount (root on Linux).

    Args:
        folder: Made if it is not there; empty again afterwards.
        megabytes: Its size.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self._megabytes = megabytes

    @property
    def used(self) -> float:
        """The share that is used, 0 to 1."""
        state = os.statvfs(self.folder)
        return 1 - state.f_bavail / state.f_blocks

    def fill(self, share: float) -> None:
        """Somebody else's file takes room until so much is used, 0 to 1; 1 leaves not a block."""
        with (self.folder / _BALLAST).open("ab", buffering=0) as ballast:
            try:
                while self.used < share:
                    state = os.statvfs(self.folder)
                    wanted = int((share - self.used) * state.f_blocks) + 1
                    ballast.write(bytes(min(wanted, 256) * state.f_frsize))
            except OSError:
                if share < 1:
                    raise

    def make_room(self) -> None:
        """That file goes."""
        (self.folder / _BALLAST).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """Mount it.

        Raises:
            PermissionError: This user may not mount.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        options = f"size={self._megabytes}m,mode=0700"
        mount = ["mount", "-t", "tmpfs", "-o", options, "fanwatch", str(self.folder)]
        result = subprocess.run(mount, capture_output=True, text=True, check=False)
        if result.returncode:
            raise PermissionError(f"cannot mount a small volume (root is needed): {result.stderr.strip()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)
