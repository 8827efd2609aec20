"""What shows only over time or across a restart: a backlog, memory, the start, the disk."""

import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.speed.contestants.processes import Contestant, Start, fanwatch
from benchmarks.speed.generator import LoadGenerator
from benchmarks.speed.load import Message
from testbed.influxdb import InfluxDB
from testbed.mosquitto import Mosquitto
from testbed.site import Site
from testbed.telegraf import Telegraf

_SETTLED = 50_000
"""Messages after which buffers and caches have reached their size."""


def backlog(
    contestant: Contestant, generator: LoadGenerator, messages: Sequence[Message]
) -> dict[str, float]:
    """Messages that gathered while the predictor was away: results a second, from the first to the last."""
    predictor = contestant.predictors[0]
    predictor.stop()
    generator.send_and_leave(messages)
    predictor.start(wait=False)
    passage = generator.run([], expect=len(messages))
    return {"per_second": passage.per_second, "duplicates": passage.duplicates}


def memory(contestant: Contestant, generator: LoadGenerator, messages: Sequence[Message]) -> dict[str, float]:
    """Resident memory of each process after each 50,000 messages: how much the largest is above the first, MiB."""
    readings: dict[str, list[float]] = {}
    for start in range(0, len(messages), _SETTLED):
        generator.run(messages[start : start + _SETTLED], first_seq=start)
        for name, mib in contestant.usage().memory_mib.items():
            readings.setdefault(name, []).append(mib)
    figures = {f"grown_mib {name}": max(values) - values[0] for name, values in readings.items()}
    for name, values in readings.items():
        figures |= {f"memory_mib {name} {(index + 1) * _SETTLED}": mib for index, mib in enumerate(values)}
    return figures


def first_verdict(start: Start, mosquitto: Mosquitto, name: str, message: Message) -> dict[str, float]:
    """From the start of the contestant's processes to its first result, seconds."""
    with LoadGenerator(mosquitto.port) as generator:
        began = time.monotonic()
        with start(mosquitto, name):
            return {"first_verdict_s": generator.first_result(message) - began}


def disk(folder: Path, messages: Sequence[Message], per_second: float) -> dict[str, float]:
    """The whole path as it ships, broker and database durable: MiB an hour that each process gives to the disk."""
    site = Site(folder)
    with (
        Mosquitto(site) as mosquitto,
        InfluxDB(site) as influxdb,
    ):
        influxdb.prepare()
        with Telegraf(mosquitto, influxdb) as telegraf, fanwatch(mosquitto) as contestant:
            servers = {
                "mosquitto": mosquitto,
                "influxdb": influxdb,
                "telegraf": telegraf,
                **contestant.servers,
            }
            password = site.mqtt_password("simulator")
            with LoadGenerator(
                mosquitto.port,
                user=("simulator", password),
                reader=("monitor", site.mqtt_password("monitor")),
            ) as generator:
                generator.run(messages[: int(per_second * 5)], per_second=per_second)
                before = {name: _written(server.pid) for name, server in servers.items()}
                began = time.monotonic()
                generator.run(messages, per_second=per_second)
                hours = (time.monotonic() - began) / 3600
                spent = {name: _written(server.pid) - before[name] for name, server in servers.items()}
    return {
        "mib_an_hour": sum(spent.values()) / 2**20 / hours,
        **{f"mib_an_hour {name}": written / 2**20 / hours for name, written in spent.items()},
    }


def _written(pid: int) -> float:
    parent = psutil.Process(pid)
    return float(
        sum(process.io_counters().write_bytes for process in [parent, *parent.children(recursive=True)])
    )
