"""The shipped broker against loss: what a kill leaves, how much a queue holds; and what each setting is for."""

import math
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.mosquitto import CONFIGURATION, Connection, Mosquitto
from testbed.process import with_line, without_line
from testbed.site import Site
from testbed.waiting import wait_until

PLUGIN_LINES = [
    line for line in CONFIGURATION.read_text().splitlines() if "plugin" in line and line[0] != "#"
]
TOPIC = "fan/messages/1"
ONE_READ_BYTES = 4096
MESSAGE_BYTES = 200
HEADER_BYTES = 8
"""Of a PUBLISH of that size at QoS 1: type, two of length, two of the topic's, packet id, no properties."""


def without_plugin() -> str:
    text = CONFIGURATION.read_text()
    for line in PLUGIN_LINES:
        text = text.replace(f"{line}\n", "")
    return text


def session(broker: Mosquitto, *, new: bool = False, manual_ack: bool = False) -> Connection:
    """The predictor's persistent session, subscribed (again, which changes nothing where there is a session)."""
    connection = broker.connect(
        "predictor", client_id="p", clean_start=new, session_expiry_s=3600, manual_ack=manual_ack
    )
    connection.subscribe(TOPIC)
    return connection


def until_the_end(broker: Mosquitto, predictor: Connection) -> set[int]:
    """The numbers of everything that waited: what a fan sends now comes behind it."""
    with broker.connect("simulator") as fan:
        fan.publish(TOPIC, "end")
    found = set()
    while (payload := predictor.next().payload) != b"end":
        found.add(int(payload))
    return found


