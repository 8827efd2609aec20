"""The ground truth: what each fan really did, kept apart from its readings so that no signal can leak it.

One JSON object a line, written (and flushed) before the first reading that it speaks of is sent:

    {"deviceID": "5", "bootID": "9f2c01ab", "seq": 12, "condition": "faulty", "fault": 1}

says that from the reading with seq 12 on, until the next line of the same deviceID and bootID, fan 5 is faulty.
``fault`` is what a verdict ought to be, or null where neither verdict is right (on the way from health to a stop, or
with a stuck or spiking sensor). `make demo` measures its accuracy against this file.
"""

import json
from pathlib import Path
from typing import TextIO

from simulator.fan import Label


class TruthLog:
    """Writes a line when, and only when, what is true of a fan changes.

    Raises:
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = path.open("a", encoding="utf-8")
        self._known: dict[str, tuple[str, Label | None]] = {}

    def record(self, device_id: str, boot_id: str, seq: int, condition: str, fault: Label | None) -> None:
        """Say what is true of the reading seq and those after it."""
        truth = (condition, fault)
        if self._known.get(device_id) == truth:
            return
        self._known[device_id] = truth
        line = {"deviceID": device_id, "bootID": boot_id, "seq": seq, "condition": condition, "fault": fault}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
