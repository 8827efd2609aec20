"""How many messages a second a contestant carries at QoS 1.

Mosquitto's own C clients send and count, so that the load is not the limit: one writes the readings as fast as
the broker takes them, the other notes when each result comes out.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.processes import BenchmarkError, Contestant, program

_RUN_S = 60


@dataclass(frozen=True)
class Throughput:
    """One measurement."""

    contestant: str
    messages: int
    per_second: float
    cpu_ms_per_1000: dict[str, float]
    memory_mib: dict[str, float]


def measure_throughput(port: int, contestant: Contestant, payloads: Sequence[bytes]) -> Throughput:
    """Send all payloads at once and time the results, first to last.

    Raises:
        BenchmarkError: Not every message came out in a minute.
    """
    # A session of its own, made before the first message: nothing comes out uncounted.
    session = ["-V", "5", "-c", "-x", str(_RUN_S), "-i", "counter", "-q", "1", "-t", "fan/anomaly/#"]
    listen = [program("mosquitto_sub"), "-p", str(port), *session]
    send = [program("mosquitto_pub"), "-p", str(port), "-V", "5", "-q", "1", "-t", "fan/messages", "-l"]
    subprocess.run([*listen, "-E"], check=True, timeout=_RUN_S)
    counter = subprocess.Popen(
        [*listen, "-F", "%U", "-C", str(len(payloads)), "-W", str(_RUN_S)], stdout=subprocess.PIPE
    )
    sender = subprocess.Popen(send, stdin=subprocess.PIPE)
    try:
        assert sender.stdin is not None
        before = contestant.cpu_seconds()
        sender.stdin.write(b"\n".join(payloads) + b"\n")
        sender.stdin.flush()  # and not closed yet: at the end of its input the sender drops what it has not sent
        printed, _ = counter.communicate(timeout=_RUN_S + 10)
        after = contestant.cpu_seconds()
    finally:
        sender.kill()
        counter.kill()
    stamps = [float(line) for line in printed.split()]
    if len(stamps) != len(payloads):
        raise BenchmarkError(f"{contestant.name}: {len(stamps)} of {len(payloads)} messages came out")
    return Throughput(
        contestant=contestant.name,
        messages=len(stamps),
        per_second=(len(stamps) - 1) / (stamps[-1] - stamps[0]),
        cpu_ms_per_1000={name: (after[name] - before[name]) * 1e6 / len(stamps) for name in after},
        memory_mib=contestant.memory_mib(),
    )