def settled_until_killed(broker: Mosquitto) -> set[int]:
    """Publishes from one fan until the broker is killed in the middle.

    Returns:
        The numbers that it had acknowledged and then gone on: the broker acknowledges in one turn of its loop and
        commits at the start of the next, so what came in its last turn, at most one read of 4 KiB, is not settled.
    """
    acknowledged: list[int] = []
    numbers: dict[int, int] = {}
    enough = threading.Event()
    fan = broker.connect("simulator")

    def on_publish(_c: object, _u: object, mid: int, _reason: object, _p: object) -> None:
        acknowledged.append(mid)
        if len(acknowledged) >= 500:
            enough.set()

    fan.client.on_publish = on_publish
    for number in range(2000):
        numbers[fan.client.publish(TOPIC, str(number).zfill(MESSAGE_BYTES), qos=1).mid] = number
    assert enough.wait(30)
    broker.kill()
    assert fan.disconnected.wait(10)
    fan.client.loop_stop()
    return {numbers[mid] for mid in acknowledged[: -ONE_READ_BYTES // MESSAGE_BYTES]}


def test_nothing_acknowledged_is_lost_when_the_broker_is_killed(new_site: Callable[[], Site]) -> None:
    with Mosquitto(new_site()) as broker:
        session(broker, new=True).close()
        for _ in range(3):
            settled = settled_until_killed(broker)
            broker.start()
            with session(broker) as predictor:
                got = until_the_end(broker, predictor)
            assert settled <= got, f"{len(settled - got)} of {len(settled)} lost"


@pytest.mark.parametrize(
    "configuration",
    [without_plugin(), without_line(CONFIGURATION, "plugin_opt_flush_period 0")],
    ids=["global_plugin", "plugin_opt_flush_period"],
)
def test_without_the_plugin_or_with_its_pause_acknowledged_messages_are_lost(
    new_site: Callable[[], Site], configuration: str
) -> None:
    with Mosquitto(new_site(), configuration) as broker:
        session(broker, new=True).close()
        settled = settled_until_killed(broker)
        broker.start()
        with session(broker) as predictor:
            assert settled - until_the_end(broker, predictor)


def test_every_acknowledgement_is_on_the_disk_first(new_site: Callable[[], Site], tmp_path: Path) -> None:
    """A power cut cannot be tried here; whether the broker asks the disk can: fsync is counted as it is called."""
    assert syncs_of_100_messages(new_site(), CONFIGURATION.read_text(), tmp_path) >= 100


def test_without_sync_full_the_disk_is_not_asked(new_site: Callable[[], Site], tmp_path: Path) -> None:
    changed = without_line(CONFIGURATION, "plugin_opt_sync full")
    assert syncs_of_100_messages(new_site(), changed, tmp_path) < 100


def watched_syncs(folder: Path, what: str) -> dict[str, str]:
    """The environment of a broker that does something at each fsync and fdatasync: C, with the file SYNCS at hand."""
    (folder / "sync.c").write_text(
        f"""
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <fcntl.h>
        #include <signal.h>
        #include <stdlib.h>
        #include <unistd.h>
        static void note(void) {{ {what} }}
        int fsync(int fd) {{ note(); return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd); }}
        int fdatasync(int fd) {{ note(); return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd); }}
        """
    )
    library = folder / "sync.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, folder / "sync.c", "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "SYNCS": str(folder / "syncs")}


def syncs_of_100_messages(site: Site, configuration: str, folder: Path) -> int:
    """How often the broker calls fsync or fdatasync while it acknowledges 100 messages, one after the other."""
    count = """
        int file = open(getenv("SYNCS"), O_WRONLY | O_APPEND | O_CREAT, 0600);
        if (write(file, ".", 1) == 1) close(file);
    """
    environment = watched_syncs(folder, count)

    class Counted(Mosquitto):
        def environment(self) -> dict[str, str]:
            return environment

    syncs = Path(environment["SYNCS"])
    with Counted(site, configuration) as broker:
        session(broker, new=True).close()
        before = syncs.stat().st_size
        with broker.connect("simulator") as fan:
            for number in range(100):
                fan.publish(TOPIC, str(number))
        return syncs.stat().st_size - before


def unread_bytes(port: int) -> int:
    """What lies in the kernel's queues of a port, and its server has not read (proc(5), /proc/net/tcp)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        int(row[4].split(":")[1], 16) for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"
    )


def test_one_turn_takes_one_read_of_a_sender_to_the_end_of_the_packet_that_it_cuts(
    new_site: Callable[[], Site], tmp_path: Path
) -> None:
    """How much the README's "last turn" is at most: the broker ends itself in its first commit, which then holds it."""
    environment = watched_syncs(tmp_path, 'if (access(getenv("SYNCS"), F_OK) == 0) kill(getpid(), SIGKILL);')

    class Fragile(Mosquitto):
        def environment(self) -> dict[str, str]:
            return environment

    sent, size = 60, MESSAGE_BYTES + len(TOPIC) + HEADER_BYTES
    with Fragile(new_site()) as broker:
        session(broker, new=True).close()
        fan = broker.connect("simulator")
        os.kill(broker.pid, signal.SIGSTOP)
        for number in range(sent):
            fan.client.publish(TOPIC, str(number).zfill(MESSAGE_BYTES), qos=1)
        wait_until(lambda: unread_bytes(broker.port) >= sent * size, within_s=10, what="all in the socket")
        Path(environment["SYNCS"]).touch()
        os.kill(broker.pid, signal.SIGCONT)
        assert fan.disconnected.wait(30)
        fan.client.loop_stop()
        broker.wait_ended()
        Path(environment["SYNCS"]).unlink()
        broker.start()
        with session(broker) as predictor:
            assert until_the_end(broker, predictor) == set(range(math.ceil(ONE_READ_BYTES / size)))


def test_the_plugin_and_the_brokers_own_persistence_exclude_each_other(new_site: Callable[[], Site]) -> None:
    changed = CONFIGURATION.read_text() + "\npersistence true\npersistence_location /mosquitto/data/\n"
    broker = Mosquitto(new_site(), changed).start(wait=False)
    assert broker.wait_ended() != 0


@pytest.mark.parametrize("shipped", [True, False], ids=["shipped", "without_max_queued_messages"])
def test_thousands_of_readings_wait_for_a_predictor_that_is_away(
    new_site: Callable[[], Site], shipped: bool
) -> None:
    changed = without_line(CONFIGURATION, "max_queued_messages 200000")
    with Mosquitto(new_site(), None if shipped else changed) as broker:
        session(broker, new=True).close()
        with broker.connect("simulator") as fan:
            fan.publish_all([(TOPIC, str(number)) for number in range(3000)])
        count = 3000 if shipped else 1000
        with session(broker) as predictor:
            waited = [int(predictor.next().payload) for _ in range(count)]
            predictor.subscribe("nothing")  # its answer comes behind everything that waits
            assert predictor.messages.empty()
    assert waited == list(range(count)), "a full queue drops the newest"


def test_a_full_queue_shows_in_the_brokers_own_figures(new_site: Callable[[], Site]) -> None:
    changed = with_line(CONFIGURATION, "max_queued_messages 200000", "max_queued_messages 100")
    with Mosquitto(new_site(), changed) as broker:
        session(broker, new=True).close()
        with broker.connect("telegraf") as telegraf, broker.connect("simulator") as fan:
            telegraf.subscribe("$SYS/broker/publish/messages/dropped")
            fan.publish_all([(TOPIC, str(number)) for number in range(150)])
            wait_until(lambda: telegraf.next().payload == b"50", within_s=15, what="50 dropped messages")


@pytest.mark.parametrize("shipped", [True, False], ids=["shipped", "without_max_queued_bytes"])
def test_large_messages_for_one_who_is_away_cannot_take_all_memory(
    new_site: Callable[[], Site], shipped: bool
) -> None:
    changed = without_line(CONFIGURATION, "max_queued_bytes 209715200")
    megabytes = 1_900_000
    with Mosquitto(new_site(), None if shipped else changed) as broker:
        session(broker, new=True).close()
        with broker.connect("simulator") as fan:
            for number in range(120):
                fan.publish(TOPIC, str(number).zfill(12).ljust(megabytes))
        with session(broker) as predictor:
            predictor.subscribe("nothing")  # its answer comes behind everything that waits
            waited = predictor.messages.qsize()
    assert waited == (209715200 // megabytes + 1 if shipped else 120)


@pytest.mark.parametrize("shipped", [True, False], ids=["shipped", "without_max_inflight_messages"])
def test_a_subscriber_gets_a_thousand_messages_before_it_acknowledges_one(
    new_site: Callable[[], Site], shipped: bool
) -> None:
    changed = without_line(CONFIGURATION, "max_inflight_messages 1000")
    with (
        Mosquitto(new_site(), None if shipped else changed) as broker,
        session(broker, new=True, manual_ack=True) as predictor,
        broker.connect("simulator") as fan,
    ):
        fan.publish_all([(TOPIC, str(number)) for number in range(1050)])
        predictor.subscribe("nothing")  # its answer comes behind everything that may be sent
        assert predictor.messages.qsize() == (1000 if shipped else 20)


def test_a_message_of_a_megabyte_does_not_cut_its_senders_connection(new_site: Callable[[], Site]) -> None:
    with Mosquitto(new_site()) as broker, session(broker, new=True) as predictor:
        with broker.connect("simulator") as fan:
            fan.publish(TOPIC, b"x" * 1_000_000)
            fan.publish(TOPIC, b"behind it")
            assert not fan.disconnected.is_set()
        assert len(predictor.next().payload) == 1_000_000
        assert predictor.next().payload == b"behind it"


def test_a_retained_status_survives_a_kill(new_site: Callable[[], Site]) -> None:
    with Mosquitto(new_site()) as broker:
        with broker.connect("predictor") as predictor:
            predictor.publish("fan/status/predictor", '{"status":"online"}', retain=True)
            predictor.subscribe(
                "nothing"
            )  # answered in a later turn of the broker's loop: the status is settled
        broker.restart(killed=True)
        with broker.connect("monitor") as monitor:
            monitor.subscribe("fan/status/+")
            assert monitor.next().payload == b'{"status":"online"}'


def test_the_broker_ends_at_once_when_it_is_told_to(new_site: Callable[[], Site]) -> None:
    broker = Mosquitto(new_site()).start()
    os.kill(broker.pid, signal.SIGTERM)
    assert broker.wait_ended(10) == 0


def test_an_idle_broker_goes_on_telling_of_itself(new_site: Callable[[], Site]) -> None:
    with Mosquitto(new_site()) as broker, broker.connect("telegraf") as telegraf:
        telegraf.subscribe("$SYS/broker/uptime")
        uptimes = [telegraf.next().payload for _ in range(4)]
    assert len(set(uptimes)) == 4, "the same retained figure again and again"
