"""Out of the outbox: once, in order, until it is taken; one message for a flood; nothing secret in a log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from contract.alarm import AlarmState
from monitor.alarms.courier import Courier, Pace, Sender
from monitor.alarms.database import AlarmDatabase
from monitor.alarms.desk import AlarmDesk
from monitor.alarms.notifier import BadDestination, Notifier, message
from monitor.alarms.outbox import WORK_ORDER, Outbox, notify_channel
from monitor.alarms.policy import AlarmPolicy
from monitor.alarms.wire import Call
from monitor.alarms.work_orders import WorkOrders
from tests.alarms.local_servers import mail_server, web_server
from tests.alarms.plant_clock import FAULT, SILENCE, desk_on, finding, moment, waiting
from tests.monitor.still_clock import StillClock

NOTIFY = notify_channel(0)
NOTIFYING = Pace(
    gather=timedelta(seconds=5),
    interval=timedelta(seconds=300),
    first_retry=timedelta(seconds=10),
    longest_retry=timedelta(minutes=10),
    whole=True,
)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alarms.sqlite3"


@pytest.fixture
def desk(path: Path, clock: StillClock) -> Iterator[AlarmDesk]:
    with desk_on(path, clock, AlarmPolicy(work_orders=True, destinations=1)) as made:
        yield made


@contextmanager
def courier(
    path: Path, channel: str, sender: Sender, clock: StillClock, pace: Pace | None = None
) -> Iterator[Courier]:
    made = Courier(AlarmDatabase(path), channel, sender, clock, pace or Pace())
    yield made
    made.stop()


def faults(desk: AlarmDesk, clock: StillClock, *devices: str) -> None:
    desk.on_findings([finding(clock, device=device) for device in devices])
    clock.advance(5)
    desk.tick()


def test_a_draft_is_posted_until_it_is_accepted_with_one_key_and_then_never_again(
    desk: AlarmDesk, clock: StillClock, path: Path
) -> None:
    with web_server() as server:
        sender = WorkOrders(SecretStr(f"{server.url}/orders?token=secret"))
        for status in (503, 404, 302):
            server.answers.put(status)
        faults(desk, clock, "5")
        attempts = 0
        # A new courier each time: the process may have died in between.
        while waiting(path, WORK_ORDER, clock):
            with courier(path, WORK_ORDER, sender, clock) as carrier:
                attempt = carrier.next_attempt()
                assert attempt is not None
                clock.set_wall(max(0.0, (attempt - moment(clock)).total_seconds()))
                carrier.carry()
            attempts += 1
            assert attempts < 10
        assert len(server.got) == 4
        assert len({headers["Idempotency-Key"] for _, headers, _ in server.got}) == 1
        assert {place for place, _, _ in server.got} == {"/orders?token=secret"}, "no redirect is followed"
        body = server.got[-1][2]
        assert (body["deviceID"], body["kind"], body["priority"]) == ("5", "machine_fault", "high")
        with courier(path, WORK_ORDER, sender, clock) as carrier:
            assert carrier.next_attempt() is None


def test_a_draft_that_is_refused_again_and_again_holds_up_no_other_and_comes_less_and_less(
    desk: AlarmDesk, clock: StillClock, path: Path
) -> None:
    with web_server() as server:
        sender = WorkOrders(SecretStr(server.url))
        faults(desk, clock, "5")
        waits = []
        for _ in range(12):
            server.answers.put(400)
            with courier(path, WORK_ORDER, sender, clock) as carrier:
                carrier.carry()
                attempt = carrier.next_attempt()
                assert attempt is not None
                waits.append((attempt - moment(clock)).total_seconds())
                clock.set_wall(waits[-1])
        assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
        clock.set_wall(-3000)
        faults(desk, clock, "6")
        with courier(path, WORK_ORDER, sender, clock) as carrier:
            carrier.carry()
        assert server.got[-1][2]["deviceID"] == "6"
        assert len(waiting(path, WORK_ORDER, clock)) == 1


def test_an_alarm_comes_as_a_mail(desk: AlarmDesk, clock: StillClock, path: Path) -> None:
    with mail_server() as server:
        notifier = Notifier(SecretStr(server.url), 1, desk.state_of)
        faults(desk, clock, "5")
        with courier(path, NOTIFY, notifier, clock, NOTIFYING) as carrier:
            carrier.carry()
            assert server.got == [], "more is waited for"
            clock.advance(5)
            carrier.carry()
        (mail,) = server.got
        assert mail["Subject"] == "Alarm (high): 5, machine fault"
        assert mail["To"] == "anna@plant.example"
        assert "machine fault: machine_fault on 5" in server.text()


def test_a_flood_is_one_message_and_the_next_one_waits_its_turn(
    desk: AlarmDesk, clock: StillClock, path: Path
) -> None:
    with mail_server() as server:
        notifier = Notifier(SecretStr(server.url), 1, desk.state_of)
        with courier(path, NOTIFY, notifier, clock, NOTIFYING) as carrier:
            faults(desk, clock, *(str(number) for number in range(150)))
            clock.advance(5)
            carrier.carry()
            assert [mail["Subject"] for mail in server.got] == [
                "150 alarms on 150 devices, 150 of high priority"
            ]
            lines = server.text().splitlines()
            assert len([line for line in lines if line.strip()]) == 21
            assert "and 130 more" in server.text()
            for minute in range(4):
                faults(desk, clock, f"later-{minute}")
                clock.advance(55)
                carrier.carry()
            assert len(server.got) == 1
            clock.advance(60)
            carrier.carry()
            assert server.got[-1]["Subject"] == "4 alarms on 4 devices, 4 of high priority"


def test_the_turn_is_remembered_over_a_restart(desk: AlarmDesk, clock: StillClock, path: Path) -> None:
    with mail_server() as server:
        notifier = Notifier(SecretStr(server.url), 1, desk.state_of)
        for device in ("5", "6"):
            faults(desk, clock, device)
            clock.advance(5)
            with courier(path, NOTIFY, notifier, clock, NOTIFYING) as carrier:
                carrier.carry()
        assert len(server.got) == 1


def test_nobody_is_called_for_what_is_shelved_suppressed_or_answered_by_then(
    desk: AlarmDesk, clock: StillClock, path: Path
) -> None:
    with mail_server() as server:
        notifier = Notifier(SecretStr(server.url), 1, desk.state_of)
        faults(desk, clock, "5", "6", "7", "8")
        numbers = {alarm.device_id: alarm.alarm_id or 0 for alarm in desk.active()}
        desk.shelve(numbers["5"], "Anna", moment(clock) + timedelta(hours=1))
        desk.acknowledge(numbers["6"], "Anna")
        desk.plan_maintenance("7", "Anna", moment(clock), moment(clock) + timedelta(hours=1))
        clock.advance(5)
        with courier(path, NOTIFY, notifier, clock, NOTIFYING) as carrier:
            carrier.carry()
            assert [mail["Subject"] for mail in server.got] == ["Alarm (high): 8, machine fault"]
            assert carrier.next_attempt() is None


def test_a_mail_server_that_refuses_is_asked_again_and_all_that_waits_is_one_message(
    desk: AlarmDesk, clock: StillClock, path: Path
) -> None:
    with mail_server() as server:
        server.refuses = True
        notifier = Notifier(SecretStr(server.url), 1, desk.state_of)
        with courier(path, NOTIFY, notifier, clock, NOTIFYING) as carrier:
            faults(desk, clock, "5")
            clock.advance(5)
            carrier.carry()
            assert carrier.next_attempt() == moment(clock) + timedelta(seconds=10)
            desk.on_findings([finding(clock, SILENCE, device="6")])
            server.refuses = False
            clock.advance(10)
            carrier.carry()
        assert [mail["Subject"] for mail in server.got] == ["2 alarms on 2 devices, 1 of high priority"]


def test_a_webhook_is_called_too(desk: AlarmDesk, clock: StillClock, path: Path) -> None:
    with web_server() as server:
        notifier = Notifier(SecretStr(f"json://127.0.0.1:{server.port}/hook"), 1, desk.state_of)
        faults(desk, clock, "5")
        clock.advance(5)
        with courier(path, NOTIFY, notifier, clock, NOTIFYING) as carrier:
            carrier.carry()
        ((place, _, body),) = server.got
        assert place.startswith("/hook")
        assert body["title"] == "Alarm (high): 5, machine fault"


def test_no_secret_of_a_url_reaches_a_log_or_the_file(
    desk: AlarmDesk,
    clock: StillClock,
    path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    structlog.reset_defaults()
    caplog.set_level(logging.INFO)  # what the monitor logs
    faults(desk, clock, "5")
    clock.advance(5)
    urls = (
        "mailto://anna:SECRET@127.0.0.1:9?from=a@b.example&to=c@d.example&mode=insecure",
        "json://anna:SECRET@127.0.0.1:9/SECRET/hook?token=SECRET",
        "mqtt://anna:SECRET@127.0.0.1:9/SECRET",
    )
    for url in urls:
        with courier(path, NOTIFY, Notifier(SecretStr(url), 1, desk.state_of), clock, NOTIFYING) as carrier:
            carrier.carry()
    for url in ("http://127.0.0.1:9/SECRET?token=SECRET", "no url, but SECRET"):
        with courier(path, WORK_ORDER, WorkOrders(SecretStr(url)), clock) as carrier:
            carrier.carry()
            clock.advance(3600)
    for wrong in ("nonsense://SECRET", "SECRET", "mailto://SECRET:SECRET"):
        with pytest.raises(BadDestination) as refused:
            Notifier(SecretStr(wrong), 2, desk.state_of)
        assert "SECRET" not in str(refused.value)
        assert "number 2" in str(refused.value)
    printed = capfd.readouterr()
    said = caplog.text + printed.out + printed.err
    assert said.count("delivery_failed") == len(urls) + 2, said
    assert "SECRET" not in said
    assert b"SECRET" not in path.read_bytes() + path.with_name(path.name + "-wal").read_bytes()


def test_what_waits_for_a_destination_that_is_no_more_is_dropped(
    desk: AlarmDesk, clock: StillClock, path: Path
) -> None:
    faults(desk, clock, "5")
    with AlarmDatabase(path) as database:
        with database.transaction():
            Outbox(database).keep_only([WORK_ORDER])
        assert Outbox(database).waiting(NOTIFY) == 0
        assert Outbox(database).waiting(WORK_ORDER) == 1


def test_a_message_has_the_urgent_first() -> None:
    at = datetime(2026, 11, 25, 6, tzinfo=UTC)

    def call(number: int, priority: int) -> Call:
        return Call(
            alarm_id=number,
            device_id=str(number),
            kind=FAULT.value,
            priority=priority,
            at=at + timedelta(seconds=number),
            why=f"reason {number}",
        )

    title, body = message([call(1, 2), call(2, 1), call(3, 1)])
    assert title == "3 alarms on 3 devices, 2 of high priority"
    assert [line.split()[1] for line in body.splitlines()] == ["2,", "3,", "1,"]
    assert body.splitlines()[0] == "[high] 2, 2026-11-25 06:00:02 UTC, machine fault: reason 2"


def test_an_alarm_state_is_asked_at_the_moment_of_sending(desk: AlarmDesk, clock: StillClock) -> None:
    faults(desk, clock, "5")
    (alarm,) = desk.active()
    assert alarm.alarm_id
    assert desk.state_of(alarm.alarm_id) is AlarmState.UNACKNOWLEDGED
    assert desk.state_of(999) is AlarmState.NORMAL
