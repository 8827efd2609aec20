"""Which measures there are, and how each is run: rounds outside, contestants inside, so that all see one machine."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.speed.contestants.processes import (
    CONTESTANTS,
    RELAY,
    THIS_PROJECT,
    Contestant,
    Start,
    broker,
    fanwatch,
)
from benchmarks.speed.generator import LoadGenerator
from benchmarks.speed.load import messages
from benchmarks.speed.measures import carrying, monitoring, standing
from benchmarks.speed.measures.monitoring import MONITOR
from benchmarks.speed.sample import Sample

LOAD_ALONE = "load generator alone"
MONITOR_IN_MEMORY = "monitor, its file in memory"
SLOW = {"the article's way": 5.0, "LinkEdge's way": 150.0}
"""What those carry that do not carry the highest rate: messages a second."""


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        say: Told what is being done.
        count: Messages of one throughput run.
        rounds: Runs of each contestant.
        rates: Messages a second of the latency runs.
        seconds: Length of one latency run.
        contestants: Who is measured; the relay always is, for the ratios.
        fleets: Numbers of machines.
        replicas: Numbers of predictors.
        backlog: Messages that wait when the predictor comes back.
        long_run: Messages over which memory must stay flat.
        disk_s: Seconds over which writing to the disk is watched.
    """

    say: Callable[[str], None]
    count: int = 20_000
    rounds: int = 3
    rates: tuple[int, ...] = (50, 100, 150, 300, 1000, 3000)
    seconds: int = 8
    contestants: tuple[str, ...] = tuple(CONTESTANTS)
    fleets: tuple[int, ...] = (10, 100, 1000, 10_000)
    replicas: tuple[int, ...] = (1, 2, 4)
    backlog: int = 100_000
    long_run: int = 1_000_000
    disk_s: int = 60

    def starts(self) -> dict[str, Start]:
        """The contestants that were chosen."""
        return {name: start for name, start in CONTESTANTS.items() if name in (RELAY, *self.contestants)}


@dataclass(frozen=True)
class Running:
    """A contestant that has carried its warm-up, and the load generator at its broker."""

    contestant: Contestant
    generator: LoadGenerator


@contextmanager
def running(name: str, start: Start, *, fans: int = 100, wide: bool = False) -> Iterator[Running]:
    """Start a broker, a contestant and the load generator, and warm up."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fanwatch-bench-")))
        mosquitto = stack.enter_context(broker(scratch))
        contestant = stack.enter_context(start(mosquitto, name))
        generator = stack.enter_context(LoadGenerator(mosquitto.port))
        generator.first_result(next(messages(1, wide=wide)))
        generator.drain()
        generator.run(list(messages(_can(name, 2000, seconds=2), fans=fans, wide=wide)))
        yield Running(contestant, generator)


def throughput(plan: Plan) -> Iterator[Sample]:
    """As fast as it goes, at QoS 1 and 0."""
    for number, name, start in _turns(plan, plan.starts()):
        load = list(messages(_can(name, plan.count)))
        with running(name, start) as run:
            for qos in (1, 0):
                figures = carrying.throughput(run.contestant, run.generator, load, qos=qos)
                yield Sample("throughput", name, number, {"qos": qos}, figures)


def latency(plan: Plan) -> Iterator[Sample]:
    """Open loop at each rate that the contestant carries; the article's way at 5 a second instead."""
    for number, name, start in _turns(plan, plan.starts()):
        limit = SLOW.get(name)
        rates = [float(rate) for rate in plan.rates if limit is None or rate <= limit] or [limit or 0]
        with running(name, start) as run:
            for rate in rates:
                load = list(messages(int(rate * plan.seconds)))
                figures = carrying.latency(run.contestant, run.generator, load, rate)
                yield Sample("latency", name, number, {"per_second": rate}, figures)


