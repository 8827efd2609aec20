"""What sizing needs and the benchmark of speed does not measure: bridged brokers, and a stored reading's bytes."""

import os
import random
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import requests

from testbed.bridged import Hub, await_bridge, site_broker
from testbed.influxdb import InfluxDB
from testbed.mosquitto import Mosquitto
from testbed.process import server_binary
from testbed.readings import reading
from testbed.site import Site
from testbed.waiting import wait_until

__all__ = ["measure_all"]

SITES = 3
MESSAGES_EACH = 5_000
FANS, READINGS_EACH = 20, 10_000


def measure_all() -> dict[str, Any]:
    """Both measures, with when and on what."""
    with tempfile.TemporaryDirectory() as folder:
        bridges = measure_bridges(Path(folder) / "bridges")
        storage = measure_storage(Path(folder) / "storage")
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "cores": os.cpu_count(),
        "load_average_before": round(_LOAD, 1),
        "bridges": bridges,
        "storage": storage,
    }


_LOAD = os.getloadavg()[0]


def measure_bridges(folder: Path) -> dict[str, Any]:
    """Sites publish as fast as their broker takes it, at QoS 1; a message counts when a subscriber of the hub has it.

    Every broker writes each message to the disk before it acknowledges, as shipped, and the sites speak TLS to the hub.
    """
    folder.mkdir()
    with Hub(folder) as hub:
        sites = [site_broker(folder, f"site{number}", hub).start() for number in range(SITES)]
        try:
            for number in range(SITES):
                await_bridge(hub, f"site{number}")
            per_second = _rate(hub.broker, sites)
        finally:
            for site in sites:
                site.stop()
    return {"sites": SITES, "messages": SITES * MESSAGES_EACH, "per_second": per_second}


def _rate(hub: Mosquitto, sites: list[Mosquitto]) -> float:
    secret = {"-u": "telegraf", "-P": hub.site.mqtt_password("telegraf")}
    listener = subprocess.Popen(
        [
            *(server_binary("mosquitto_sub"), "-V", "5", "-h", hub.host, "-p", str(hub.port)),
            *(part for pair in secret.items() for part in pair),
            *("-q", "1", "-t", "+/messages/#", "-C", f"{SITES * MESSAGES_EACH}", "-W", "110", "-F", "%t"),
        ],
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: "mosqsub" in hub.log() or "telegraf" in hub.log(), within_s=30, what="the subscriber")
    start = time.monotonic()
    processes = get_context("fork")
    fans = [processes.Process(target=_publish, args=(site,)) for site in sites]
    for fan in fans:
        fan.start()
    if listener.wait(timeout=120) != 0:
        raise RuntimeError("not every message reached the hub in 100 seconds")
    seconds = time.monotonic() - start
    for fan in fans:
        fan.join(timeout=60)
    return SITES * MESSAGES_EACH / seconds


def _publish(site: Mosquitto) -> None:
    """A process of its own, as fast as the site's broker acknowledges."""
    with site.connect("simulator") as fan:
        fan.publish_all([("fan/messages/1", reading("1", seq=number)) for number in range(MESSAGES_EACH)])


def measure_storage(folder: Path) -> dict[str, Any]:
    """Readings and verdicts as Telegraf writes them, then the size of InfluxDB's blocks."""
    folder.mkdir()
    rng = random.Random(1)
    with InfluxDB(Site(folder)) as influxdb:
        influxdb.prepare()
        start = int(time.time()) - READINGS_EACH - 3600
        session = requests.Session()
        for first in range(0, READINGS_EACH, 250):
            lines = [
                line
                for second in range(first, first + 250)
                for fan in range(FANS)
                for line in _lines(rng, fan, second, start + second)
            ]
            session.post(
                f"{influxdb.url}/api/v2/write?bucket=fan/raw&precision=ns",
                data="\n".join(lines),
                headers={"Authorization": f"Token {influxdb.token('telegraf')}"},
                timeout=60,
            ).raise_for_status()
        influxdb.stop()  # writes what is in memory as compressed blocks
        influxdb.start()
        wait_until(
            lambda: not list(folder.rglob("*.wal")) or _written(folder), within_s=60, what="the blocks"
        )
        size = sum(file.stat().st_size for file in folder.rglob("*.tsm"))
    return {"readings": FANS * READINGS_EACH, "bytes_per_reading": size / (FANS * READINGS_EACH)}


def _written(folder: Path) -> bool:
    return sum(file.stat().st_size for file in folder.rglob("*.wal")) < 1_000_000


def _lines(rng: random.Random, fan: int, seq: int, second: int) -> list[str]:
    at = second * 1_000_000_000 + rng.randrange(1000) * 1_000_000 + seq
    signals = (
        f"rotation={rng.gauss(600, 40):.2f},temperature={rng.gauss(25, 4):.2f},"
        f"vibration={rng.gauss(160, 25):.2f},sound={rng.gauss(70, 6):.2f},seq={seq}.0"
    )
    verdict = f'fault={float(rng.random() > 0.95)},probability={rng.random():.6f},seq={seq}.0,model="fan:1"'
    boot = 'bootID="0c7e5d9a4b1f"'
    return [
        f"telemetry,deviceID={fan} {signals},{boot} {at}",
        f"anomaly,deviceID={fan} {verdict},{boot} {at}",
    ]
