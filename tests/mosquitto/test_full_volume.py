"""The broker on a volume that fills: ended in time it loses nothing, and it starts again once there is room.

Needs the right to mount (root); where that is missing the tests fail and say so.
"""

from collections.abc import Callable, Iterator

import pytest

from testbed.mosquitto import Connection, Mosquitto
from testbed.site import Site
from testbed.small_volume import SmallVolume
from testbed.waiting import wait_until

TOPIC = "fan/messages/1"
MEGABYTES = 24
MESSAGE_BYTES = 1000
MANY = 6000
"""More than fits into what the database has room for inside its own files."""


@pytest.fixture
def site(new_site: Callable[[], Site]) -> Site:
    return new_site()


@pytest.fixture
def volume(site: Site) -> Iterator[SmallVolume]:
    with SmallVolume(site.folder / "mosquitto" / "data", MEGABYTES) as mounted:
        yield mounted


def waiting_session(broker: Mosquitto) -> Connection:
    connection = broker.connect("predictor", client_id="p", clean_start=False, session_expiry_s=3600)
    connection.subscribe(TOPIC)
    return connection


def waited(broker: Mosquitto) -> set[int]:
    with waiting_session(broker) as predictor:
        predictor.subscribe("nothing")  # its answer comes behind everything that waits
        return {int(predictor.messages.get().payload) for _ in range(predictor.messages.qsize())}


def publish(broker: Mosquitto, numbers: range) -> None:
    with broker.connect("simulator") as fan:
        fan.publish_all([(TOPIC, str(number).zfill(MESSAGE_BYTES)) for number in numbers])


def test_the_health_check_ends_the_broker_before_its_volume_is_full_and_nothing_is_lost(
    site: Site, volume: SmallVolume
) -> None:
    broker = Mosquitto(site).start()
    waiting_session(broker).close()
    publish(broker, range(200))
    assert broker.check_health()
    volume.fill(0.96)
    publish(broker, range(200, 220))
    assert not broker.check_health()
    assert broker.wait_ended() == 0
    volume.make_room()
    with broker:
        assert broker.check_health()
        assert waited(broker) == set(range(220))


def test_without_it_what_is_acknowledged_on_a_full_volume_is_lost_with_the_broker(
    site: Site, volume: SmallVolume
) -> None:
    broker = Mosquitto(site).start()
    waiting_session(broker).close()
    publish(broker, range(200))
    volume.fill(1)
    publish(broker, range(200, MANY))
    broker.kill()
    volume.make_room()
    with broker:
        found = waited(broker)
    assert set(range(200)) <= found
    assert found != set(range(MANY))


def test_a_broker_that_ended_on_a_full_volume_starts_once_there_is_room(
    site: Site, volume: SmallVolume
) -> None:
    with Mosquitto(site) as broker:
        waiting_session(broker).close()
        publish(broker, range(200))
    volume.fill(1)
    broker.start(wait=False)
    wait_until(lambda: broker.has_ended, within_s=20, what="the broker to refuse a full volume")
    broker.wait_ended()
    volume.make_room()
    with broker:
        assert waited(broker) == set(range(200))
        publish(broker, range(200, 210))
        broker.restart(killed=True)
        assert waited(broker) >= set(range(200, 210))