def load_alone(plan: Plan) -> Iterator[Sample]:
    """The load generator without a contestant: it reads what it sends. What it reaches is no contestant's limit."""
    nobody = Contestant(LOAD_ALONE, {})
    load = list(messages(plan.count))
    for number in range(1, plan.rounds + 1):
        plan.say(f"load, round {number} of {plan.rounds}: {LOAD_ALONE}")
        with (
            tempfile.TemporaryDirectory(prefix="fanwatch-bench-") as scratch,
            broker(Path(scratch)) as mosquitto,
            LoadGenerator(mosquitto.port, "fan/messages/#") as generator,
        ):
            for qos in (1, 0):
                figures = carrying.throughput(nobody, generator, load, qos=qos)
                yield Sample("load", LOAD_ALONE, number, {"qos": qos}, figures)
            for rate in plan.rates:
                paced = list(messages(rate * plan.seconds))
                figures = carrying.latency(nobody, generator, paced, rate)
                yield Sample("load", LOAD_ALONE, number, {"per_second": rate}, figures)


def fleet(plan: Plan) -> Iterator[Sample]:
    """The same load from few machines and from many."""
    chosen = {name: start for name, start in plan.starts().items() if name in (RELAY, THIS_PROJECT)}
    for number, name, start in _turns(plan, chosen):
        for fans in plan.fleets:
            load = list(messages(plan.count, fans=fans))
            with running(name, start, fans=fans) as run:
                figures = carrying.throughput(run.contestant, run.generator, load, qos=1)
                yield Sample("fleet", name, number, {"fans": fans}, figures)


def replicas(plan: Plan) -> Iterator[Sample]:
    """Several predictors in one shared subscription: what they carry, how they share, and what is scored twice."""
    load = list(messages(plan.count))
    for count in plan.replicas:
        start = partial(fanwatch, predictors=count)
        for number, name, _ in _turns(plan, {f"{count} predictors": start}):
            with running(name, start) as run:
                figures = carrying.throughput(run.contestant, run.generator, load, qos=1)
                taken = [
                    p.metric("fanwatch_predictor_readings_received_total") for p in run.contestant.predictors
                ]
                figures["smallest_share"] = min(taken) / sum(taken)
                yield Sample("replicas", THIS_PROJECT, number, {"predictors": count}, figures)


def wide(plan: Plan) -> Iterator[Sample]:
    """Rows of 170 signals instead of 4."""
    from benchmarks.speed.wide_model import NAME, write_wide_bundle  # noqa: PLC0415 - imports TensorFlow

    with tempfile.TemporaryDirectory(prefix="fanwatch-bench-model-") as models:
        plan.say("wide: making a model of 170 signals")
        write_wide_bundle(Path(models))
        own = partial(fanwatch, settings={"MODELS_DIR": models, "MODEL_NAME": NAME})
        load = list(messages(plan.count, wide=True))
        for number, name, start in _turns(plan, {RELAY: CONTESTANTS[RELAY], THIS_PROJECT: own}):
            with running(name, start, wide=True) as run:
                figures = carrying.throughput(run.contestant, run.generator, load, qos=1)
                yield Sample("wide", name, number, {"signals": 170}, figures)


def backlog(plan: Plan) -> Iterator[Sample]:
    """What gathered while the predictor was away, beside what it carries otherwise."""
    load = list(messages(plan.backlog))
    for number, name, start in _turns(plan, {THIS_PROJECT: CONTESTANTS[THIS_PROJECT]}):
        with running(name, start) as run:
            figures = carrying.throughput(run.contestant, run.generator, load[: 2 * plan.count], qos=1)
            yield Sample("backlog", "sustained", number, {"waiting": plan.backlog}, figures)
            figures = standing.backlog(run.contestant, run.generator, load)
            yield Sample("backlog", "drained", number, {"waiting": plan.backlog}, figures)


