"""Messages through a contestant: as fast as it goes, or so many a second; with what that cost."""

from collections.abc import Sequence

from benchmarks.speed.contestants.processes import Contestant
from benchmarks.speed.generator import LoadGenerator
from benchmarks.speed.load import Message
from benchmarks.speed.sample import percentiles

QOS_0_WINDOW = 500
"""At QoS 0 a broker drops what a slow reader does not take: so many on their way at most, and nothing may be lost."""


def throughput(
    contestant: Contestant, generator: LoadGenerator, messages: Sequence[Message], *, qos: int
) -> dict[str, float]:
    """Sustained messages a second without loss, CPU milliseconds for 1,000 messages of each process, memory in MiB."""
    before = contestant.usage()
    window = {} if qos else {"window": QOS_0_WINDOW}
    passage = generator.run(messages, qos=qos, **window)
    return {
        "per_second": passage.per_second,
        "duplicates": passage.duplicates,
        "generator_cpu_ms_per_1000": passage.generator_cpu_s * 1e6 / len(messages),
        **_cost(contestant, before.cpu_s, len(messages)),
    }


def latency(
    contestant: Contestant, generator: LoadGenerator, messages: Sequence[Message], per_second: float
) -> dict[str, float]:
    """Open loop: percentiles of the time from when a message was due to its result, and what it cost."""
    before = contestant.usage()
    passage = generator.run(messages, per_second=per_second)
    return {
        **percentiles(passage.latencies_ms),
        "duplicates": passage.duplicates,
        "generator_cpu_ms_per_1000": passage.generator_cpu_s * 1e6 / len(messages),
        **_cost(contestant, before.cpu_s, len(messages)),
    }


def _cost(contestant: Contestant, before: dict[str, float], messages: int) -> dict[str, float]:
    after = contestant.usage()
    spent = {name: (after.cpu_s[name] - before[name]) * 1e6 / messages for name in before}
    return {
        "cpu_ms_per_1000": sum(spent.values()),
        **{f"cpu_ms_per_1000 {name}": value for name, value in spent.items()},
        "memory_mib": sum(after.memory_mib[name] for name in before),
        **{f"memory_mib {name}": value for name, value in after.memory_mib.items()},
    }
