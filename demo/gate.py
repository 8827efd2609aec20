"""Start a command once what it feeds is there: readings that nobody has subscribed to yet would be nobody's.

``python -m demo.gate --port 1883 --service predictor --url http://127.0.0.1:8000/v2/health/ready -- command...``
waits until the service is online (its retained status) and the address answers 200, then becomes the command.
"""

import argparse
import os
import sys
import threading
import time
from http.client import HTTPException
from urllib.error import URLError
from urllib.request import urlopen

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import ValidationError

from contract.status import ONLINE, ServiceStatus
from contract.topics import Topics
from demo.ports import LOOPBACK

POLL_S = 0.05


def await_online(port: int, service: str) -> None:
    """Return when the service has said on its status topic that it is online."""
    online = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)

    def on_message(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        try:
            if ServiceStatus.model_validate_json(message.payload) == ONLINE:
                online.set()
        except ValidationError:
            return  # not a status: go on waiting

    def on_connect(
        client: mqtt.Client,
        _data: object,
        _flags: mqtt.ConnectFlags,
        _reason: ReasonCode,
        _: Properties | None,
    ) -> None:
        client.subscribe(Topics().status_of(service), 1)

    client.on_message = on_message
    client.on_connect = on_connect
    client.connect_async(LOOPBACK, port)
    client.loop_start()
    online.wait()
    client.disconnect()
    client.loop_stop()


def await_ready(url: str) -> None:
    """Return when the address answers 200. It can only be asked, so it is asked again and again."""
    while True:
        try:
            with urlopen(url, timeout=5) as answer:  # noqa: S310 - the demo's own address
                if answer.status == 200:
                    return
        except (URLError, HTTPException, OSError):
            pass  # not there yet
        time.sleep(POLL_S)


def main() -> None:
    """Wait, then become the command."""
    parser = argparse.ArgumentParser(prog="python -m demo.gate")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--service", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    command = [word for word in arguments.command if word != "--"]
    await_ready(arguments.url)
    await_online(arguments.port, arguments.service)
    sys.stdout.flush()
    os.execvp(command[0], command)  # noqa: S606 - the command comes from the demo itself


if __name__ == "__main__":
    main()
