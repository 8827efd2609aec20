"""The stack under attack: what is tried is refused and logged, and every acknowledged reading has its verdict."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml

from testbed.mosquitto import Mosquitto
from testbed.process import REPOSITORY
from testbed.readings import reading
from testbed.services import Inference, Predictor
from testbed.site import Site
from testbed.waiting import wait_until
from tests.security.attack import allow_open_files, gets_in, is_open, many_connections

UNFINISHED_CONNECT = bytes.fromhex("107f00044d5154540502003c")
"""The first 12 of 129 bytes of an MQTT CONNECT."""
MOST_ENCRYPTED = 4000
MOST_IN_CLEAR = 1000


class Limited(Mosquitto):
    """The broker with as many open files as its container has."""

    def __init__(self, site: Site, open_files: int) -> None:
        super().__init__(site)
        self._open_files = open_files

    def command(self) -> list[str]:
        return ["prlimit", f"--nofile={self._open_files}:{self._open_files}", *super().command()]


class Stack:
    """Broker, scoring service and predictor, which a flow of readings goes through."""

    def __init__(self, mosquitto: Mosquitto, predictor: Predictor) -> None:
        self.mosquitto = mosquitto
        self.predictor = predictor


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    site = Site(tmp_path_factory.mktemp("attacked"))
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    open_files = compose["services"]["mosquitto"]["ulimits"]["nofile"]
    with (
        Limited(site, open_files) as mosquitto,
        Inference(site) as inference,
        Predictor(mosquitto, inference.url) as predictor,
    ):
        yield Stack(mosquitto, predictor)


@contextmanager
def flowing_readings(stack: Stack, device: str) -> Iterator[None]:
    """Numbered readings, 50 a second, while something is done; at the end every acknowledged one has its verdict."""
    stop = threading.Event()
    sent: list[int] = []
    with (
        stack.mosquitto.connect("monitor", receive_maximum=1000) as verdicts,
        stack.mosquitto.connect("simulator") as fan,
    ):
        verdicts.subscribe(f"fan/anomaly/{device}")

        def send() -> None:
            while not stop.wait(0.02):
                fan.publish(f"fan/messages/{device}", reading(device, seq=len(sent)))
                sent.append(len(sent))

        sender = threading.Thread(target=send)
        sender.start()
        try:
            wait_until(lambda: len(sent) >= 5, within_s=20, what="the first readings")
            before = len(sent)
            yield
            wait_until(lambda: len(sent) >= before + 25, within_s=30, what="readings to go on")
        finally:
            stop.set()
            sender.join(30)
        missing = set(sent)
        while missing:
            missing.discard(json.loads(verdicts.next(within_s=30).payload)["seq"])
        assert not fan.disconnected.is_set()
        assert not verdicts.disconnected.is_set()


def logged(broker: Mosquitto, text: str) -> None:
    wait_until(lambda: text in broker.log(last=3_000_000), within_s=20, what=f"{text!r} in the broker's log")


def test_ten_thousand_connections_are_held_to_a_number_and_the_services_go_on(stack: Stack) -> None:
    allow_open_files(11_000)
    broker = stack.mosquitto
    process = psutil.Process(broker.pid)
    with flowing_readings(stack, "flood"):
        began = process.memory_info().rss
        with many_connections(broker.tls_port, 10_000) as made:
            wait_until(
                lambda: sum(map(is_open, made)) <= MOST_ENCRYPTED, within_s=30, what="the broker to refuse"
            )
            # Whoever says nothing is cut off after half a minute: on a busy machine the first of them are gone by now.
            assert sum(map(is_open, made)) > MOST_ENCRYPTED // 2
            # The port for the services has a number of its own, so theirs are never taken.
            assert gets_in(broker.port, "probe", broker.site.mqtt_password("probe"))
            grown = process.memory_info().rss - began
        assert grown < 400_000_000, "of the 768 MB that its container has"
    logged(broker, "max_connections exceeded")
    context = ssl.create_default_context(cafile=str(broker.site.authority))

    def serves_again() -> bool:
        broker.connect("simulator", tls=context).close()
        return True

    wait_until(serves_again, within_s=30, what="the encrypted port to serve again")


def test_without_the_open_files_of_the_compose_file_a_flood_of_one_port_keeps_the_services_out_at_the_other(
    tmp_path: Path,
) -> None:
    allow_open_files(3_000)
    with Limited(Site(tmp_path), open_files=1024) as broker:
        password = broker.site.mqtt_password("probe")
        assert gets_in(broker.port, "probe", password)
        with many_connections(broker.tls_port, 1_500):
            logged(broker, "system socket count has been exceeded")
            assert not gets_in(broker.port, "probe", password)


def test_a_full_port_in_clear_takes_nothing_from_the_encrypted_one(stack: Stack) -> None:
    allow_open_files(2_000)
    broker = stack.mosquitto
    context = ssl.create_default_context(cafile=str(broker.site.authority))
    with broker.connect("simulator", tls=context) as fan:
        with many_connections(broker.port, MOST_IN_CLEAR + 100) as made:
            wait_until(
                lambda: sum(map(is_open, made)) <= MOST_IN_CLEAR, within_s=30, what="the broker to refuse"
            )
            fan.publish("fan/messages/full", reading("full"))
        assert not fan.disconnected.is_set()


def test_a_connect_that_is_never_finished_holds_nobody_up_and_is_cut_off(stack: Stack) -> None:
    with (
        flowing_readings(stack, "unfinished"),
        many_connections(stack.mosquitto.port, 300, UNFINISHED_CONNECT) as made,
    ):
        stack.mosquitto.connect("probe").close()
        assert len(made) == 300
        # 90 s: one and a half times the keep-alive that the broker takes for granted before it is told one.
        wait_until(lambda: not any(map(is_open, made)), within_s=120, what="the end of the unfinished")


def test_guessing_passwords_is_refused_and_logged_and_holds_up_no_reading(stack: Stack) -> None:
    with flowing_readings(stack, "guessed"):
        for guess in range(30):
            with pytest.raises(ConnectionRefusedError):
                stack.mosquitto.connect("predictor", f"guess {guess}")
    refused = "not authorised"
    wait_until(
        lambda: (
            stack.mosquitto.log(last=3_000_000).count(refused) > 30
        ),  # the first is of whoever waited for its start
        within_s=20,
        what="each guess in the broker's log",
    )


def test_what_is_no_mqtt_is_cut_off_and_logged(stack: Stack) -> None:
    with flowing_readings(stack, "other"):
        for sent in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 64, b"\xff" * 64):
            with socket.create_connection(("127.0.0.1", stack.mosquitto.port), timeout=10) as client:
                client.sendall(sent)
                address = f"127.0.0.1:{client.getsockname()[1]}"
                with contextlib.suppress(ConnectionResetError):
                    assert client.recv(10) == b""
            logged(stack.mosquitto, f"Client 127.0.0.1 [{address}] disconnected: protocol error.")
