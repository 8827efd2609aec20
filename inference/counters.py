"""The folder in which the workers of one service share their counters."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "fanwatch-inference-"
_LOCK = "in-use"


def make_counters_folder(parent: Path) -> Path:
    """Make a fresh folder, and remove those that killed services have left.

    A service holds a lock on its own folder for as long as one of its processes lives; the kernel releases it with the
    last of them, also after kill -9. The folder usually lies in memory, so one left behind would be missed.

    Raises:
        OSError: The parent cannot be written.
    """
    for left in parent.glob(f"{_PREFIX}*"):
        with _locked(left / _LOCK) as is_free:
            if is_free:
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    # Never closed: the lock is to last as long as the process, and the workers inherit it.
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether nobody else holds the lock; ours within the block."""
    try:
        lock = os.open(path, os.O_RDWR)
    except OSError:  # another user's folder, or one in the making: not ours to judge
        yield False
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(lock)
