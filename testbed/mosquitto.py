"""The real Mosquitto with mosquitto/mosquitto.conf."""

import getpass
import os
import queue
import socket
import ssl
import subprocess
import threading
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from testbed.ports import free_port
from testbed.process import REPOSITORY, SERVERS, ServerProcess, server_binary
from testbed.site import ACL, Site

__all__ = ["ACL", "ANSWER_WITHIN_S", "CONFIGURATION", "HEALTH_CHECK", "Connection", "Mosquitto"]

CONFIGURATION = REPOSITORY / "mosquitto" / "mosquitto.conf"
HEALTH_CHECK = REPOSITORY / "mosquitto" / "healthcheck.sh"
ANSWER_WITHIN_S = 20
_CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
"""MQTT 3.1.1, clean session, no name and no password: refused, which is an answer."""


class Mosquitto(ServerProcess):
    """The broker, on two loopback ports of its own: `port` in clear, `tls_port` encrypted.

    The shipped file names paths and the ports of the official image. Here the paths' first parts and the listeners are
    replaced by this machine's, a line is added so that the broker stays the user who runs the tests, and nothing else
    is changed.

    Args:
        site: Whose passwords and rules it reads.
        configuration: The text of mosquitto.conf; another than the shipped one for a test of a setting.
        acl: The text of the shipped access rules, likewise.
    """

    def __init__(self, site: Site, configuration: str | None = None, *, acl: str | None = None) -> None:
        super().__init__("mosquitto", site.folder / "mosquitto")
        self.site = site
        self.host = "127.0.0.1"
        self.port = free_port()
        self.tls_port = free_port()
        if acl is not None:
            site.use_rules(acl)
        self._configuration = CONFIGURATION.read_text() if configuration is None else configuration

    def here(self, configuration: str) -> str:
        """The configuration with this machine's paths and ports."""
        (self.folder / "data").mkdir(exist_ok=True)
        places = {
            "/usr/lib/mosquitto_": f"{SERVERS}/lib/mosquitto_",
            "/mosquitto/data/": f"{self.folder}/data/",
            "/run/fanwatch/": f"{self.site.secrets_of('mosquitto')}/",
            "listener 1883\n": f"listener {self.port} {self.host}\n",
            "listener 8883\n": f"listener {self.tls_port} {self.host}\n",
        }
        for image, machine in places.items():
            configuration = configuration.replace(image, machine)
        return f"{configuration}\nuser {getpass.getuser()}\n"

    def command(self) -> list[str]:
        """The broker with its file."""
        file = self.folder / "mosquitto.conf"
        file.write_text(self.here(self._configuration))
        return [str(server_binary("mosquitto")), "-c", str(file)]

    def is_ready(self) -> bool:
        """Whether its loop answers: its ports are open before it listens to signals, and SIGHUP would end it."""
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as client:
                client.sendall(_CONNECT)
                client.recv(1)
        except ConnectionResetError:
            return True  # it has looked at the packet
        except OSError:
            return False
        return True

    def check_health(self) -> bool:
        """Runs the container's health check once, which ends a broker on a full volume; whether it finds it well."""
        places = {
            "FANWATCH_BROKER_DATA": str(self.folder / "data"),
            "FANWATCH_BROKER_PID": str(self.pid),
            "FANWATCH_BROKER_PORT": str(self.port),
            "FANWATCH_RELOADED_FILE": str(self.folder / "reloaded"),
            "FANWATCH_SECRETS_DIR": str(self.site.secrets_of("mosquitto")),
            "PATH": f"{SERVERS / 'bin'}:{os.environ['PATH']}",
        }
        check = subprocess.run(
            ["sh", HEALTH_CHECK], env=os.environ | places, capture_output=True, timeout=30, check=False
        )
        return check.returncode == 0

    def connect(
        self,
        user: str | None,
        password: str | None = None,
        *,
        client_id: str = "",
        clean_start: bool = True,
        session_expiry_s: int = 0,
        receive_maximum: int | None = None,
        manual_ack: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> "Connection":
        """Signs in as a user of the site (its password is looked up unless given), or as nobody with None.

        In clear, unless tls says how the broker's certificate is checked.

        Raises:
            ConnectionRefusedError: The broker refused, with its reason.
            ssl.SSLError: The certificate was not trusted, or the broker would not speak that version.
        """
        if user is not None and password is None:
            password = self.site.mqtt_password(user)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = session_expiry_s
        if receive_maximum is not None:
            properties.ReceiveMaximum = receive_maximum
        return Connection(
            self.host,
            self.port if tls is None else self.tls_port,
            user,
            password,
            client_id,
            clean_start,
            properties,
            manual_ack=manual_ack,
            tls=tls,
        )


class Connection:
    """A signed-in MQTT 5 client that publishes and gathers what it has subscribed to.

    messages is a queue of what came; disconnected is set when the connection ends.
    """

    def __init__(
        self,
        host: str,
        port: int,
        user: str | None,
        password: str | None,
        client_id: str,
        clean_start: bool,
        properties: Properties,
        *,
        manual_ack: bool,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.messages: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self.disconnected = threading.Event()
        self.connack_properties: Properties | None = None
        self._connack: queue.Queue[ReasonCode] = queue.Queue()
        self._suback: queue.Queue[int] = queue.Queue()
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5, manual_ack=manual_ack
        )
        client.username_pw_set(user, password)
        if tls is not None:
            client.tls_set_context(tls)
        client.on_connect = self._on_connect
        client.on_disconnect = lambda *_: self.disconnected.set()
        client.on_subscribe = lambda _c, _u, mid, _codes, _p: self._suback.put(mid)
        client.on_message = lambda _c, _u, message: self.messages.put(message)
        client.max_queued_messages_set(0)
        client.max_inflight_messages_set(1000)
        self.client = client
        client.connect(host, port, keepalive=60, clean_start=clean_start, properties=properties)
        client.loop_start()
        reason = self._connack.get(timeout=ANSWER_WITHIN_S)
        if reason.is_failure:
            self.close()
            raise ConnectionRefusedError(str(reason))

    def publish(self, topic: str, payload: bytes | str, *, qos: int = 1, retain: bool = False) -> None:
        """Publishes and waits until the broker has acknowledged."""
        self.client.publish(topic, payload, qos=qos, retain=retain).wait_for_publish(ANSWER_WITHIN_S)

    def publish_all(self, messages: list[tuple[str, bytes | str]], *, within_s: float = 120) -> None:
        """Publishes many at QoS 1 and waits until the broker has acknowledged each and has it on its disk."""
        sent = [self.client.publish(topic, payload, qos=1) for topic, payload in messages]
        for info in sent:
            info.wait_for_publish(within_s)
            assert info.is_published()
        self.settle()

    def settle(self) -> None:
        """Waits until everything acknowledged so far survives a kill.

        The broker commits at the start of the turn of its loop after the one that acknowledges, so its answer to
        anything sent later comes behind the commit.
        """
        self.subscribe("nothing")

    def subscribe(self, topic: str, *, qos: int = 1) -> None:
        """Subscribes and waits for the broker's answer."""
        self.client.subscribe(topic, qos=qos)
        self._suback.get(timeout=ANSWER_WITHIN_S)

    def next(self, within_s: float = ANSWER_WITHIN_S) -> mqtt.MQTTMessage:
        """The next message that came.

        Raises:
            queue.Empty: None came in time.
        """
        return self.messages.get(timeout=within_s)

    def close(self) -> None:
        """Leaves."""
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _on_connect(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self.connack_properties = properties
        self._connack.put(reason)
