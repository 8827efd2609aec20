"""The gateway's own settings: what holds when the broker is away, and what goes wrong without a setting."""

import json
import re
import signal
from collections.abc import Callable, Iterator

import pytest

from testbed.gateway import CONFIGURATION, MACHINES, Gateway
from testbed.machines import ModbusMachine
from testbed.mosquitto import Mosquitto
from testbed.process import REPOSITORY, with_line, without_line
from testbed.site import Site
from testbed.waiting import wait_until
from tests.machines.heard import Heard, heard
from tests.machines.plant_file import modbus

DEVICE = "out-1"


@pytest.fixture
def machine() -> Iterator[ModbusMachine]:
    with ModbusMachine([600, 405], [150.5, 48.25]) as device:
        yield device


@pytest.fixture
def broker(new_site: Callable[[], Site]) -> Iterator[Mosquitto]:
    with Mosquitto(new_site()) as server:
        yield server


def quick(machine: ModbusMachine) -> str:
    """A reading every 100 ms, so that an outage of seconds holds many."""
    return modbus(machine.controller, DEVICE).replace(
        '  timeout = "1s"', '  timeout = "1s"\n  interval = "100ms"'
    )


def keep(broker: Mosquitto) -> None:
    """A session that the broker keeps, as the predictor's: what comes while nobody listens waits for it."""
    with broker.connect(
        "predictor", client_id="keeper", clean_start=False, session_expiry_s=600
    ) as connection:
        connection.subscribe(f"fan/messages/{DEVICE}")


def kept(broker: Mosquitto, until: Callable[[list[int]], bool]) -> list[int]:
    """The seq of everything that the session was kept, in its order, until there is enough."""
    numbers: list[int] = []
    with broker.connect(
        "predictor", client_id="keeper", clean_start=False, session_expiry_s=600
    ) as connection:
        while not until(numbers):
            # Telegraf may wait a while between its attempts to reach a broker that was away.
            numbers.append(json.loads(connection.next(60).payload)["seq"])
    return numbers


def first_of(broker: Mosquitto) -> int:
    with heard(broker, f"fan/messages/{DEVICE}") as told:
        return int(told.next()["seq"])


def outage(broker: Mosquitto, gateway: Gateway, *, readings: int, kill: bool = False) -> None:
    """Takes the broker away for so many readings; awaits that the gateway has them in its buffer or has lost them."""
    if kill:
        # What the broker has acknowledged within its last turn it may lose (README). It gets two turns more: one in
        # which it may still read what the gateway has sent, and one that commits that.
        gateway.send(signal.SIGSTOP)
        with broker.connect("probe") as another:
            another.settle()
            another.settle()
        broker.kill()
        gateway.send(signal.SIGCONT)
    else:
        broker.stop()
    polls = polled(gateway)
    wait_until(lambda: polled(gateway) >= polls + readings, within_s=60, what="readings meanwhile")
    broker.start()


def polled(gateway: Gateway) -> int:
    return gateway.log(last=10_000_000).count('"msg":"Reading slave 1')


DEBUG = CONFIGURATION.read_text().replace(
    '  logformat = "structured"', '  logformat = "structured"\n  debug = true'
)


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_broker_away_loses_no_reading(broker: Mosquitto, machine: ModbusMachine, kill: bool) -> None:
    keep(broker)
    with Gateway(broker, quick(machine), configuration=DEBUG) as gateway:
        first_of(broker)
        outage(broker, gateway, readings=150, kill=kill)
        numbers = kept(broker, lambda found: bool(found) and found[-1] > 300)
    assert set(numbers) >= set(range(numbers[-1] + 1)), "at least once"


def test_with_mqtt_5_what_cannot_be_published_at_once_is_lost(
    broker: Mosquitto, machine: ModbusMachine
) -> None:
    keep(broker)
    configuration = DEBUG.replace('protocol = "3.1.1"', 'protocol = "5"')
    with Gateway(broker, quick(machine), configuration=configuration) as gateway:
        first_of(broker)
        outage(broker, gateway, readings=100)
        numbers = kept(broker, lambda found: bool(found) and found[-1] > 250)
    assert not set(numbers) >= set(range(numbers[-1] + 1))


