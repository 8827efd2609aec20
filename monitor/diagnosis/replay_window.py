"""Which readings were seen already, in constant memory: the anti-replay window of RFC 4303, section 3.4.3."""

from typing import Any

_WIDTH = 1024
_MASK = (1 << _WIDTH) - 1
_RUNS = 3
_TIMES = 64


class SeenReadings:
    """Tells a redelivered reading from a new one.

    A device that numbers its readings is known by bootID and seq: of each of its last three runs the newest 1,024
    numbers are kept as bits, and anything older counts as seen. One without numbers is known by time and values, the
    newest 64.
    """

    __slots__ = ("_runs", "_times")

    def __init__(self) -> None:
        self._runs: dict[str, tuple[int, int]] = {}
        """Newest seq and the bits below it (bit i: newest - i was seen), by bootID, newest run last."""
        self._times: dict[tuple[float, ...], None] = {}

    def is_new(self, boot: str | None, seq: int | None, at: float, values: tuple[float, ...]) -> bool:
        """Whether this reading is seen for the first time; it counts as seen from now on."""
        if seq is None:
            return self._is_new_time((at, *values))
        boot = boot or ""
        run = self._runs.get(boot)
        if run is None:
            self._runs[boot] = (seq, 1)
            if len(self._runs) > _RUNS:
                del self._runs[next(iter(self._runs))]
            return True
        newest, bits = run
        ahead = seq - newest
        if ahead > 0:
            self._runs[boot] = (seq, ((bits << ahead) & _MASK | 1) if ahead < _WIDTH else 1)
            return True
        bit = 1 << -ahead if -ahead < _WIDTH else 0
        if not bit or bits & bit:
            return False
        self._runs[boot] = (newest, bits | bit)
        return True

    def _is_new_time(self, key: tuple[float, ...]) -> bool:
        if key in self._times:
            return False
        self._times[key] = None
        if len(self._times) > _TIMES:
            del self._times[next(iter(self._times))]
        return True

    def snapshot(self) -> dict[str, Any]:
        """The state, as JSON can hold it."""
        return {
            "runs": [[boot, newest, f"{bits:x}"] for boot, (newest, bits) in self._runs.items()],
            "times": [list(key) for key in self._times],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot's state."""
        self._runs = {boot: (int(newest), int(bits, 16)) for boot, newest, bits in state["runs"]}
        self._times = {tuple(key): None for key in state["times"]}
