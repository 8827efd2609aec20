"""The folders that hold secrets: one a reader, each a volume of its own that nobody else mounts."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Reader", "SecretStore"]

_FOLDER_MODE = 0o700
_FILE_MODE = 0o400


@dataclass(frozen=True, slots=True)
class Reader:
    """A process that reads secrets: its folder's name and whom its files must belong to."""

    name: str
    uid: int
    gid: int


class SecretStore:
    """Reads and writes the secrets of every reader.

    Files appear whole or not at all, owned by their reader and readable by nobody else: Mosquitto warns about a
    file that others may read and will refuse it in later versions, and the rest is as strict.

    Args:
        root: The folder under which each reader's folder lies.
        change_owner: os.chown, which needs root; what takes its place in a test as an ordinary user.
    """

    def __init__(self, root: Path, change_owner: Callable[[Path, int, int], None] = os.chown) -> None:
        self._root = root
        self._change_owner = change_owner

    def read(self, reader: Reader, name: str) -> str | None:
        """One secret, without the line end that an editor adds; None when there is none."""
        try:
            return self.path(reader, name).read_text().rstrip("\n")
        except FileNotFoundError:
            return None

    def write_new(self, reader: Reader, name: str, content: str) -> None:
        """Writes a secret that is not there yet.

        Raises:
            FileExistsError: There is one; it stays as it is.
        """
        temporary = self._temporary(reader, content)
        try:
            # A link, because a rename would replace a file that another process wrote meanwhile.
            os.link(temporary, self.path(reader, name))
        finally:
            temporary.unlink()

    def replace(self, reader: Reader, name: str, content: str) -> bool:
        """Writes a file that is made from others, in place of the old one.

        Returns:
            Whether anything changed.
        """
        path = self.path(reader, name)
        if path.exists() and path.read_text() == content:
            return False
        self._temporary(reader, content).replace(path)
        return True

    def remove(self, reader: Reader, name: str) -> bool:
        """Takes a file away.

        Returns:
            Whether there was one.
        """
        path = self.path(reader, name)
        there = path.exists()
        path.unlink(missing_ok=True)
        return there

    def path(self, reader: Reader, name: str) -> Path:
        """Where a secret lies."""
        return self._root / reader.name / name

    @contextmanager
    def locked(self, reader: Reader) -> Iterator[None]:
        """Holds off every other change that takes this reader's lock, also one from another container."""
        handle = os.open(self._folder(reader), os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _folder(self, reader: Reader) -> Path:
        folder = self._root / reader.name
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(_FOLDER_MODE)
        self._change_owner(folder, reader.uid, reader.gid)
        return folder

    def _temporary(self, reader: Reader, content: str) -> Path:
        handle, name = tempfile.mkstemp(dir=self._folder(reader), prefix=".new-")
        path = Path(name)
        with os.fdopen(handle, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.chmod(_FILE_MODE)
        self._change_owner(path, reader.uid, reader.gid)
        return path
