"""What the simulator really did, read from the file that it appends to (its ``--truth``).

One JSON object a line: deviceID, bootID, the seq from which it holds, and fault: what a verdict ought to be, or null
where neither is right.
"""

import json
from bisect import bisect_right
from pathlib import Path


class Truth:
    """Follows the file as it grows."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = 0
        self._begins: dict[tuple[str, str], list[int]] = {}
        self._faults: dict[tuple[str, str], list[int | None]] = {}
        self._now: dict[str, int | None] = {}

    def read_on(self) -> None:
        """Take in what has been written since the last time; a file that is not there yet is empty."""
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # half written; next time
                self._offset += len(line)
                self._add(json.loads(line))

    def fault(self, device_id: str, boot_id: str, seq: int) -> int | None:
        """What a verdict on that reading ought to be; None where neither is right, or nothing is known."""
        key = (device_id, boot_id)
        place = bisect_right(self._begins.get(key, []), seq)
        return self._faults[key][place - 1] if place else None

    def faulty_devices(self) -> list[str]:
        """The devices whose last line, of any run, says faulty."""
        return sorted(device for device, fault in self._now.items() if fault == 1)

    def _add(self, line: dict[str, object]) -> None:
        key = (str(line["deviceID"]), str(line["bootID"]))
        fault = None if line["fault"] is None else int(str(line["fault"]))
        self._begins.setdefault(key, []).append(int(str(line["seq"])))
        self._faults.setdefault(key, []).append(fault)
        self._now[key[0]] = fault