def test_what_exceeds_the_buffer_is_lost_and_the_sequence_shows_it(
    broker: Mosquitto, machine: ModbusMachine
) -> None:
    keep(broker)
    configuration = DEBUG.replace("metric_buffer_limit = 100000", "metric_buffer_limit = 100")
    with Gateway(broker, quick(machine), configuration=configuration) as gateway:
        first_of(broker)
        outage(broker, gateway, readings=250)
        numbers = kept(broker, lambda found: bool(found) and found[-1] > 300)
    assert len(set(range(numbers[-1] + 1)) - set(numbers)) > 50


def test_a_gateway_whose_broker_is_not_up_ends_and_started_again_it_works(
    broker: Mosquitto, machine: ModbusMachine
) -> None:
    broker.stop()
    gateway = Gateway(broker, quick(machine)).start(wait=False)
    assert gateway.wait_ended() != 0, "docker-compose.yml starts it again"
    broker.start()
    with gateway:
        assert first_of(broker) >= 0


def test_at_qos_0_a_broker_that_hangs_and_dies_takes_readings_with_it(
    broker: Mosquitto, machine: ModbusMachine
) -> None:
    keep(broker)
    configuration = DEBUG.replace("  qos = 1\n", "  qos = 0\n")
    with Gateway(broker, quick(machine), configuration=configuration) as gateway:
        first_of(broker)
        broker.send(signal.SIGSTOP)
        polls = polled(gateway)
        wait_until(lambda: polled(gateway) >= polls + 50, within_s=60, what="readings meanwhile")
        broker.kill()
        broker.start()
        numbers = kept(broker, lambda found: bool(found) and found[-1] > polls + 100)
    assert not set(numbers) >= set(range(numbers[-1] + 1))


def test_without_precision_two_readings_of_one_second_have_one_time(
    broker: Mosquitto, machine: ModbusMachine
) -> None:
    def times(told: Heard) -> set[str]:
        return {told.next()["timeStamp"] for _ in range(5)}

    imprecise = without_line(CONFIGURATION, 'precision = "1ms"')
    with heard(broker, f"fan/messages/{DEVICE}") as told:
        with Gateway(broker, modbus(machine.controller, DEVICE)):
            assert any(not time.endswith(".000Z") for time in times(told))
        told.drain()
        with Gateway(broker, modbus(machine.controller, DEVICE), configuration=imprecise):
            assert all(time.endswith(".000Z") for time in times(told))


def test_its_health_fails_while_readings_wait(broker: Mosquitto, machine: ModbusMachine) -> None:
    configuration = with_line(CONFIGURATION, "lt = 1000.0", "lt = 20.0")
    with Gateway(broker, quick(machine), configuration=configuration) as gateway:
        wait_until(lambda: gateway.health() == 200, within_s=30, what="it to be healthy")
        broker.stop()
        wait_until(lambda: gateway.health() == 503, within_s=60, what="it to be unhealthy")
        broker.start()
        wait_until(lambda: gateway.health() == 200, within_s=60, what="it to be healthy again")


def test_the_built_telegraf_has_exactly_the_plugins_that_the_gateway_names_beside_the_others() -> None:
    text = CONFIGURATION.read_text() + MACHINES.read_text()
    named = set(re.findall(r"^\[\[((?:inputs|outputs|processors|secretstores)\.\w+)\]\]", text, re.MULTILINE))
    named |= {f"serializers.{name}" for name in re.findall(r'data_format = "(\w+)"', text)}
    script = (REPOSITORY / "testbed" / "install.sh").read_text()
    [others] = re.findall(r'^TELEGRAF_PLUGINS="([^"]*)"', script, re.MULTILINE)
    [built] = re.findall(r'^TELEGRAF_GATEWAY_PLUGINS="([^"]*)"', script, re.MULTILINE)
    assert set(built.split()) == named - set(others.split())