def memory(plan: Plan) -> Iterator[Sample]:
    """Memory over a long run."""
    plan.say(f"memory: {plan.long_run:,} messages through {THIS_PROJECT}")
    load = list(messages(plan.long_run))
    with running(THIS_PROJECT, CONTESTANTS[THIS_PROJECT]) as run:
        figures = standing.memory(run.contestant, run.generator, load)
    yield Sample("memory", THIS_PROJECT, 1, {"messages": plan.long_run}, figures)


def start(plan: Plan) -> Iterator[Sample]:
    """From the start of the processes to the first verdict."""
    message = next(messages(1))
    for number, name, begin in _turns(plan, plan.starts()):
        with (
            tempfile.TemporaryDirectory(prefix="fanwatch-bench-") as scratch,
            broker(Path(scratch)) as mosquitto,
        ):
            yield Sample("start", name, number, {}, standing.first_verdict(begin, mosquitto, name, message))


def disk(plan: Plan) -> Iterator[Sample]:
    """What the whole path, as it ships, writes to the disk in an hour at 60 messages a second."""
    plan.say(f"disk: the whole path for {plan.disk_s} s")
    with tempfile.TemporaryDirectory(prefix="fanwatch-bench-") as scratch:
        figures = standing.disk(Path(scratch), list(messages(60 * plan.disk_s, fans=60)), 60)
    yield Sample("disk", "the whole path", 1, {"per_second": 60}, figures)


def monitor(plan: Plan) -> Iterator[Sample]:
    """The monitor's pure core by the size of the fleet; then verdicts through MQTT, beside relay and predictor.

    Once with its file on this machine's disk, and once in memory: what is between the two is the disk's commit.
    """
    load = list(messages(plan.count))
    chosen = {name: start for name, start in plan.starts().items() if name in (RELAY, THIS_PROJECT)}
    for number in range(1, plan.rounds + 1):
        plan.say(f"round {number} of {plan.rounds}: the monitor's core")
        for fans, figures in monitoring.core(10 * plan.count).items():
            yield Sample("monitor core", MONITOR, number, {"fans": fans}, figures)
        for name, start in chosen.items():
            plan.say(f"round {number} of {plan.rounds}: {name}")
            with running(name, start) as run:
                figures = carrying.throughput(run.contestant, run.generator, load, qos=1)
                yield Sample("monitor", name, number, {}, figures)
        for name, place in ((MONITOR, None), (MONITOR_IN_MEMORY, "/dev/shm")):
            plan.say(f"round {number} of {plan.rounds}: {name}")
            with (
                tempfile.TemporaryDirectory(prefix="fanwatch-bench-") as scratch,
                tempfile.TemporaryDirectory(prefix="fanwatch-bench-", dir=place) as state,
                broker(Path(scratch)) as mosquitto,
                monitoring.monitor(mosquitto, name, Path(state)) as (contestant, server),
                LoadGenerator(mosquitto.port) as generator,
            ):
                monitoring.intake(contestant, server, generator, list(monitoring.verdicts(2000, boot="warm")))
                figures = monitoring.intake(
                    contestant, server, generator, list(monitoring.verdicts(plan.count))
                )
                yield Sample("monitor", name, number, {}, figures)


MEASURES: dict[str, Callable[[Plan], Iterator[Sample]]] = {
    "load": load_alone,
    "throughput": throughput,
    "latency": latency,
    "fleet": fleet,
    "replicas": replicas,
    "wide": wide,
    "backlog": backlog,
    "monitor": monitor,
    "start": start,
    "disk": disk,
    "memory": memory,
}


def _turns(plan: Plan, starts: dict[str, Start]) -> Iterator[tuple[int, str, Start]]:
    for number in range(1, plan.rounds + 1):
        for name, begin in starts.items():
            plan.say(f"round {number} of {plan.rounds}: {name}")
            yield number, name, begin


def _can(name: str, count: int, seconds: float = 4) -> int:
    """As many messages as a slow contestant carries in a few seconds, at most count."""
    return min(count, max(5, int(SLOW[name] * seconds))) if name in SLOW else count
