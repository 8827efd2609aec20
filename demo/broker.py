"""The demo's broker: the real Mosquitto where it is installed, else rumqttd, embedded by the package iotcore.

Both listen on the loopback alone, so nobody on the network reaches them; that is why they ask for no password. Any
program on this machine may speak to them for as long as the demo runs, about fans that do not exist. Nothing is kept
on disk.

What rumqttd (0.20) does of what our services need, each tried: sessions that outlive a connection, with what was
missed and what was not acknowledged; shared subscriptions, whose absent member's share goes to the others; last wills;
retained messages. What it does otherwise:

- A listener speaks either MQTT 5 or 3.1.1, so old clients have a port of their own.
- A session that is resumed gets no retained messages when it subscribes again.
- At most 100 messages are in flight to a subscriber, whatever it allows. While they are, rumqttd answers nothing that
  this subscriber publishes: one that acknowledges only after its own message is confirmed, as the predictor does, waits
  for ever. So few readings a second are sent there that only a pause of many seconds fills those 100.
- It panics when the only member of a shared subscription vanishes with messages unacknowledged, and is deaf from then
  on. It is asked every few seconds whether it hears, and when it does not the demo ends, rather than stand still.

``python -m demo.broker FILE`` runs rumqttd with a configuration file, until SIGTERM.
"""

import logging
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from demo.ports import LOOPBACK, Ports

ADMINISTRATORS_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
"""Where a server may lie that an ordinary user's PATH does not name (Debian's mosquitto lies in /usr/sbin)."""

MOSQUITTO_RATE = 5.0
"""Enough for percentiles after a few seconds, little for any machine."""
EMBEDDED_RATE = 2.0
"""Six fans fill 100 messages in flight in eight seconds."""
EMBEDDED_PREDICTOR = {"FANWATCH_SHARE": ""}
"""Rumqttd 0.20 ends when the only member of a shared subscription goes with readings unacknowledged."""
PROBE_S = 5.0
"""The embedded broker is asked so often whether it hears, and has so long to answer."""


class BrokerKind(StrEnum):
    """Which broker the demo runs."""

    MOSQUITTO = "mosquitto"
    EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that is ready to be started.

    Args:
        kind: Which one.
        title: Its name for a person.
        command: What starts it.
        rate: Readings a second that each fan may send to it.
        predictor: What the predictor must know of it, as variables.
    """

    kind: BrokerKind
    title: str
    command: list[str]
    rate: float
    predictor: dict[str, str] = field(default_factory=dict)


def prepare_broker(ports: Ports, folder: Path, kind: BrokerKind | None = None) -> Broker:
    """Write the configuration of the broker that this machine has, or of the kind that is asked for.

    Raises:
        FileNotFoundError: Mosquitto is asked for and there is none of version 2.
    """
    found = None if kind is BrokerKind.EMBEDDED else find_mosquitto()
    if found is None:
        if kind is BrokerKind.MOSQUITTO:
            raise FileNotFoundError("mosquitto 2 is not installed")
        file = folder / "rumqttd.toml"
        file.write_text(rumqttd_configuration(ports), encoding="utf-8")
        return Broker(
            BrokerKind.EMBEDDED,
            f"embedded rumqttd (MQTT 3.1.1 on port {ports.mqtt_old})",
            [sys.executable, "-m", "demo.broker", str(file)],
            EMBEDDED_RATE,
            EMBEDDED_PREDICTOR,
        )
    path, version = found
    file = folder / "mosquitto.conf"
    file.write_text(mosquitto_configuration(ports), encoding="utf-8")
    return Broker(BrokerKind.MOSQUITTO, f"Mosquitto {version}", [path, "-c", str(file)], MOSQUITTO_RATE)


def find_mosquitto() -> tuple[str, str] | None:
    """Path and version of an installed Mosquitto 2, or None."""
    path = shutil.which(
        "mosquitto", path=os.pathsep.join([os.environ.get("PATH", os.defpath), *ADMINISTRATORS_FOLDERS])
    )
    if path is None:
        return None
    # It prints its version with its help, and ends with a code that differs between versions.
    answer = subprocess.run(  # noqa: S603 - the mosquitto of this machine
        [path, "-h"], capture_output=True, text=True, check=False, timeout=10
    )
    version = re.search(r"mosquitto version (2\.[0-9.]+)", answer.stdout + answer.stderr)
    return (path, version.group(1)) if version else None


def mosquitto_configuration(ports: Ports) -> str:
    """A configuration that every Mosquitto 2 takes: in memory, on the loopback."""
    return f"""\
# Written by the demo. The loopback only, so that nobody on the network can reach a broker without passwords.
listener {ports.mqtt} {LOOPBACK}
allow_anonymous true
# Nothing outlives the demo.
persistence false
# As in the configuration that ships: without these the window is 20 messages, and 1,000 wait at most.
max_inflight_messages 1000
max_queued_messages 200000
set_tcp_nodelay true
log_dest stdout
"""


def rumqttd_configuration(ports: Ports) -> str:
    """Rumqttd's TOML: MQTT 5 on the demo's port, MQTT 3.1.1 on the other one."""
    listeners = "\n".join(
        f"""\
[{table}]
name = "{name}"
listen = "{LOOPBACK}:{port}"
next_connection_delay_ms = 1
[{table}.connections]
connection_timeout_ms = 60000
# As Mosquitto's max_packet_size: a smaller one ends the connection of who sends one large message.
max_payload_size = 2000000
max_inflight_count = 1000
"""
        for table, name, port in (("v5.1", "mqtt5", ports.mqtt), ("v4.1", "mqtt311", ports.mqtt_old))
    )
    return f"""\
# Written by the demo. The loopback only, so that nobody on the network can reach a broker without passwords.
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
# The log of each filter, in memory: 20 MB, about 100,000 readings. Who falls behind by more loses the oldest.
max_segment_size = 2097152
max_segment_count = 10
{listeners}"""


def run_embedded(file: Path) -> int:
    """Run rumqttd until SIGTERM or SIGINT; 1 when it ends by itself."""
    from iotcore import IotCoreBroker  # noqa: PLC0415 - compiled code, not needed where Mosquitto is

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # rumqttd wraps every packet in a span of level ERROR, which is a log line for every message.
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    broker = IotCoreBroker(config_path=str(file))
    try:
        broker.check_ports()
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - goes to the demo's log of the broker
        return 1
    asked, answer = os.pipe()
    # It has no way to stop and lets no signal through, so it gets a thread that the process does not wait for.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(answer, b"x"))
    threading.Thread(target=broker.run_forever, daemon=True).start()
    probe = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    host, _, port = tomllib.loads(file.read_text(encoding="utf-8"))["v5"]["1"]["listen"].rpartition(":")
    probe.connect_async(host, int(port))
    probe.loop_start()
    while not select.select([asked], [], [], PROBE_S)[0]:
        if not _hears(probe):
            print("error: rumqttd does not answer any more", file=sys.stderr)  # noqa: T201 - as above
            return 1
    return 0


def _hears(probe: mqtt.Client) -> bool:
    """Whether the broker acknowledges a message that is for nobody."""
    question = probe.publish("demo/broker/probe", b"", qos=1)
    try:
        question.wait_for_publish(PROBE_S)
    except RuntimeError:  # not connected
        return False
    return question.is_published()


if __name__ == "__main__":
    # Not sys.exit: the interpreter would wait for rumqttd's threads.
    code = run_embedded(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(code)
