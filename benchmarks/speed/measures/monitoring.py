"""The monitor: what a reading costs its pure core, and how many verdicts a second it takes and commits."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
import requests

from benchmarks.speed.contestants.processes import Contestant
from benchmarks.speed.generator import BenchmarkError, LoadGenerator
from benchmarks.speed.load import Message, messages
from contract.reading import Reading
from contract.timestamp import format_timestamp
from contract.topics import Topics
from contract.verdict import Verdict
from testbed.mosquitto import Mosquitto
from testbed.process import REPOSITORY
from testbed.services import Monitor

MONITOR = "monitor"
"""As the report calls it."""

_CORE_WITHIN_S = 240
_WITHIN_S = 180
_HEALTHY = 0.01
_ASK_AFTER_S = 0.02
_ASK_WITHIN_S = 1.0


class BenchMonitor(Monitor):
    """The monitor as it ships, with its alarms' file where the benchmark wants it.

    Args:
        mosquitto: The broker.
        state: Folder of its files.
    """

    def __init__(self, mosquitto: Mosquitto, state: Path) -> None:
        super().__init__(mosquitto, "http://127.0.0.1:1")  # nothing of a healthy verdict is asked there
        self._state = state

    def environment(self) -> dict[str, str]:
        """With its files."""
        return super().environment() | {
            "FANWATCH_ALARM_FILE": str(self._state / "alarms.sqlite3"),
            "FANWATCH_ACCOUNT_FILE": str(self._state / "accounts.sqlite3"),
        }

    def acknowledged(self) -> float:
        """How many messages are committed and acknowledged."""
        lines = requests.get(f"{self.url}/metrics", timeout=10).text.splitlines()
        name = "fanwatch_monitor_messages_acknowledged_total"
        return next(float(line.split()[1]) for line in lines if line.startswith(name))


@contextlib.contextmanager
def monitor(mosquitto: Mosquitto, name: str, state: Path) -> Iterator[tuple[Contestant, BenchMonitor]]:
    """Start it."""
    state.mkdir(parents=True, exist_ok=True)
    with BenchMonitor(mosquitto, state) as server:
        yield Contestant(name, {"monitor": server}), server


def core(readings: int) -> dict[int, dict[str, float]]:
    """CPU time of the pure core for a reading, microseconds, by number of fans; in a process of its own.

    Args:
        readings: How many are told to each fleet.

    Raises:
        BenchmarkError: It failed.
    """
    run = subprocess.run(
        [sys.executable, "-m", "evaluation.diagnosis_cost", str(readings)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=_CORE_WITHIN_S,
        check=False,
    )
    if run.returncode:
        raise BenchmarkError(f"python -m evaluation.diagnosis_cost: {run.stderr[-500:]}")
    return {
        cost["fans"]: {
            "microseconds_per_reading": cost["microseconds_per_reading"],
            "cores_at_one_in_2_s": cost["cores_at_one_reading_in_2_s"],
        }
        for cost in json.loads(run.stdout)["diagnosis"]
    }


def verdicts(count: int, *, fans: int = 100, boot: str = "bench") -> Iterator[Message]:
    """Healthy verdicts of so many machines, each numbered by its machine."""
    topics = Topics()
    for number, message in enumerate(messages(count, fans=fans)):
        reading = Reading.from_json(message.payload)
        reading = reading.model_copy(
            update={"seq": number // fans, "boot_id": boot, "time_stamp": format_timestamp(datetime.now(UTC))}
        )
        verdict = Verdict.of(reading, fault=0, probability=_HEALTHY, model="fan:1")
        yield Message(topics.anomaly_for(message.topic), verdict.to_json())


def intake(
    contestant: Contestant, server: BenchMonitor, generator: LoadGenerator, load: Sequence[Message]
) -> dict[str, float]:
    """Verdicts published as fast as the broker takes them, until the monitor has committed and acknowledged the last.

    Raises:
        BenchmarkError: It did not take them all.
    """
    wanted = server.acknowledged() + len(load)
    before, written = contestant.usage().cpu_s["monitor"], _written(server.pid)
    began = time.monotonic()
    generator.send_and_leave(load)
    sent = time.monotonic()
    _await_acknowledged(server, wanted)
    took = time.monotonic() - began
    after = contestant.usage()
    return {
        "per_second": len(load) / took,
        "sent_per_second": len(load) / (sent - began),
        "cpu_ms_per_1000": (after.cpu_s["monitor"] - before) * 1e6 / len(load),
        "kib_written_per_message": (_written(server.pid) - written) / 1024 / len(load),
        "memory_mib": after.memory_mib["monitor"],
    }


def _await_acknowledged(server: BenchMonitor, wanted: float) -> None:
    """Until so many messages are acknowledged, asked seldom: every question takes the monitor some milliseconds.

    Half of the time that is left by the rate so far is waited each time, so the end is found in about ten questions.

    Raises:
        BenchmarkError: They are not in time.
    """
    first, began = server.acknowledged(), time.monotonic()
    while (done := server.acknowledged()) < wanted:
        spent = time.monotonic() - began
        if spent > _WITHIN_S:
            raise BenchmarkError(f"{done:.0f} of {wanted:.0f} messages acknowledged after {spent:.0f} s")
        left_s = spent * (wanted - done) / (done - first) if done > first else spent
        time.sleep(min(max(left_s / 2, _ASK_AFTER_S), _ASK_WITHIN_S))


def _written(pid: int) -> float:
    parent = psutil.Process(pid)
    return float(
        sum(process.io_counters().write_bytes for process in [parent, *parent.children(recursive=True)])
    )
