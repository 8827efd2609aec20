"""Giving one order to a simulated fan: connect, publish, await the acknowledgement, leave."""

import re
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from contract.command import FanCommand
from contract.identity import DEVICE_ID_PATTERN
from contract.topics import Topics
from simulator.encryption import trusting
from simulator.settings import SimulatorSettings

TIMEOUT_S = 5.0


def give(settings: SimulatorSettings, device_id: str, command: FanCommand) -> None:
    """Publish a command on fan/commands/<deviceID>, QoS 1.

    Raises:
        ValueError: The device's name is none, or the file of the certificate authority holds none.
        OSError: The broker cannot be reached, refuses us, or does not acknowledge within 5 s.
    """
    if not re.match(DEVICE_ID_PATTERN, device_id):
        raise ValueError(f"fan {device_id!r}: expected 1 to 64 letters, digits, dots, hyphens or underscores")
    broker = f"{settings.mqtt_host}:{settings.mqtt_port}"
    # No client id: the broker invents one, so that two people may give orders at the same time.
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    if settings.mqtt_username is not None:
        password = settings.mqtt_password
        client.username_pw_set(
            settings.mqtt_username, None if password is None else password.get_secret_value()
        )
    if settings.mqtt_ca_file is not None:
        client.tls_set_context(trusting(settings.mqtt_ca_file))
    answered = threading.Event()
    problems: list[str] = []

    def connected(
        client: mqtt.Client,
        _data: object,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        _: Properties | None,
    ) -> None:
        if reason.is_failure:
            problems.append(str(reason))
            answered.set()
            return
        topic = Topics(settings.topic_root).command_of(device_id)
        client.publish(topic, command.model_dump_json(exclude_none=True), qos=1)

    def published(
        _client: mqtt.Client, _data: object, _mid: int, reason: ReasonCode, _: Properties | None
    ) -> None:
        if reason.is_failure:
            problems.append(str(reason))
        answered.set()

    client.on_connect = connected
    client.on_publish = published
    try:
        client.connect(settings.mqtt_host, settings.mqtt_port)
    except OSError as error:
        raise OSError(
            f"cannot reach the broker at {broker}: {error.strerror or error}; is it running? "
            "(--mqtt-host, --mqtt-port and --ca-file choose another)"
        ) from error
    client.loop_start()
    try:
        if not answered.wait(TIMEOUT_S):
            raise OSError(f"the broker at {broker} did not acknowledge the command within {TIMEOUT_S:g} s")
        if problems:
            raise OSError(f"the broker at {broker} refused: {problems[0]}")
    finally:
        client.disconnect()
        client.loop_stop()
