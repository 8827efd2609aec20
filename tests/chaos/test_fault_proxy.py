"""The proxy is as bad as it says, and the predictor comes back from all of it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from testbed.fault_proxy import FaultProxy
from testbed.mosquitto import Mosquitto
from testbed.readings import reading
from testbed.services import Inference, Predictor
from testbed.site import Site


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                try:
                    while data := connection.recv(4096):
                        connection.sendall(data)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def connected(proxy: FaultProxy) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", proxy.port))
    connection.settimeout(5)
    connection.sendall(b"hello")
    assert connection.recv(100) == b"hello"
    return connection


def test_a_slow_line_takes_so_much_longer_in_each_direction(echo: int) -> None:
    with FaultProxy(echo) as proxy, connected(proxy) as client:
        proxy.slow(0.3)
        start = time.monotonic()
        client.sendall(b"slow")
        assert client.recv(100) == b"slow"
        assert time.monotonic() - start >= 0.6


def test_a_half_open_line_carries_nothing_and_a_new_one_works(echo: int) -> None:
    with FaultProxy(echo) as proxy, connected(proxy) as client:
        assert proxy.half_open() == 1
        client.sendall(b"anybody there?")
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.recv(100)
        connected(proxy).close()


def test_a_cut_line_ends_in_the_middle_of_what_was_sent(echo: int) -> None:
    with FaultProxy(echo) as proxy, connected(proxy) as client:
        proxy.cut_in_a_packet()
        client.sendall(b"12345678")
        got = b""
        try:
            while data := client.recv(100):
                got += data
        except ConnectionResetError:
            pass
        assert b"1234".startswith(got)


class Path(NamedTuple):
    """A predictor that reaches its broker through a proxy."""

    broker: Mosquitto
    proxy: FaultProxy


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    site = Site(tmp_path_factory.mktemp("bad-network"))
    with (
        Mosquitto(site) as broker,
        Inference(site) as inference,
        FaultProxy(broker.port) as proxy,
        Predictor(broker, inference.url, {"MQTT_PORT": str(proxy.port)}),
    ):
        yield Path(broker, proxy)


@pytest.mark.parametrize("fault", [FaultProxy.half_open, FaultProxy.cut_in_a_packet])
def test_the_predictor_comes_back_by_itself_when_its_line_is_dead_or_cut(
    path: Path, fault: Callable[[FaultProxy], int]
) -> None:
    """With a keep-alive of half a minute a dead line goes unnoticed for a minute, and this waits half of that."""
    with path.broker.connect("monitor") as watching, path.broker.connect("simulator") as fan:
        watching.subscribe("fan/anomaly/1")
        assert fault(path.proxy) >= 1
        fan.publish("fan/messages/1", reading("1", seq=1, temperature=40, vibration=150, sound=48))
        assert watching.next(within_s=30).topic == "fan/anomaly/1"
